"""The sh scripts that run on the machine (`far/login/*.sh`), and what their exit codes mean.

A script may begin with a line `# needs: jobs slurm`: these files, and what they need, are put in
front of it. `# needs: folder` makes it run in the project's folder, which is its first argument.
`# functions: list-jobs code-state` makes functions of other scripts, which they do not notice: one
session of ssh then does the work of several. A hyphen in a name becomes an underscore.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from . import answers
from .errors import (
    LabError,
    MissingFolderError,
    RemoteCommandError,
    WrongFolderError,
)
from .far.exit_codes import ExitCode
from .machine import Machine
from .processes import Result
from .quotas import quota_error
from .ssh.explaining import explain
from .ssh.not_run import command_not_run

__all__ = [
    "ExitCode",
    "Explanations",
    "absolute_folder",
    "check",
    "failure",
    "folder_and_environment",
    "run_script",
    "script",
]

_HEAD = re.compile(r"(# (?:needs|functions): .*\n)?(# shellcheck shell=sh\n)?")
_NEEDS = re.compile(r"# needs: (.*)\n")
_FUNCTIONS = re.compile(r"# functions: (.*)\n")


Explanations = Mapping[int, Callable[[str], LabError]]
"""Makes errors of exit codes that only some scripts have, from what was printed."""


@cache
def script(name: str) -> str:
    """Return `far/login/<name>.sh`, in front of it what it needs, and the exit codes it names."""
    text = "".join(_parts(name))
    codes = [f"{code.name}={code}\n" for code in ExitCode if f'exit "${code.name}"' in text]
    return f"{''.join(codes)}{text}"


def _parts(name: str) -> dict[str, None]:
    """Return a script and what it needs, each once, in the order in which they must come."""
    text = files(f"{__package__}.far.login").joinpath(f"{name}.sh").read_text(encoding="utf-8")
    needs, functions = _NEEDS.match(text), _FUNCTIONS.match(text)
    parts: dict[str, None] = {}
    for other in functions[1].split() if functions else ():
        parts[f"{other.replace('-', '_')}() (\n{script(other)})\n"] = None
    for needed in needs[1].split() if needs else ():
        parts |= _parts(needed)
    return parts | {_HEAD.sub("", text): None}


def run_script(
    machine: Machine,
    name: str,
    *arguments: str,
    timeout: float | None = 60,
    job: str = "",
    explanations: Explanations | None = None,
) -> Result:
    """Run a script in the project's folder on the machine and return what it printed.

    `arguments` are its $1, $2... behind the folder; `job` is the one it is about. Raises LabError,
    as `failure` makes it, when it fails, and UnreachableError.
    """
    done = machine.client.run_script(
        script(name), machine.folder, *arguments, timeout=timeout, check=False
    )
    said = done.stdout.strip() or done.stderr.strip()
    check(done.returncode, said, machine=machine, job=job, explanations=explanations)
    return done


def absolute_folder(machine: Machine) -> str:
    """Return the absolute path of the project's folder on the machine. Raises LabError."""
    return folder_and_environment(machine)[0]


def folder_and_environment(machine: Machine) -> tuple[str, list[str]]:
    """Return that path, and what is said of the environment there: its state and its lists."""
    # What start-up files print comes before both.
    *_, state, folder = ("", *run_script(machine, "project-folder").stdout.rstrip("\n").split("\n"))
    return answers.folder(folder, asked=machine.folder), state.split()


def check(
    returncode: int,
    said: str,
    *,
    machine: Machine,
    job: str = "",
    explanations: Explanations | None = None,
) -> None:
    """Raise the error that an exit code stands for; 0 stands for none."""
    if returncode != 0:
        raise failure(returncode, said, machine=machine, job=job, explanations=explanations)


def failure(
    returncode: int,
    said: str,
    *,
    machine: Machine,
    job: str = "",
    explanations: Explanations | None = None,
) -> LabError:
    """Return the error that an exit code of a script, or of ssh, stands for.

    `said` is what was printed; `explanations` come before what is known here.
    """
    alias = machine.alias
    if explanations and returncode in explanations:
        return explanations[returncode](said)
    match returncode:
        case ExitCode.SSH:
            return explain(said, alias=alias)
        case ExitCode.NOT_RUN:
            return command_not_run(machine.client, None)
        case ExitCode.NO_JOB:
            return LabError(
                f"There is no job {job} on {alias}.",
                hint="List them: lab runs",
            )
        case ExitCode.DISK if said.startswith("quota exceeded"):
            return quota_error(said, machine)
    return _folder_error(returncode, said, machine) or RemoteCommandError(
        f"On {alias}, sh ended with exit code {returncode}: {said or 'it printed nothing'}"
    )


def _folder_error(returncode: int, said: str, machine: Machine) -> LabError | None:
    """Return the error that an exit code stands for which is about the project's folder."""
    alias, folder = machine.alias, machine.folder
    match returncode:
        case ExitCode.NO_FOLDER:
            return MissingFolderError(
                f"There is no folder {folder} on {alias}.",
                hint="Send the project to the machine: lab up",
            )
        case ExitCode.NOT_YOURS:
            return WrongFolderError(
                f"The folder {folder} on {alias} belongs to another user, who could change what "
                "runs in it. Nothing was run."
            )
        case ExitCode.LINKED:
            quoted = shlex.quote(f"{folder}/.lab")
            return RemoteCommandError(
                f"In {folder} on {alias}, .lab or something in it is a link, perhaps from a "
                "commit. lab does not follow links there, so nothing was run.",
                hint=f"Find and remove it on the machine: find {quoted} -type l",
            )
        case ExitCode.NO_LINKS:
            return RemoteCommandError(
                f"The disk of {folder} on {alias} has no hard links. A sweep needs them, so that "
                "no set runs twice.",
                hint="Name a folder on another disk: [remote] folder in lab.local.toml. "
                "Then: lab up",
            )
        case ExitCode.DISK:
            free = str(int(said) // 1024) if re.fullmatch("[0-9]{1,15}", said) else "?"
            return RemoteCommandError(
                f"Nothing can be written to {folder}/.lab on {alias}: {free} MiB of its disk are "
                "free.",
                hint="Free disk space there (lab status shows the disk), or fix the permissions "
                "of that folder",
            )
    return None
