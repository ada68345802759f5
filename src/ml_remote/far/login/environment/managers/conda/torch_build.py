"""torch for a card or for the CPU: conda decides by `__cuda`, which a login node does not have.

CONDA_OVERRIDE_CUDA says which version of CUDA to assume; empty says that there is none. All three
clients read it.
"""

import os
import re
from pathlib import Path
from typing import Dict, Optional

from ...failures import Failure
from ...output import say
from .packages import Package, packages_of

__all__ = ["card_of", "check_build", "cuda_variables", "propose_card", "wants_card"]

_CHOICE = re.compile(r"^cu(\d{2})(\d)$")
_BUILD = re.compile(r"cuda_?(\d{2})(\d)")
_SLURM = re.compile(r"(?ms)^\[slurm\](.*?)(?=^\[|\Z)")
_GPUS = re.compile(r"(?m)^\s*gpus\s*=\s*[1-9]|^[^#\n]*--(?:gres=gpu|gpus)")
_OVERRIDE = "CONDA_OVERRIDE_CUDA"


def card_of(prefix: Optional[Path]) -> Optional[str]:
    """Return the CUDA version of the torch in an environment, "" for the CPU; None: no torch."""
    packages = {p.name: p for p in packages_of(prefix)} if prefix is not None else {}
    torch = packages.get("pytorch")
    if torch is None:
        return None
    named = _BUILD.search(torch.build)
    if named:
        return "{}.{}".format(*named.groups())
    is_for_card = any(needed.split()[0] == "__cuda" for needed in torch.depends)
    return _version(packages.get("cuda-version")) if is_for_card else ""


def _version(package: Optional[Package]) -> str:
    return ".".join(package.version.split(".")[:2]) if package else "12.6"


def cuda_variables(choice: str, before: Optional[str]) -> Dict[str, str]:
    """Return the variables for `[environment] torch`; `before` is `card_of` the present one.

    Without a choice, an environment for a card stays one, also where there is no card.
    Raises Failure for a choice that conda does not have.
    """
    if choice == "cpu":
        return {_OVERRIDE: ""}
    named = _CHOICE.match(choice)
    if named:
        return {_OVERRIDE: "{}.{}".format(*named.groups())}
    if choice not in ("", "auto"):
        raise Failure(
            'conda has no torch build called "{}".'.format(choice),
            'Set torch under [environment] in lab.toml to "auto", "cpu", or "cu126" for CUDA 12.6.',
        )
    if before and _OVERRIDE not in os.environ and not _has_card():
        return {_OVERRIDE: before}
    return {}


def check_build(choice: str, before: Optional[str], after: Optional[str]) -> None:
    """Raise Failure if torch is now for the CPU, and was, or should be, for a card."""
    if after != "" or choice == "cpu":
        return
    if _CHOICE.match(choice):
        raise Failure(
            'conda found only the CPU build of torch, and lab.toml asks for "{}".'.format(choice),
            "The list may need versions that were never built for it. Try another one, such as"
            ' torch = "cu128" or "cu126" under [environment].',
        )
    if before:
        raise Failure(
            "conda would replace torch for CUDA {} with the CPU build. The environment was not "
            "changed.".format(before),
            'To keep the cards: torch = "cu{}" under [environment] in lab.toml.'.format(
                before.replace(".", "")
            ),
            'If the CPU is what you want: torch = "cpu".',
        )


def wants_card(variables: Dict[str, str]) -> bool:
    """Return whether conda will take torch for a card, with these variables set."""
    override = variables.get(_OVERRIDE, os.environ.get(_OVERRIDE))
    return _has_card() if override is None else bool(override)


def propose_card(root: Path, choice: str, card: Optional[str]) -> None:
    """Explain how to get torch for cards if only compute nodes have them."""
    if card == "" and choice in ("", "auto") and not _has_card() and _asks_for_cards(root):
        say(
            "This machine has no card, so conda chose torch for the CPU; [slurm] in lab.toml asks"
            ' for GPUs. For those: torch = "cu126" under [environment] in lab.toml, then lab setup.'
        )


def _asks_for_cards(root: Path) -> bool:
    """Return whether lab.toml or lab.local.toml asks Slurm for GPUs."""
    for name in ("lab.toml", "lab.local.toml"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        table = _SLURM.search(text)
        if table and _GPUS.search(table.group(1)):
            return True
    return False


def _has_card() -> bool:
    """Return whether this machine has a card of NVIDIA, with its driver."""
    return os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidia0")
