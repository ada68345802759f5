"""The state of a training, kept in a file, so that one that was killed can go on from there."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .distributed import Processes
from .runs import LabError

__all__ = ["CheckpointError", "EpochResult", "TrainingState"]


class CheckpointError(LabError):
    """A checkpoint that cannot be read, or that belongs to another training."""


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training images achieved.

    Attributes:
        train_loss: mean cross-entropy over the epoch's batches, in nats.
        test_loss: mean cross-entropy over the test images after the epoch, in nats.
        accuracy: part of the test images that are classified correctly, from 0 to 1.
    """

    train_loss: float
    test_loss: float
    accuracy: float


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a training depends on.

    Attributes:
        settings: what must be the same for a checkpoint to be of this training.
        results: those of the epochs that are complete.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    settings: Mapping[str, str | int | float]
    results: list[EpochResult] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """How many epochs are complete."""
        return len(self.results)

    def save(self, path: Path) -> None:
        """Write a checkpoint to `path`: whole, or not at all."""
        _write(
            path,
            {
                "settings": dict(self.settings),
                "results": [astuple(result) for result in self.results],
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "generator": self.generator.get_state(),
                "random": torch.get_rng_state(),
            },
        )

    def restore(self, path: Path, processes: Processes) -> None:
        """Go on from the newest checkpoint that any machine has at `path`, if there is one.

        Raises:
            CheckpointError: it is unreadable, or that of another training.
        """
        saved = _read(path)
        saved = processes.newest(saved, age=0 if saved is None else len(saved["results"]))
        if saved is None:
            return
        for name, value in self.settings.items():
            if saved["settings"].get(name) != value:
                raise CheckpointError(
                    f"{path} is the checkpoint of another training: its {name} was "
                    f"{saved['settings'].get(name)!r}, now it is {value!r}. Take the same "
                    "parameters, or begin afresh in another folder (LAB_OUTPUT_DIR)."
                )
        try:
            self.network.load_state_dict(saved["network"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} is the checkpoint of a network with other layers. Begin afresh in another "
                "folder (LAB_OUTPUT_DIR)."
            ) from error
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["random"])
        self.results.extend(EpochResult(*values) for values in saved["results"])
        if processes.is_first:
            print(f"The training goes on after epoch {self.epoch}, from {path}.", flush=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what was written to `path`, tensors on the CPU; None if there is no such file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint. Move it away, and the training begins afresh."
        ) from error
    if not isinstance(state, dict) or not {"settings", "results", "network"} <= state.keys():
        raise CheckpointError(f"{path} holds no checkpoint. Move it away.")
    return state


def _write(path: Path, state: Mapping[str, Any]) -> None:
    # A name of its own: on a shared file system other machines may write the same checkpoint.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
