"""The link `data` on the machine, made when the project is sent."""

from __future__ import annotations

from ...context import Context
from ...errors import LabError
from ...machine import Machine
from ...remote_folders import data_folder
from ...scripts import run_script

__all__ = ["link_data"]


def link_data(context: Context, machine: Machine) -> None:
    """Point `data` on the machine at the folder that [data] names, if it names one.

    What is there already stays; that, and a folder that cannot be, is a warning.
    """
    settings = context.project.settings
    named = settings.data_read_only or settings.data_folder
    if not named:
        return
    console, alias = context.console, machine.alias
    try:
        wanted = data_folder(machine, settings)
        state = run_script(machine, "link-data", wanted.way, wanted.folder).stdout.split()[-1:]
    except LabError as error:
        console.warn(error.message)
        return
    if state == ["taken"]:
        console.warn(
            f"data on {alias} already exists and does not point to {wanted.folder}, so it was "
            "kept. Move its contents away there, then: lab push"
        )
    elif state != ["there"]:
        cannot = "is not there" if wanted.is_read_only else "cannot be made there"
        console.warn(f"[data] names a folder of {alias} that {cannot}: {wanted.folder}.")
