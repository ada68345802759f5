"""Checkpoints: a training that was interrupted continues as if nothing had happened."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from handwriting_lab.checkpoints import CheckpointError
from handwriting_lab.data import ImageData
from handwriting_lab.training import EpochResult, fit

# Three epochs of eleven steps; told so, it is killed in the middle of the second one.
TRAINING = """
import os, signal, sys
from pathlib import Path
import torch
from torch import nn
from handwriting_lab.data import shift
from handwriting_lab.training import fit

def count_step(*_):
    global steps
    steps += 1
    if sys.argv[2] == "kill" and steps == 17:
        os.kill(os.getpid(), signal.SIGKILL)

steps = 0
folder = Path(sys.argv[1])
torch.manual_seed(0)
data = torch.rand(352, 1, 28, 28), torch.randint(0, 10, (352,))
network = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.Dropout(0.2), nn.MaxPool2d(3),
    nn.Flatten(), nn.Linear(128, 10),
)
network[-1].register_full_backward_hook(count_step)
fit(
    network, data, data, epochs=3, batch_size=32, seed=0, transform=shift(1),
    peak_learning_rate=0.1, device=torch.device("cpu"), checkpoint=folder / "checkpoint.pt",
    resume=True,
)
torch.save(network.state_dict(), folder / "weights.pt")
"""


def run_training(folder: Path, how: str = "") -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", TRAINING, str(folder), how]
    return subprocess.run(command, capture_output=True, text=True)


def small_network(channels: int = 8) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(36 * channels, 4)
    )


def train(
    data: ImageData,
    checkpoint: Path,
    *,
    network: nn.Module | None = None,
    epochs: int = 1,
    seed: int = 0,
    resume: bool = True,
) -> list[EpochResult]:
    return fit(
        network or small_network(),
        data.train.tensors,
        data.test.tensors,
        epochs=epochs,
        batch_size=64,
        peak_learning_rate=0.1,
        seed=seed,
        device=torch.device("cpu"),
        checkpoint=checkpoint,
        resume=resume,
    )


def test_killed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_training(whole).returncode == 0
    assert run_training(cut, "kill").returncode == -signal.SIGKILL
    again = run_training(cut)
    assert "Continuing after epoch 1" in again.stdout
    assert "epoch  1" not in again.stdout
    expected, weights = (torch.load(folder / "weights.pt") for folder in (whole, cut))
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


def test_training_from_a_data_loader_continues_after_the_last_complete_epoch(
    few_images: ImageData, tmp_path: Path
) -> None:
    steps = 100

    def interrupted(inputs: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 10:  # of eight an epoch
            raise KeyboardInterrupt
        return inputs

    def run(folder: Path) -> dict[str, Tensor]:
        folder.mkdir(exist_ok=True)
        network = small_network()
        parts = few_images.train, few_images.test
        loaders = (DataLoader(TensorDataset(*part.tensors), 50, shuffle=True) for part in parts)
        kept = {"checkpoint": folder / "checkpoint.pt", "resume": True}
        options: dict[str, Any] = {"device": torch.device("cpu"), "transform": interrupted, **kept}
        fit(network, *loaders, epochs=2, peak_learning_rate=0.1, **options)
        return network.state_dict()

    whole = run(tmp_path / "whole")
    steps = 0
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    cut = run(tmp_path / "cut")
    assert steps == 10 + 8
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    noted = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert noted[0] == noted[1]
    assert [json.loads(line)["epoch"] for line in noted[0].splitlines()] == [1, 2]


def test_training_that_is_complete_is_not_done_again(few_images: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    first = train(few_images, path, epochs=2)
    content = path.read_bytes()
    assert train(few_images, path, epochs=2) == first
    assert path.read_bytes() == content


def test_without_resume_a_training_begins_afresh(few_images: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    train(few_images, path, seed=1)
    assert train(few_images, path, resume=False) == train(few_images, tmp_path / "other.pt")


def test_checkpoint_of_another_training_is_refused_and_kept(
    few_images: ImageData, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    train(few_images, path)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="its epochs was 1, now it is 2"):
        train(few_images, path, epochs=2)
    with pytest.raises(CheckpointError, match="is from another network"):
        train(few_images, path, network=small_network(channels=4))
    assert path.read_bytes() == content


EARLIER = io.BytesIO()  # a version of this code that kept its results under another name
torch.save({"settings": {}, "results": [(1.0, 1.0, 0.5)], "network": {}}, EARLIER)


@pytest.mark.parametrize("content", [b"", b"none", b"PK\x03\x04 cut off", EARLIER.getvalue()])
def test_damaged_checkpoint_is_told_in_a_sentence(
    few_images: ImageData, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a checkpoint of this code"):
        train(few_images, path)
    assert path.read_bytes() == content


def test_checkpoint_that_cannot_be_written_leaves_the_last_one_whole(
    few_images: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    train(few_images, path)
    content = path.read_bytes()

    def fill_the_disk(_: object, file: object) -> None:
        file.write(b"a part")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        train(few_images, path, resume=False)
    assert path.read_bytes() == content
    assert {found.name for found in tmp_path.iterdir()} == {path.name, "metrics.jsonl"}
