"""Fetch results, and report what was copied, what was kept and what stays on the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..context import Context
from ..machine import Machine
from ..ui.console import Console
from ..ui.display import transfer_bar
from ..ui.words import counted, size_in_words, some
from .choosing import EVERYTHING, Choice
from .fetching import Fetched, fetch_outputs
from .outputs import LeftOut, Listing

__all__ = ["fetch_and_report"]

_MANY = 10_000  # files; on both sides each is looked at, and thousands take a second


def fetch_and_report(
    context: Context,
    machine: Machine,
    *,
    only: str = "",
    choice: Choice = EVERYTHING,
    overwrite: bool = False,
    listing: Callable[[], Listing] | None = None,
) -> Fetched:
    """Fetch outputs with a progress bar, and report in a line what came; see fetch_outputs."""
    console = context.console
    with transfer_bar("outputs/") as progress:
        fetched = fetch_outputs(
            machine,
            context.project.outputs,
            only=only,
            choice=choice,
            overwrite=overwrite,
            progress=progress,
            listing=listing,
        )
    came = len(fetched.new) + len(fetched.replaced) + len(fetched.beside)
    if came:
        console.say(f"{counted(came, 'file')} copied to outputs/ ({size_in_words(fetched.size)}).")
    elif not (fetched.deleted or fetched.left_out):
        console.say("outputs/ is already up to date.")
    else:
        console.say("There is nothing new for outputs/.")
    _tell_of_own(fetched, machine, console)
    if fetched.deleted:
        console.say(
            f"{counted(len(fetched.deleted), 'file')} that you deleted here were skipped. To get a "
            "run back: lab pull RUN"
        )
    for reason, names in _by_reason(fetched.left_out).items():
        console.warn(f"{counted(len(names), 'file')} skipped: {reason} ({some(names)}).")
    if fetched.same >= _MANY:
        console.note(
            f"outputs/ has {fetched.same:,} files, and comparing them takes a while each time. To "
            "fetch only one run: lab pull RUN"
        )
    if fetched.running:
        console.warn(
            f"These runs are still in progress on {machine.alias}, so their files are not final: "
            f"{some(fetched.running)}. When they have ended: lab pull"
        )
    return fetched


def _tell_of_own(fetched: Fetched, machine: Machine, console: Console) -> None:
    """Report what became of files that the person has changed."""
    if fetched.kept:
        verb = "differs here and was" if len(fetched.kept) == 1 else "differ here and were"
        beside = f" {machine.alias}'s versions are beside them (NAME.from-{machine.alias})."
        console.warn(
            f"{counted(len(fetched.kept), 'file')} {verb} kept: {some(fetched.kept)}.{beside} To "
            "replace them: lab pull --overwrite"
        )
    if fetched.backups:
        console.say(f"Your versions are kept as {some(fetched.backups)}.")


def _by_reason(left_out: Sequence[LeftOut]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for one in left_out:
        reasons.setdefault(one.reason, []).append(one.name)
    return reasons
