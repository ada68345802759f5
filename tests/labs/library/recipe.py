"""The recipe of the digit lab: its optimisers, its hardest samples, its thread."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from handwriting_lab.checkpoints import CheckpointError
from handwriting_lab.distributed import Processes
from handwriting_lab.evaluation import evaluate
from handwriting_lab.loop import Pair
from handwriting_lab.runs import ParameterError
from handwriting_lab.training import AdamW, EpochResult, Momentum, fit

OPTIONS: dict[str, Any] = {
    "peak_learning_rate": 0.01,
    "batch_size": 10,
    "device": torch.device("cpu"),
}
OF_EACH = nn.CrossEntropyLoss(reduction="none")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )


def data() -> Pair:
    torch.manual_seed(1)
    return torch.rand(105, 1, 8, 8), torch.randint(0, 3, (105,))


@pytest.mark.parametrize(
    ("ours", "of_torch"),
    [
        (
            Momentum,
            partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True),
        ),
        (
            partial(AdamW, betas=(0.7, 0.9), weight_decay=0.1),
            partial(torch.optim.AdamW, betas=(0.7, 0.9), weight_decay=0.1, fused=True),
        ),
    ],
)
def test_optimisers_do_what_those_of_torch_do(
    ours: Callable[..., Any], of_torch: Callable[..., Any]
) -> None:
    found = []
    for make in (ours, of_torch):
        trained = network().to(memory_format=torch.channels_last)
        trained[0].bias.requires_grad_(False)
        unused = nn.Parameter(torch.ones(3))
        weights = [*trained.parameters(), unused]
        optimizer = make(weights, lr=0.05)
        for step in range(5):
            optimizer.param_groups[0]["lr"] = 0.05 / (step + 1)
            optimizer.zero_grad()
            nn.functional.cross_entropy(trained(data()[0]), data()[1]).backward()
            optimizer.step()
            if step == 2:  # as a training that continues
                state = optimizer.state_dict()
                optimizer = make(weights, lr=0.05)
                optimizer.load_state_dict(state)
        found.append(weights)
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert torch.equal(found[0][-1], torch.ones(3))


def test_class_of_torch_trains_as_ours_does() -> None:
    torch_adamw = partial(torch.optim.AdamW, fused=True)
    results = [
        fit(network(), data(), data(), epochs=2, make_optimizer=make, **OPTIONS)
        for make in (AdamW, torch_adamw)
    ]
    assert results[0] == results[1]


def test_hard_epochs_take_the_samples_with_the_largest_losses() -> None:
    inputs = torch.arange(100.0)[:, None]
    hardness = torch.randperm(100, generator=torch.Generator().manual_seed(0)).float()
    seen: list[Tensor] = []

    def note(batch: Tensor) -> Tensor:
        seen.append(batch[:, 0].long())
        return batch

    results = fit(
        nn.Linear(1, 1),
        (inputs, hardness),
        (inputs, hardness),
        epochs=2,
        hard_epochs=2,
        hard_part=0.25,
        loss=lambda outputs, targets: outputs.squeeze(1) * 0 + targets,
        transform=note,
        **OPTIONS | {"batch_size": 5},
    )
    assert [len(batch) for batch in seen] == [5] * (20 + 20 + 5 + 5)
    for begin, end in ((0, 20), (20, 40)):
        assert sorted(torch.cat(seen[begin:end]).tolist()) == list(range(100))
    hardest = set(hardness.argsort()[-25:].tolist())
    for begin, end in ((40, 45), (45, 50)):
        assert set(torch.cat(seen[begin:end]).tolist()) == hardest
    assert not torch.equal(torch.cat(seen[40:45]), torch.cat(seen[45:50]))
    # That of the last two is of the hardest only, and none is of another number of batches.
    losses = [result.train_loss for result in results]
    assert losses == pytest.approx([49.5, 49.5, 87.0, 87.0])


def test_few_hard_samples_make_one_batch() -> None:
    batches: list[int] = []

    def note(batch: Tensor) -> Tensor:
        batches.append(len(batch))
        return batch

    options = OPTIONS | {"epochs": 1, "hard_epochs": 1, "hard_part": 0.01, "transform": note}
    fit(network(), data(), data(), loss=OF_EACH, **options)
    assert batches == [10] * 11


def train(folder: Path, *, stop_at: int = -1) -> tuple[dict[str, Tensor], list[EpochResult]]:
    """Train two epochs and two hard ones, interrupted at a step, and return the weights."""
    steps = 0

    def count(batch: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise KeyboardInterrupt
        return batch

    folder.mkdir(exist_ok=True)
    trained = network()
    kept: dict[str, Any] = {"checkpoint": folder / "checkpoint.pt", "resume": True}
    numbers = {"epochs": 2, "hard_epochs": 2, "hard_part": 0.4, "threads": 1}
    options = OPTIONS | kept | numbers | {"make_optimizer": AdamW, "transform": count}
    results = fit(trained, data(), data(), loss=OF_EACH, **options)
    return trained.state_dict(), results


@pytest.mark.parametrize("stop_at", [15, 23, 27])  # in the second, third and fourth of 10, 10, 4, 4
def test_interrupted_training_ranks_as_one_that_was_not(tmp_path: Path, stop_at: int) -> None:
    whole, results = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", stop_at=stop_at)
    continued, same_results = train(tmp_path / "cut")
    assert results == same_results
    assert all(torch.equal(whole[name], continued[name]) for name in whole)
    saved = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)
    assert saved["last_losses"].shape == (105,)
    assert saved["last_losses"].count_nonzero() >= 100


def test_one_thread_gives_the_same_result_however_many_there_are() -> None:
    before = torch.get_num_threads()
    found, inside = [], []

    def note(batch: Tensor) -> Tensor:
        inside.append(torch.get_num_threads())
        return batch

    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            trained = network()
            fit(trained, data(), data(), epochs=1, threads=1, transform=note, **OPTIONS)
            assert torch.get_num_threads() == threads
            found.append(trained.state_dict())
        assert set(inside) == {1}
        fit(network(), data(), data(), epochs=1, transform=note, **OPTIONS)
        assert inside[-1] == 3

        def fail(_: Tensor) -> Tensor:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(network(), data(), data(), epochs=1, threads=1, transform=fail, **OPTIONS)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


NONE = torch.rand(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
LOADER = DataLoader(TensorDataset(*data()), 10)
LARGE = DataLoader(TensorDataset(*data()), 128, drop_last=True)
OWN = WeightedRandomSampler(torch.ones(105), 105)
LARGE_OF_ITS_OWN = DataLoader(TensorDataset(*data()), 128, sampler=OWN, drop_last=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"hard_epochs": 1}, 'give it reduction="none"'),
        ({"hard_epochs": 1, "loss": lambda *_: torch.zeros(4)}, 'give it reduction="none"'),
        ({"hard_epochs": -1}, "hard_epochs = -1 must be at least 0"),
        ({"hard_epochs": 1, "hard_part": 0.0}, "hard_part = 0.0 above 0 and at most 1"),
        ({"hard_epochs": 1, "hard_part": 1.5}, "hard_part = 1.5 above 0 and at most 1"),
        ({"hard_epochs": 1, "train_data": LOADER}, "does not say which samples are hard"),
        ({"threads": 0}, "threads = 0 must be at least 1"),
        ({"test_data": NONE}, "0 inputs and 0 targets to test on"),
        ({"test_data": DataLoader(TensorDataset(*NONE))}, "nothing to test on"),
        ({"test_data": LARGE}, "nothing to test on: the DataLoader has no batch"),
        ({"train_data": LARGE_OF_ITS_OWN}, "nothing to learn from: the DataLoader has no batch"),
        ({"test_data": (data()[0], data()[1][:9])}, "105 inputs and 9 targets to test on"),
        ({"train_data": (data()[0], data()[1][:9])}, "105 inputs and 9 targets to learn from"),
    ],
)
def test_what_no_training_can_be_made_of_is_told_in_a_sentence(
    options: dict[str, Any], complaint: str
) -> None:
    parts = {"train_data": data(), "test_data": data(), "epochs": 1}
    with pytest.raises(ParameterError, match=complaint):
        fit(network(), **OPTIONS | parts | options)


@pytest.mark.parametrize("loader", [False, True])
def test_numbers_have_no_accuracy_and_classes_do(loader: bool) -> None:
    inputs = torch.rand(50, 3)
    for targets, names in ((inputs.sum(1, keepdim=True), []), (inputs.argmax(1), ["accuracy"])):
        pair: Any = (inputs, targets)
        pair = DataLoader(TensorDataset(*pair), 10) if loader else pair
        loss = nn.CrossEntropyLoss() if names else nn.MSELoss()
        outputs = 3 if names else 1
        (result,) = fit(nn.Linear(3, outputs), pair, pair, epochs=1, loss=loss, **OPTIONS)
        assert list(result.metrics) == names


def test_numbers_of_numpy_have_no_accuracy() -> None:
    pairs: Any = [(torch.rand(3), np.float32(number)) for number in range(20)]
    regression = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    loader = DataLoader(pairs, 10)
    (result,) = fit(regression, loader, loader, epochs=1, loss=nn.MSELoss(), **OPTIONS)
    assert result.metrics == {}


def test_process_without_a_sample_to_test_on_adds_nothing() -> None:
    class Last(Processes):
        def sum(self, values: Tensor) -> Tensor:
            return values + 1  # what the others have found

    few = torch.rand(2, 3), torch.zeros(2, dtype=torch.int64)
    last = Last(rank=2, count=3)
    result = evaluate(nn.Linear(3, 2), few, torch.tensor(0.5), OF_EACH, {}, last)
    assert (result.train_loss, result.test_loss) == (0.5, 1.0)


def test_checkpoint_of_other_frozen_weights_is_refused_in_a_sentence(tmp_path: Path) -> None:
    options = {"checkpoint": tmp_path / "checkpoint.pt", "resume": True, **OPTIONS}
    trained = network()
    fit(trained, data(), data(), epochs=1, **options)
    trained[4].bias.requires_grad_(False)
    with pytest.raises(CheckpointError, match="is from another network"):
        fit(trained, data(), data(), epochs=1, **options)
