"""`lab setup`: the project's environment, made there or here by its own script, with progress."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import deque
from pathlib import Path

from .errors import LabError, MissingFolderError, RemoteCommandError
from .machine import Machine, read_machine
from .runs.jobs import Job, follow, list_jobs, start
from .settings import project_root
from .ssh.client import Client, quote
from .ssh.ssh_directory import ssh_options
from .ui import console
from .ui.console import Console
from .ui.display import Steps, steps

__all__ = ["begin_setup", "finish_setup", "setup"]

_SCRIPT = "scripts/setup-environment.sh"
_LOG_HERE = Path(".lab") / "setup.log"
_LINES_TO_SHOW = 15

# A command that comes by ssh gets a short PATH: what a person's start-up files add is missing.
_SEARCH = r"""
for folder in "$HOME/.local/bin" "$HOME/bin" "$HOME/.cargo/bin" /usr/local/bin /opt/homebrew/bin; do
    PATH=$PATH:$folder
done
for base in "$HOME" /opt; do
    for name in miniforge3 mambaforge miniconda3 miniconda anaconda3 conda; do
        PATH=$PATH:$base/$name/condabin:$base/$name/bin
    done
done
export PATH
"""
_WORK = f"{_SEARCH}\nexec sh {_SCRIPT}\n"
_NO_FOLDER, _NOT_COMPLETE = 3, 4
_CHECK = f"""
CDPATH=
cd && cd -- "$1" 2>/dev/null || exit {_NO_FOLDER}
{_SEARCH}
sh {_SCRIPT} --check || exit {_NOT_COMPLETE}
"""


def setup(*, alias: str | None = None, local: bool = False) -> None:
    """Carry out `lab setup`, on this computer if `local`.

    Raises LabError, in words, when the environment cannot be made.
    """
    if local:
        _set_up_here(project_root())
        console.next_step("lab run labs/mnistlab.py --local")
        return
    machine = read_machine(alias)
    finish_setup(machine, begin_setup(machine))
    console.next_step("lab run labs/mnistlab.py")


def begin_setup(machine: Machine) -> Job | None:
    """Start making the environment there, or find who does; None when there is nothing to do.

    Raises MissingFolderError when the project is not there.
    """
    client, folder = machine.client, machine.folder
    complete = _is_complete(client, folder)
    if complete:
        console.say(complete)
        return None
    for job in list_jobs(machine, kind="setup"):
        if not job.is_over:
            console.note(f"The environment is being made since {job.started:%H:%M} UTC.")
            return job
    return start(machine, kind="setup", name="environment", command=_WORK)


def finish_setup(machine: Machine, job: Job | None) -> None:
    """Follow the work there to its end, and say how it ended. Raises LabError when it failed."""
    if job is None:
        return
    log = _log_command(machine, job)
    with steps() as shown:
        output = _Output(shown)
        try:
            ended = follow(
                machine, job.id, console=Console(), on_line=output.add, again="lab setup"
            )
        except KeyboardInterrupt:
            raise LabError(
                f"Nobody watches any more; the work on {machine.alias} goes on.",
                hint=f"Watch it again: lab setup; or end it: lab stop {job.id}",
            ) from None
    if ended.state == "done":
        console.say(output.last)
        return
    if ended.state == "failed":
        raise output.failure(machine.alias, log)
    raise RemoteCommandError(
        f"Making the environment on {machine.alias} was {ended.state} before its end.",
        hint=f"Begin again, it goes on from there: lab setup\nAll it printed: {log}",
    )


def _log_command(machine: Machine, job: Job) -> str:
    """Return the command that shows all that was printed there."""
    remote = f"cat {quote(f'{machine.folder}/.lab/jobs/{job.id}/log')}"
    return shlex.join(["ssh", *ssh_options(machine.client.directory), machine.alias, remote])


def _is_complete(client: Client, folder: str) -> str:
    """Return what the script says of a complete environment; nothing when it is not complete."""
    result = client.run_script(_CHECK, folder, check=False)
    if result.returncode == _NO_FOLDER:
        raise MissingFolderError(
            f"There is no folder {folder} on {client.alias}.", hint="Send the project there: lab up"
        )
    return result.stdout.strip() if result.returncode == 0 else ""


def _set_up_here(root: Path) -> None:
    """Make the environment on this computer; all that is printed is kept in `.lab/setup.log`."""
    log = root / _LOG_HERE
    log.parent.mkdir(exist_ok=True)
    command = ["sh", _SCRIPT]
    with steps() as shown, log.open("wb") as kept:
        output = _Output(shown)
        try:
            process = subprocess.Popen(
                command,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            raise LabError(
                "There is no sh here to run the script with.",
                hint="Install Git for Windows and run this in Git Bash, or use WSL",
            ) from None
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                kept.write(line)
                output.add(line.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2])
    if process.returncode != 0:
        raise output.failure("this computer", shlex.join(["cat", str(log)]))
    console.say(output.last)


class _Output:
    """What the script has printed so far: steps, errors, and the last lines."""

    def __init__(self, shown: Steps) -> None:
        self._shown = shown
        self._lines: deque[str] = deque(maxlen=_LINES_TO_SHOW)
        self._error: list[str] = []

    def add(self, line: str) -> None:
        """Take a line: a step is shown as such, an error kept with the lines that belong to it."""
        if not line.strip():
            return
        self._lines.append(line)
        if re.match(r"\[\d+/\d+\] ", line):
            self._shown.begin(line)
        else:
            self._shown.line(line)
        if line.startswith("Error: "):
            self._error = [line.removeprefix("Error: ")]
        elif self._error and line.startswith("  "):
            self._error.append(line.strip())

    @property
    def last(self) -> str:
        """The last line."""
        return self._lines[-1] if self._lines else ""

    def failure(self, place: str, log: str) -> LabError:
        """Return the error that says why it failed; `log` is the command that shows all of it."""
        if self._error:
            said, *advice = self._error
            return LabError(
                f"No environment on {place}: {said}",
                hint=f"{' '.join(advice) or 'Mend that, then: lab setup'}\nAll it printed: {log}",
            )
        shown = "\n".join(f"  {line}" for line in self._lines)
        return LabError(
            f"No environment on {place}. The last it printed:\n{shown}",
            hint=f"Mend that, then: lab setup\nAll it printed: {log}",
        )
