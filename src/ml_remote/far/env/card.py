"""Print in one line that this machine has a card that torch cannot use.

A build for the CPU runs everything, slowly and without a word: on a cluster it is what conda takes
on a login node, which has no card. Kernels say it once a cell has imported torch.

    .venv/bin/python .lab/far/current card

says it beside a script that Slurm runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol

__all__ = ["has_card", "main", "say_after_import", "say_unusable_card", "unusable_card"]

_HIDDEN = ("", "-1", "NoDevFiles")
_JOB_HAS_CARDS = ("SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")


class Events(Protocol):
    """The part of IPython's EventManager that is used."""

    def register(self, event: str, function: Callable[..., None]) -> None:
        """Register a function for an event."""

    def unregister(self, event: str, function: Callable[..., None]) -> None:
        """Stop calling a function."""


def main(arguments: list[str]) -> int:
    """Print the line, if there is a reason."""
    if has_card():
        import torch

        say_unusable_card(torch)
    return 0


def has_card(root: Path = Path("/"), variables: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process may use a card of NVIDIA; `root` is where `/dev` is.

    Cards that are hidden on purpose, or that a Slurm job did not ask for, do not count.
    """
    if variables.get("CUDA_VISIBLE_DEVICES", "all") in _HIDDEN:
        return False
    if "SLURM_JOB_ID" in variables and not any(variables.get(name) for name in _JOB_HAS_CARDS):
        return False
    driver = root / "proc" / "driver" / "nvidia" / "gpus"
    return any((root / "dev").glob("nvidia[0-9]*")) or any(driver.glob("*"))


def unusable_card(torch: ModuleType) -> str:
    """Return why `torch`, the module, cannot compute on the card; empty if it can."""
    build = f"This machine has a card, but torch {torch.__version__} cannot use it"
    if torch.version.cuda is None:
        return (
            f"{build}: it is a build for the CPU."
            ' Set torch = "cu126" under [environment] in lab.toml, then: lab setup'
        )
    if not torch.cuda.is_available():
        return (
            f"{build}: CUDA {torch.version.cuda} does not start here. The driver may be too old;"
            " nvidia-smi shows its version"
        )
    major, minor = torch.cuda.get_device_capability(0)
    if not any(_fits(name, major, minor) for name in torch.cuda.get_arch_list()):
        return (
            f"{build}: it has no code for {torch.cuda.get_device_name(0)} (sm_{major}{minor})."
            ' Set another build, such as torch = "cu126" or "cu128", in lab.toml: lab setup'
        )
    return ""


def _fits(name: str, major: int, minor: int) -> bool:
    """Return whether code for `name`, such as sm_86 or compute_90, runs on this capability."""
    kind, _, digits = name.partition("_")
    digits = digits.rstrip("af")
    if not digits.isdigit():
        return False
    built = int(digits[:-1]), int(digits[-1])
    return built <= (major, minor) and (kind == "compute" or built[0] == major)


def say_unusable_card(torch: ModuleType) -> None:
    """Print the line, if there is a card and torch cannot use it."""
    try:
        line = unusable_card(torch) if has_card() else ""
    except Exception:  # a module that only looks like torch, or a driver that fails: not our matter
        return
    if line:
        print(line, file=sys.stderr, flush=True)


def say_after_import(events: Events) -> None:
    """Make a kernel print the line after the first cell that imported torch."""
    if not has_card():
        return

    def look(*_: object) -> None:
        if "torch" in sys.modules:
            events.unregister("post_run_cell", look)
            say_unusable_card(sys.modules["torch"])

    events.register("post_run_cell", look)
