"""Data of one's own in odd shapes: folders, loaders, networks and numbers of classes."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils import data as torch_data
from torch.utils.data import DataLoader, TensorDataset

from handwriting_lab.data import DataError, ImageData, Samples, load_folder
from handwriting_lab.distributed import Processes
from handwriting_lab.evaluation import accuracy, evaluate
from handwriting_lab.plots import class_counts, confusion_heatmap
from handwriting_lab.runs import ParameterError
from handwriting_lab.training import fit

KINDS = ["L", "RGB", "RGBA", "P", "LA", "CMYK", "1", "I;16"]
CPU: Any = {"device": torch.device("cpu"), "peak_learning_rate": 0.01}
NUMBERS = TensorDataset(torch.rand(40, 3), torch.randint(0, 2, (40,)))


class Counting(nn.Module):
    """Notes how many samples it is given, to learn from and to be tested on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.seen = {True: 0, False: 0}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (B, 2)."""
        self.seen[self.training] += len(inputs)
        return self.layer(inputs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ash", "elm"):
        (tmp_path / "leaves" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (9, 9)).save(tmp_path / "leaves" / name / f"leaf{number}.png")
    return tmp_path / "leaves"


@pytest.mark.parametrize("steps", range(1, 7))
def test_any_number_of_steps_is_a_training(steps: int) -> None:
    fit(Counting(), NUMBERS[: 8 * steps], NUMBERS[:], epochs=1, batch_size=8, **CPU)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.Flatten(), nn.LazyLinear(2)),
        nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Flatten(), nn.LazyLinear(2)),
        nn.Sequential(
            nn.Conv3d(2, 2, 3, padding=1), nn.BatchNorm3d(2), nn.Flatten(), nn.LazyLinear(2)
        ),
    ],
    ids=["1", "2", "3"],
)
def test_inputs_may_have_any_number_of_dimensions(network: nn.Sequential) -> None:
    sides = int(type(network[0]).__name__[4])
    inputs = torch.rand(20, 2, *[4] * sides)
    network(inputs)
    labels = torch.randint(0, 2, (20,))
    (result,) = fit(network, (inputs, labels), (inputs, labels), epochs=1, batch_size=5, **CPU)
    assert result.train_loss > 0


LOADERS = {
    "of a part": ({"batch_size": 5, "sampler": torch_data.SubsetRandomSampler(range(15))}, 15),
    "of a few at random": (
        {"batch_size": 5, "sampler": torch_data.RandomSampler(NUMBERS, num_samples=10)},
        10,
    ),
    "with replacement": (
        {"batch_size": 5, "sampler": torch_data.RandomSampler(NUMBERS, True, 60)},
        60,
    ),
    "of batches": (
        {"batch_sampler": torch_data.BatchSampler(range(20), 7, drop_last=False)},
        20,
    ),
    "shuffled": ({"batch_size": 8, "shuffle": True}, 40),
    "in order": ({"batch_size": 8}, 40),
}


@pytest.mark.parametrize(("options", "samples"), LOADERS.values(), ids=LOADERS)
def test_sampler_of_ones_own_chooses_in_training_and_in_the_test(
    options: dict[str, Any], samples: int
) -> None:
    network = Counting()
    loaders = (DataLoader(NUMBERS, **options) for _ in range(2))
    fit(network, *loaders, epochs=1, **CPU)
    assert network.seen == {True: samples, False: samples}


def bits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a yes or no for each number of the outputs."""
    return nn.functional.binary_cross_entropy_with_logits(
        outputs.reshape(targets.shape), targets.float()
    )


PIXELS = torch.rand(20, 3, 4, 4)
YES = torch.randint(0, 2, (20,))
TASKS = {
    "a class for each place": (nn.Conv2d(3, 4, 1), torch.randint(0, 4, (20, 4, 4)), None),
    "a column of classes": (
        nn.Linear(48, 3),
        YES[:, None],
        lambda outputs, targets: nn.functional.cross_entropy(outputs, targets[:, 0]),
    ),
    "yes or no": (nn.Linear(48, 1), YES, bits),
    "yes or no, flat": (nn.Sequential(nn.Linear(48, 1), nn.Flatten(0)), YES, bits),
    "several at once": (nn.Linear(48, 3), torch.randint(0, 2, (20, 3)), bits),
    "numbers": (nn.Linear(48, 1), torch.rand(20, 1), nn.functional.mse_loss),
}


