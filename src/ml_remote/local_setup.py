"""`lab setup --local`: the project's environment, made on this computer by its own script."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

from .context import Context
from .errors import LabError
from .far.installed import FAR, install
from .jobs.events import ASKING
from .package_lists.sending import store_lists
from .processes import running
from .project import Project
from .setup_output import (
    IN_PLACE,
    SCRIPT,
    Output,
    may_change_in_place,
    no_script,
    say_what_is_left_out,
)
from .ui.display import steps
from .version import this_version

__all__ = ["set_up_locally"]

_LOG_HERE = "setup.log"


def set_up_locally(context: Context, *, upgrade: bool, in_place: bool = False) -> str:
    """Make the environment on this computer and return the last that was printed.

    All of it is kept in `.lab/setup.log`.
    """
    project = context.project
    _ = project.settings  # what the script would take as it is, is checked first
    far = install(project.root / FAR)
    command = ["sh", SCRIPT]
    lists = ""
    if not (project.root / SCRIPT).is_file():
        lists = store_lists(project.root)
        say_what_is_left_out(context)
        if not lists:
            raise no_script(project.root, "this computer")
        command = [sys.executable, str(far), "environment"]
    elif shutil.which("sh") is None:
        raise LabError(
            "There is no sh on this computer to run the script.",
            hint="Install Git for Windows and run this in Git Bash, or use WSL",
        )
    _leave_settings(project)
    variables = {
        "LAB_FAR": far.relative_to(project.root).as_posix(),
        "LAB_FAR_COMMIT": this_version().commit or "",
        **({"LAB_LISTS": lists} if lists else {}),
        **({"LAB_UPGRADE": "1"} if upgrade else {}),
        **({IN_PLACE: "1"} if in_place else {}),
        **ASKING,
    }
    log = project.state / _LOG_HERE
    with (
        steps() as shown,
        log.open("w", encoding="utf-8") as kept,
        running(command, folder=project.root, variables=variables, merge_errors=True) as process,
    ):
        output = Output(shown)
        process.send("", close=True)
        for line in process.lines():
            kept.write(f"{line}\n")
            output.add(line.rpartition("\r")[2])
        code = process.wait()
    if code != 0:
        log_command = shlex.join(["cat", str(log)])
        failure = output.failure("this computer", log_command, is_local=True)
        if in_place or not may_change_in_place(context, failure):
            raise failure
        return set_up_locally(context, upgrade=upgrade, in_place=True)
    return output.last


def _leave_settings(project: Project) -> None:
    """Leave the settings for the script that makes the environment here, readable for us alone."""
    from .tables import HANDED

    settings = project.root / HANDED
    new = settings.with_name(f"settings-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(project.tables.text_for_here())
    new.replace(settings)
