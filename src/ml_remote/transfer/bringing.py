"""Bringing results home, and saying what came, what was kept and what stays on the machine."""

from __future__ import annotations

from collections.abc import Sequence

from ..context import Context
from ..machine import Machine
from ..ui.console import Console
from ..ui.display import transfer_bar
from ..ui.text import in_one_line
from .choosing import EVERYTHING, Choice
from .fetching import Fetched, fetch_outputs
from .outputs import LeftOut

__all__ = ["bring_outputs"]

_NAMED = 5  # names in one message


def bring_outputs(
    context: Context,
    machine: Machine,
    *,
    only: str = "",
    choice: Choice = EVERYTHING,
    overwrite: bool = False,
) -> Fetched:
    """Bring outputs home with a progress bar, and say in a line what came."""
    console = context.console
    with transfer_bar("outputs/") as progress:
        fetched = fetch_outputs(
            machine,
            context.project.outputs,
            only=only,
            choice=choice,
            overwrite=overwrite,
            progress=progress,
        )
    came = len(fetched.new) + len(fetched.replaced) + len(fetched.beside)
    if came:
        console.say(f"{_files(came)} came to outputs/ ({fetched.size / 1e6:.1f} MB).")
    elif not (fetched.deleted or fetched.left_out):
        console.say("outputs/ has everything that is there already.")
    else:
        console.say("Nothing new came to outputs/.")
    _tell_of_own(fetched, machine, console)
    if fetched.deleted:
        console.say(
            f"{_files(len(fetched.deleted))} that you deleted here did not come. To bring a run "
            "back: lab pull RUN"
        )
    for reason, names in _by_reason(fetched.left_out).items():
        console.warn(f"{_files(len(names))} stayed there: {reason} ({_some(names)}).")
    if fetched.running:
        console.warn(
            f"These runs continue on {machine.alias}, so their files are not final: "
            f"{_some(fetched.running)}. When they have ended: lab pull"
        )
    return fetched


def _tell_of_own(fetched: Fetched, machine: Machine, console: Console) -> None:
    """Say what became of files that the person has changed."""
    if fetched.kept:
        verb = "differs here and was" if len(fetched.kept) == 1 else "differ here and were"
        beside = f" {machine.alias}'s versions are beside them (NAME.from-{machine.alias})."
        console.warn(
            f"{_files(len(fetched.kept))} {verb} kept: {_some(fetched.kept)}.{beside} To replace "
            "them: lab pull --overwrite"
        )
    if fetched.backups:
        console.say(f"Your versions are kept as {_some(fetched.backups)}.")


def _by_reason(left_out: Sequence[LeftOut]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for one in left_out:
        reasons.setdefault(one.reason, []).append(one.name)
    return reasons


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(map(in_one_line, names[:_NAMED])) + more