@pytest.mark.parametrize("loader", [False, True], ids=["tensors", "loader"])
@pytest.mark.parametrize("task", TASKS)
def test_accuracy_is_measured_where_there_is_one_and_is_a_share(task: str, loader: bool) -> None:
    network, targets, loss = TASKS[task]
    inputs = PIXELS if isinstance(network, nn.Conv2d) else PIXELS.flatten(1)
    data: Any = (inputs, targets)
    if loader:
        data = DataLoader(TensorDataset(*data), batch_size=5)
    (result,) = fit(network, data, data, epochs=1, loss=loss or nn.functional.cross_entropy, **CPU)
    assert list(result.metrics) == (["accuracy"] if "class" in task else [])
    assert all(0 <= value <= 1 for value in result.metrics.values())


def test_accuracy_is_the_share_of_right_places() -> None:
    logits = torch.tensor([[[2.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]])  # (B, K, places)
    assert accuracy(logits, torch.tensor([[0, 0], [1, 1]])).tolist() == [0.5, 1.0]


def test_metric_that_is_not_of_each_sample_is_refused() -> None:
    with pytest.raises(ParameterError, match="'mean' must be a number for each sample"):
        fit(
            Counting(),
            NUMBERS[:],
            NUMBERS[:],
            epochs=1,
            metrics={"mean": lambda outputs, targets: accuracy(outputs, targets).mean()},
            **CPU,
        )


@pytest.mark.parametrize(
    ("network", "options", "complaint"),
    [
        (nn.LazyLinear(2), {}, "lazy layers: call it once"),
        (nn.Flatten(), {}, "no weights that can change"),
        (Counting().requires_grad_(False), {}, "no weights that can change"),
        (nn.LSTM(3, 2), {}, "must return a tensor of outputs .*, not a tuple"),
        (Counting(), {"make_optimizer": torch.optim.LBFGS}, "LBFGS wants the loss several times"),
        (Counting(), {"make_optimizer": partial(torch.optim.LBFGS, lr=1)}, "LBFGS wants the loss"),
    ],
)
def test_network_or_optimiser_that_no_training_can_use_is_refused(
    network: nn.Module, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ParameterError, match=complaint):
        fit(network, NUMBERS[:], NUMBERS[:], epochs=1, **options | CPU)


UNFIT: dict[str, dict[str, Any]] = {
    "one by one": {"dataset": NUMBERS, "batch_size": None},
    "three": {"dataset": TensorDataset(*NUMBERS.tensors, NUMBERS.tensors[0])},
    "named": {"dataset": [{"x": NUMBERS[0][0], "y": 1}]},
}


@pytest.mark.parametrize("options", UNFIT.values(), ids=UNFIT)
def test_batch_that_is_no_pair_is_refused_in_training_and_in_the_test(
    options: dict[str, Any],
) -> None:
    loader: Any = DataLoader(**options)
    for data in ((loader, NUMBERS[:]), (NUMBERS[:], loader)):
        with pytest.raises(ParameterError, match="must be a pair of tensors"):
            fit(Counting(), *data, epochs=1, **CPU)


def test_sparse_gradients_change_weights_as_others_do() -> None:
    words, losses = torch.randint(0, 10, (40, 6)), []
    for sparse in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.EmbeddingBag(10, 4, sparse=sparse), nn.Linear(4, 2))
        data = (words, NUMBERS.tensors[1])
        losses.append(fit(network, data, data, epochs=2, batch_size=8, **CPU)[-1].test_loss)
    assert losses[0] == losses[1]


def test_several_processes_share_no_test_with_a_sampler_of_its_own() -> None:
    loader = DataLoader(NUMBERS, batch_size=5, sampler=torch_data.SubsetRandomSampler(range(15)))
    processes = Processes(rank=0, local_rank=0, count=2)
    with pytest.raises(ParameterError, match="cannot share test data with its own sampler"):
        evaluate(
            Counting(),
            loader,
            torch.zeros(()),
            nn.functional.cross_entropy,
            {"accuracy": accuracy},
            processes,
        )


