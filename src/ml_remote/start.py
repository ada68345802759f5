"""The command `lab`, installed once: in a project it runs the version that the project pins."""

from __future__ import annotations

import os
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import (
    find_program,
    keep_out_of_this_folder,
    keep_packages_apart,
    name_files_in_utf8,
)

if TYPE_CHECKING:
    from .pins import Pin

__all__ = ["main"]

ACCEPT = "--accept-tool"
_GUARD = "LAB_HANDED_OVER"


def main() -> int:
    """Run `lab` for the project that one is in, and return its exit code."""
    keep_packages_apart()  # before anything of others is imported
    from .errors import LabError
    from .exit_codes import own_failure
    from .ui.console import Console
    from .ui.reporting import report, report_unforeseen

    name_files_in_utf8()
    keep_out_of_this_folder()
    arguments = sys.argv[1:]
    # Only in front of the command: what follows it is the command's own.
    options = list(takewhile(lambda word: word.startswith("-"), arguments))
    accepted = ACCEPT in options
    arguments = [word for word in options if word != ACCEPT] + arguments[len(options) :]
    own = own_failure(arguments)
    try:
        script = _script(accepted=accepted)
    except LabError as error:
        if "_LAB_COMPLETE" not in os.environ:  # a shell that completes shows nothing else
            report(error, Console())
        return own or error.exit_code
    except Exception as error:
        if "_LAB_COMPLETE" not in os.environ:
            report_unforeseen(error, Console())
        return own or 1
    if script is not None:
        return _hand_over(script, arguments, own)
    from .cli import main as run

    return run(arguments)


def _script(*, accepted: bool) -> Path | None:
    """Return the lab.py to run; None when what is installed is what this project runs.

    Raises LabError when there is one that must not be run.
    """
    from .errors import LabError
    from .pins import SCRIPT, read_pin, read_uv_settings
    from .project import current_folder, nearest_root
    from .trust import check_owner, is_trusted, trust
    from .ui.console import Console
    from .version import this_version

    root = nearest_root()
    if root is None:
        return None
    here = current_folder()
    check_owner(root, *read_uv_settings(root, here))
    pin = read_pin(root, here)
    if pin is None and (root / SCRIPT).is_file() and "_LAB_COMPLETE" not in os.environ:
        Console().note(f"{root / SCRIPT} pins no version of lab. This one runs: {this_version()}")
    if pin is None or _is_this(pin):
        return None
    script = root / "lab.py"
    if os.environ.get(_GUARD) == str(script):
        raise LabError(f"{script} starts `lab` again instead of the tool it pins.")
    if not is_trusted(pin):
        if not accepted:
            _ask(root, pin)
        try:
            trust(pin)
        except LabError as error:
            Console().warn(f"{error} lab will ask again next time.")
    return script


def _is_this(pin: Pin) -> bool:
    """Return whether a project runs the very tool that is installed."""
    from .version import this_version

    here = this_version()
    if pin.commit is not None:
        return pin.commit == here.commit
    return (
        here.folder is not None and pin.folder is not None and pin.folder.resolve() == here.folder
    )


def _ask(root: Path, pin: Pin) -> None:
    """Ask whether a tool that was never run before may be run. Raises LabError if not."""
    from click import Abort

    from .errors import LabError, UsageError
    from .trust import what_runs
    from .ui.console import Console

    console = Console()
    by_hand = f"To agree in advance: lab {ACCEPT} ..."
    if "_LAB_COMPLETE" in os.environ or not console.has_terminal():
        raise UsageError(
            f"{root} runs lab from {pin.source}, which you have not run before.", hint=by_hand
        )
    console.note(f"{root} runs lab from\n  {pin.source}\nYou have not run it before.")
    for remark in what_runs(pin):
        console.note(remark)
    try:
        agreed = console.confirm("Run its code on this computer?", yes=False, default=False)
    except Abort:
        agreed = False
    if not agreed:
        raise LabError("Nothing was run.")


def _hand_over(script: Path, arguments: list[str], own_failure: int | None) -> int:
    """Run a project's lab.py by uv instead of this program; return the exit code."""
    uv = find_program("uv")
    if uv is None:
        from .ui.console import Console

        Console().note(
            "lab needs uv. Install it (https://docs.astral.sh/uv/); it installs everything else."
        )
        return own_failure or 1
    locked = ["--frozen"] if script.with_name("lab.py.lock").is_file() else []
    command = [uv, "run", *locked, "--quiet", "--script", str(script), *arguments]
    environment = {**os.environ, _GUARD: str(script)}
    if os.name != "nt":  # on Windows, the shell would not wait for it
        os.execve(uv, command, environment)
    import subprocess

    return subprocess.call(command, env=environment)
