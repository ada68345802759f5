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
from torch import nn

from .distributed import Processes
from .evaluation import EpochResult
from .runs import LabError

__all__ = ["CheckpointError", "TrainingState"]

PARTS = ("network", "optimizer", "schedule")
AFRESH = "Take the same again, or begin afresh in another folder (LAB_OUTPUT_DIR)."


class CheckpointError(LabError):
    """A checkpoint that cannot be read, or that belongs to another training."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a training depends on."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    settings: Mapping[str, str | int | float]  # the same for all checkpoints of a training
    results: list[EpochResult] = field(default_factory=list)  # of the epochs that are complete

    def save(self, path: Path) -> None:
        """Write a checkpoint to `path`: whole, or not at all."""
        parts = {
            "settings": dict(self.settings),
            "results": [astuple(result) for result in self.results],
            **{name: getattr(self, name).state_dict() for name in PARTS},
            "generator": self.generator.get_state(),
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
        saved = processes.newest(saved, age=0 if saved is None else len(saved["results"]))
        if saved is None:
            return
        for name, value in self.settings.items():
            if (before := saved["settings"].get(name)) != value:
                change = f"its {name} was {before!r}, now it is {value!r}"
                raise CheckpointError(f"{path} is of another training: {change}. {AFRESH}")
        try:
            for name in PARTS:
                getattr(self, name).load_state_dict(saved[name])
        except RuntimeError as error:
            raise CheckpointError(f"{path} is of a network with other layers. {AFRESH}") from error
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["random"])
        self.results.extend(EpochResult(*values) for values in saved["results"])
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
    if not isinstance(state, dict) or not {"settings", "results", "network"} <= state.keys():
        raise CheckpointError(f"{path} is no checkpoint. Move it away to begin afresh.")
    return state