def test_odd_folders_and_kinds_of_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey, names = 150, ["größe $x_1$", "a b", os.fsdecode(b"latin\xe9"), "长"]
    for name in names:
        for part, modes in (("train", KINDS), ("val", ["RGB"])):
            (tmp_path / "odd" / part / name / "deeper").mkdir(parents=True)
            for mode in modes:
                image = Image.new("RGB", (30, 20), (grey,) * 3).convert(mode.split(";")[0])
                if mode == "I;16":
                    image = Image.fromarray(np.full((20, 30), grey * 256, np.uint16))
                ending = "tif" if mode == "CMYK" else "png"
                image.save(tmp_path / "odd" / part / name / "deeper" / f"{mode[:4]}.{ending}")
    for hidden in (".ipynb_checkpoints", "empty"):
        (tmp_path / "odd" / "train" / hidden).mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "odd" / "train" / ".ipynb_checkpoints" / "1.png")
    (tmp_path / "odd" / "val" / "a b" / "deeper" / "RGB.png").unlink()
    data = load_folder(tmp_path / "odd", size=8, workers=0, cache=tmp_path / "cache")
    assert list(data.classes) == sorted(["größe $x_1$", "a b", "latin\ufffd", "长"])
    assert (len(data.train), len(data.test)) == (32, 3)
    means = data.train.images.float().mean((1, 2, 3))
    assert all(abs(mean - grey) < 6 for mean in means.tolist())
    said = capsys.readouterr().out
    assert "empty has no images and was skipped." in said
    assert "There are no images to test on of: a b." in said


def test_links_that_lead_nowhere_and_pipes_are_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "ash" / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (folder / "ash" / "linked.png").symlink_to(folder / "elm" / "leaf0.png")
    os.mkfifo(folder / "elm" / "pipe.png")
    data = load_folder(folder, size=4, workers=0, cache=tmp_path / "cache")
    assert len(data.train) + len(data.test) == 21


@pytest.mark.parametrize("to", ["leaves/ash", "leaves", "leaves/elm/deep", "/", "outside"])
def test_linked_folder_is_read_but_never_twice(
    folder: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (folder / "elm" / "deep", tmp_path / "outside"):
        place.mkdir()
        Image.new("RGB", (9, 9)).save(place / "more.png")
    (tmp_path / "outside" / "again").symlink_to(".")
    (folder / "ash" / "link").symlink_to(tmp_path / to)
    (folder / "everything").symlink_to(".")
    data = load_folder(folder, size=4, workers=0, cache=tmp_path / "cache")
    assert list(data.classes) == ["ash", "elm"]
    assert len(data.train) + len(data.test) == 21 + (to == "outside")
    skipped = "link/again" if to == "outside" else "link"
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        f"{folder / place} leads to images that are read anyway and was skipped."
        for place in ("everything", f"ash/{skipped}")
    ]


def test_each_split_has_a_cache_and_what_a_killed_process_left_is_removed(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    for name, age in (("new-killed", 7200), ("new-of-another-process", 0)):
        (cache / name).mkdir(parents=True)
        (cache / name / "pixels").touch()
        os.utime(cache / name / "pixels", (time.time() - age,) * 2)
    for part in (0.2, 0.5, 0.2):
        load_folder(folder, size=4, test_part=part, workers=0, cache=cache)
    names = [path.name for path in cache.iterdir()]
    assert len(names) == 3
    assert "new-killed" not in names


def test_another_process_may_be_faster(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    load_folder(folder, size=4, workers=0, cache=cache)
    (kept,) = cache.iterdir()
    kept.rename(tmp_path / "kept")
    real = Image.open

    def slow(path: Path) -> Image.Image:
        if not kept.exists():
            (tmp_path / "kept").rename(kept)
        return real(path)

    monkeypatch.setattr(Image, "open", slow)
    data = load_folder(folder, size=4, workers=0, cache=cache)
    assert len(data.train) + len(data.test) == 20
    assert list(cache.iterdir()) == [kept]


def test_cache_that_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"kept in .*file: .*Name another folder as cache"):
        load_folder(folder, workers=0, cache=tmp_path / "file")


@pytest.mark.parametrize("classes", [2, 60, 300])
def test_figures_of_many_classes_have_a_size_that_a_computer_can_draw(
    classes: int, tmp_path: Path
) -> None:
    names = [f"a long name of class number {number}" for number in range(classes)]
    labels = torch.arange(2 * classes) % classes
    samples = Samples(torch.zeros(2 * classes, 3, 2, 2), labels, labels)
    counts = class_counts(ImageData("many", names, samples, samples))
    matrix = np.diag(np.arange(classes))
    for figure in (counts, confusion_heatmap(matrix, names)):
        figure.savefig(tmp_path / "figure.png", dpi=110, bbox_inches="tight")
        with Image.open(tmp_path / "figure.png") as image:
            assert max(image.size) < 5000
        assert 1 < len(figure.axes[0].get_yticklabels()) <= 100
