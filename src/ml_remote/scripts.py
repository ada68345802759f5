"""The sh scripts that run on the machine (`far/login/*.sh`), and what their exit codes mean.

A script may begin with a line `# needs: jobs slurm`: these files, and what they need, are put in
front of it. `# needs: folder` makes it run in the project's folder, which is its first argument.
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
from .ssh.explaining import explain
from .ssh.not_run import command_not_run

__all__ = ["ExitCode", "Explanations", "absolute_folder", "ask", "check", "failure", "script"]

_HEAD = re.compile(r"(# needs: .*\n)?(# shellcheck shell=sh\n)?")
_NEEDS = re.compile(r"# needs: (.*)\n")


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
    needs = _NEEDS.match(text)
    parts: dict[str, None] = {}
    for needed in needs[1].split() if needs else ():
        parts |= _parts(needed)
    return parts | {_HEAD.sub("", text): None}


def ask(
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
    # What start-up files print comes before it.
    said = ask(machine, "where").stdout.rstrip("\n").rpartition("\n")[2]
    return answers.folder(said, asked=machine.folder)


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
    alias, folder = machine.alias, machine.folder
    if explanations and returncode in explanations:
        return explanations[returncode](said)
    match returncode:
        case ExitCode.SSH:
            return explain(said, alias=alias)
        case ExitCode.NO_FOLDER:
            return MissingFolderError(
                f"There is no folder {folder} on {alias}.", hint="Send the project there: lab up"
            )
        case ExitCode.NOT_YOURS:
            return WrongFolderError(
                f"The folder {folder} on {alias} belongs to another user, who can change what runs "
                "in it. Nothing was run."
            )
        case ExitCode.LINKED:
            quoted = shlex.quote(f"{folder}/.lab")
            return RemoteCommandError(
                f"In {folder} on {alias}, .lab or something in it is a link, and a commit can "
                "bring one. lab follows none there, so nothing was run.",
                hint=f"Log in there, see which, and remove it: find {quoted} -type l",
            )
        case ExitCode.NOT_RUN:
            return command_not_run(machine.client, None)
        case ExitCode.NO_JOB:
            return LabError(
                f"There is no job {job} on {alias} (any more).",
                hint="See which there are: lab runs",
            )
        case ExitCode.DISK:
            free = str(int(said) // 1024) if re.fullmatch("[0-9]{1,15}", said) else "?"
            return RemoteCommandError(
                f"Nothing can be written into {folder}/.lab on {alias}: {free} MiB of its disk are "
                "free.",
                hint="Make room there (lab status shows the disk), or mend the rights of that "
                "folder",
            )
    return RemoteCommandError(
        f"On {alias}, sh ended with exit code {returncode}: {said or 'it said nothing'}"
    )
