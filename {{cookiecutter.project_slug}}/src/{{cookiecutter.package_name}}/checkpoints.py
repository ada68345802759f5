"""The state of a training, kept in a file, so that one that was killed can continue from there."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .distributed import Processes
from .evaluation import EpochResult
from .optimizers import Optimizer
from .runs import LabError

__all__ = ["CheckpointError", "TrainingState"]

PARTS = ("network", "optimizer")
AFRESH = "Use the same settings, or start again in another folder (LAB_OUTPUT_DIR)."


class CheckpointError(LabError):
    """A checkpoint that cannot be read, or that belongs to another training."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a training depends on."""

    network: nn.Module
    optimizer: Optimizer
    generator: torch.Generator
    last_losses: Tensor  # of each sample, by which they are ranked: shape (N,), or (0,)
    settings: Mapping[str, str | int | float]  # the same for all checkpoints of a training
    results: list[EpochResult] = field(default_factory=list)  # of the epochs that are complete

    def save(self, path: Path) -> None:
        """Write a checkpoint to `path`: whole, or not at all."""
        parts = {
            "settings": dict(self.settings),
            "epochs": [astuple(result) for result in self.results],
            **{name: getattr(self, name).state_dict() for name in PARTS},
            "generator": self.generator.get_state(),
            "last_losses": self.last_losses,
            "random": torch.get_rng_state(),
        }
        # A name of its own: on a shared file system other machines may write the same checkpoint.
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                torch.save(parts, file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                Path(file.name).unlink()
                raise
        Path(file.name).replace(path)

    def restore(self, path: Path, processes: Processes) -> None:
        """Continue from the newest checkpoint that any machine has at `path`, if there is one."""
        saved = _read(path)
        saved = processes.newest(saved, age=0 if saved is None else len(saved["epochs"]))
        if saved is None:
            return
        for name, value in self.settings.items():
            if (before := saved["settings"].get(name)) != value:
                change = f"its {name} was {before!r}, now it is {value!r}"
                raise CheckpointError(f"{path} is from another training: {change}. {AFRESH}")
        try:
            for name in PARTS:
                getattr(self, name).load_state_dict(saved[name])
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path} is from another network. {AFRESH}") from error
        self.generator.set_state(saved["generator"])
        self.last_losses.copy_(saved["last_losses"])
        torch.set_rng_state(saved["random"])
        self.results.extend(EpochResult(*values) for values in saved["epochs"])
        if processes.is_first:
            print(f"Continuing after epoch {len(self.results)}, from {path}.", flush=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what was written to `path`, tensors on the CPU; None if there is no such file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        state = None
    if not isinstance(state, dict) or not {"settings", "epochs", "network"} <= state.keys():
        raise CheckpointError(f"{path} is not a checkpoint of this code. To start again, move it.")
    return state
