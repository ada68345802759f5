"""Several processes: they share the work, stay together, and one of them speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from {{ cookiecutter.package_name }}.distributed import Processes

# Trains under torchrun; each process notes what it ended with.
TRAINING = """
import json, os, sys
from pathlib import Path
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from {{ cookiecutter.package_name }}.runs import start_run
from {{ cookiecutter.package_name }}.training import fit

run = start_run("training", {"others_have": 400})
rank = int(os.environ.get("RANK", "0"))
torch.manual_seed(0)
images, labels = torch.rand(500, 1, 28, 28), torch.randint(0, 2, (500,))
images[labels == 1, :, :14] += 0.2
few = slice(0, 400 if rank == 0 else run.parameters.others_have)
train, test = (images[few], labels[few]), (images[400:], labels[400:])
torch.manual_seed(rank)
network = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(),
    nn.Linear(128, 2),
)
loss, hard = nn.CrossEntropyLoss(reduction="none"), 1
if os.environ.get("LOADER"):
    hard = 0
    train, test = (DataLoader(TensorDataset(*part), 32, shuffle=True) for part in (train, test))
results = fit(
    network, train, test, epochs=4 - hard, hard_epochs=hard, loss=loss, batch_size=32, seed=0,
    peak_learning_rate=0.1, device=torch.device("cpu"), checkpoint=run.checkpoint,
    resume=run.resumes,
)
weights = [weight.tolist() for weight in network.state_dict().values()]
accuracy = results[-1].metrics["accuracy"]
Path(os.environ["NOTES"], str(rank)).write_text(json.dumps([accuracy, weights]))
print("results of", rank)
run.end_other_processes()
run.save_metrics({"accuracy": accuracy})
"""


def run_training(
    folder: Path, *words: str, processes: int | None = 2
) -> subprocess.CompletedProcess[str]:
    """Run it by torchrun in so many processes, or without torchrun."""
    notes = folder / "notes"
    notes.mkdir(parents=True)
    script = folder / "training.py"
    script.write_text(TRAINING)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [sys.executable, *(torchrun if processes else []), str(script), *words],
        env={
            **os.environ,
            "LAB_OUTPUT_DIR": str(folder / "results"),
            "NOTES": str(notes),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )


def test_processes_share_a_batch_without_overlap() -> None:
    batch = torch.randperm(32)
    shares = [Processes(rank=rank, count=3).share(batch) for rank in range(3)]
    assert {len(share) for share in shares} == {10}
    assert torch.equal(torch.cat(shares), batch[:30])


@pytest.mark.parametrize("loader", ["", "DataLoader"])
def test_two_processes_learn_the_same_network_and_one_writes(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADER", loader)
    done = run_training(tmp_path)
    assert done.returncode == 0, done.stderr
    notes = [json.loads((tmp_path / "notes" / rank).read_text()) for rank in ("0", "1")]
    assert notes[0] == notes[1]
    assert notes[0][0] > 0.8
    assert "results of 0" in done.stdout
    assert "results of 1" not in done.stdout
    results = {path.name for path in (tmp_path / "results").iterdir()}
    assert results == {"checkpoint.pt", "metrics.json", "metrics.jsonl"}


def test_training_of_two_processes_is_continued_by_one(tmp_path: Path) -> None:
    run_training(tmp_path)
    (tmp_path / "notes").rename(tmp_path / "notes of two")
    done = run_training(tmp_path, processes=None)
    assert "Continuing after epoch 4" in done.stdout
    of_two, of_one = (
        json.loads((tmp_path / notes / "0").read_text()) for notes in ("notes of two", "notes")
    )
    assert of_one == of_two


def test_processes_with_different_data_are_told_apart(tmp_path: Path) -> None:
    done = run_training(tmp_path, "-p", "others_have", "300")
    assert done.returncode != 0
    assert "different data: 300 samples, 400 samples" in done.stderr
