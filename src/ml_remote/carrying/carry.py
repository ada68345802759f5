"""`lab setup --carry`, up to the installation: which wheels, how large, fetched, sent."""

from __future__ import annotations

from ..context import Context
from ..errors import UsageError
from ..machine import Machine
from ..remote_folders import settings_for_machine
from ..ui.display import transfer_bar
from ..ui.words import size_in_words
from .fetching import fetch_wheels, missing_here
from .python import fetch_python
from .sending import FOLDER, send_wheels
from .target import KEEP_CONDA, ask_target
from .wheels import find_wheels

__all__ = ["carry_wheels"]

_BY_INDEX = ("auto", "uv", "venv")


def carry_wheels(context: Context, machine: Machine, far: str, *, yes: bool = False) -> str:
    """Send the wheels of the environment to the machine; return their folder there.

    How much that is, is shown and asked first. Raises UsageError where conda makes the environment
    or the person says no, and LabError when something cannot be found, fetched or sent.
    """
    project, console = context.project, context.console
    settings = project.settings
    if settings.manager not in _BY_INDEX:
        raise UsageError(
            f"--carry installs wheels, but lab.toml asks for {settings.manager}.",
            hint=KEEP_CONDA,
        )
    target = ask_target(machine, far, settings_for_machine(machine, project.tables))
    console.note(f"Looking for wheels for Python {target.python} on {machine.alias} ...")
    uv_too = not target.has_uv and settings.manager != "venv"
    wheels = find_wheels(project.root, target, torch=settings.torch, uv_too=uv_too)
    folder = project.root / FOLDER
    total = size_in_words(sum(wheel.size for wheel in wheels))
    console.say(
        f"Wheels for {machine.alias} ({target.platforms[0]}): {len(wheels)}, {total}; still to "
        f"download: {len(missing_here(wheels, folder))}."
    )
    if target.instead_of:
        console.say(
            f"Python {target.python} will be sent too (about 40 MB): {machine.alias} has "
            f"{target.instead_of}, but the environment needs 3.11 or newer."
        )
    if not yes and not console.has_terminal():
        raise UsageError(
            "Nothing was downloaded: there is no terminal to answer in.",
            hint="To answer yes in advance: lab setup --carry --yes",
        )
    if not console.confirm("Download and send them?", yes=yes):
        raise UsageError("Nothing was downloaded.")
    with transfer_bar("Fetching") as progress:
        fetch_wheels(wheels, folder, target, progress)
    if target.instead_of:
        console.note("Downloading Python ...")
        wheels.append(fetch_python(target, folder))
    console.note(f"Sending them to {machine.alias} ...")
    with transfer_bar("Sending") as progress:
        send_wheels(machine, wheels, folder, progress)
    console.say(f"{len(wheels)} files are on {machine.alias}.")
    return FOLDER
