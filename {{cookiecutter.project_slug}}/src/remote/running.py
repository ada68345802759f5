"""`lab run` and `lab attach`: all cells of a lab, on the remote machine or here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import console, jobs
from .client import Client
from .errors import LabError, UsageError
from .jobs import Job, MissingFolderError
from .progress import Progress
from .runs import choose_run, duration_in_words, remote_project
from .settings import load_settings, project_root
from .transfer import fetch_outputs

__all__ = ["attach", "run"]

_WRONG_USAGE = 2  # the exit code of a headless run when there is no such lab or parameter
_KILLED = 137  # by SIGKILL, as the kernel does when memory runs out
_STOPPED_LOOKING = 1

# What is to be known before a run; $2 is the lab, $3 the package, $4 a run that may be the same.
_LOOK = """
CDPATH=
cd && cd -- "$1" 2>/dev/null || exit 3
environment=missing
[ ! -x .venv/bin/python ] || environment=complete
[ ! -e .lab/environment.incomplete ] || environment=incomplete
changed=no
if [ -n "$4" ]; then
    newer=$(find "$2" "src/$3" -name '*.py' -newer ".lab/jobs/$4/command" 2>/dev/null)
    [ -z "$newer" ] || changed=yes
fi
printf '%s %s\\n' "$environment" "$changed"
LC_ALL=C
export LC_ALL
cat -- "$2" "src/$3"/*.py 2>/dev/null
exit 0
"""


@dataclass(frozen=True, kw_only=True)
class _Lab:
    """A lab to run, and with which parameters."""

    path: str
    """Its script, relative to the project, with slashes."""
    parameters: Sequence[tuple[str, str]]

    @property
    def stem(self) -> str:
        """The name of the folder below outputs/ that its results go to."""
        return PurePosixPath(self.path).stem

    @property
    def words(self) -> list[str]:
        """What stands behind `lab run`."""
        return [self.path, *(word for pair in self.parameters for word in ("-p", *pair))]

    @property
    def title(self) -> str:
        """The same in one line of text."""
        return "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode()
            for letter in shlex.join(self.words)
        )


def run(
    lab: str,
    parameters: Sequence[tuple[str, str]] = (),
    *,
    alias: str | None = None,
    local: bool = False,
    detach: bool = False,
    again: bool = False,
    verbose: bool = False,
) -> None:
    """Carry out `lab run`; the arguments are those of the command line.

    Raises UsageError for a lab or parameter that does not exist, and LabError when the run cannot
    be started or not every cell ran.
    """
    chosen = _Lab(path=_script_of(lab, project_root()), parameters=parameters)
    if local:
        if detach:
            raise UsageError("--detach is for the remote machine; --local runs here and now.")
        _run_here(chosen, verbose=verbose)
        return
    client, folder = remote_project(alias)
    job = _start(client, folder, chosen, again=again)
    if detach:
        console.next_step(f"lab attach {job.id}")
    else:
        _watch(client, folder, job, verbose=verbose)


def attach(text: str | None, *, alias: str | None = None, verbose: bool = False) -> None:
    """Carry out `lab attach`: follow a run to its end and bring its results home.

    Raises UsageError when it is not clear which run is meant, LabError when not every cell ran.
    """
    client, folder = remote_project(alias)
    job = choose_run(jobs.list_jobs(client, folder, kind="run"), text, client=client)
    console.note(f"{job.name}, started {job.started.astimezone():%d %b %H:%M} on {client.alias}")
    _watch(client, folder, job, verbose=verbose)


def _script_of(lab: str, root: Path) -> str:
    """Return the script of the lab that was named by it, its notebook, or without an ending."""
    for place in (Path.cwd(), root, root / "labs"):
        script = (place / lab).with_suffix(".py")
        if script.is_file() and script.resolve().is_relative_to(root.resolve()):
            return script.resolve().relative_to(root.resolve()).as_posix()
    known = ", ".join(f"labs/{path.name}" for path in sorted((root / "labs").glob("*.py")))
    raise UsageError(f"There is no lab {lab!r}. The labs of this project: {known or 'none'}.")


def _start(client: Client, folder: str, lab: _Lab, *, again: bool) -> Job:
    """Start the run; one that is the same and still goes on is taken instead, unless `again`."""
    package = load_settings().package
    going_on = [
        job
        for job in jobs.list_jobs(client, folder, kind="run")
        if not job.is_over and job.name == lab.title and not again
    ]
    same = going_on[-1] if going_on else None
    environment, changed, source = _look(client, folder, lab, package, same)
    if environment != "complete":
        raise LabError(
            f"The environment on {client.alias} is {environment}.", hint="Make it: lab setup"
        )
    if source != _source_here(lab, package):
        console.warn(
            f"{lab.path} or src/{package} differs between here and {client.alias}; what runs is "
            "what is there. To send what is here: lab push"
        )
    if same is not None and not changed:
        console.note(
            f"This run is going on already, since {same.started.astimezone():%d %b %H:%M}. "
            "For another one beside it: --again"
        )
        return same
    headless = [".venv/bin/python", "-m", f"{package}.headless", *lab.words]
    command = (
        f'LAB_OUTPUT_DIR="$PWD"/outputs/{shlex.quote(lab.stem)}/"$LAB_JOB"\n'
        "export LAB_OUTPUT_DIR PYTHONUNBUFFERED=1 PYTHONIOENCODING=utf-8\n"
        f"exec {shlex.join(headless)}\n"
    )
    job = jobs.start(client, folder, kind="run", name=lab.title, command=command)
    console.note(f"Run {job.id} started on {client.alias}; it goes on without this computer.")
    return job


def _look(
    client: Client, folder: str, lab: _Lab, package: str, same: Job | None
) -> tuple[str, bool, str]:
    """Return the state of the environment, whether the code is newer than `same`, and the code."""
    job_id = "" if same is None else same.id
    result = client.run_script(_LOOK, folder, lab.path, package, job_id, check=False)
    if result.returncode != 0:
        raise MissingFolderError(
            f"There is no folder {folder} on {client.alias}.", hint="Send the project there: lab up"
        )
    facts, _, source = result.stdout.partition("\n")
    environment, changed = facts.split()
    return environment, changed == "yes", source


def _source_here(lab: _Lab, package: str) -> str:
    """Return the code that the run would have here, as `cat` prints it there."""
    root = project_root()
    files = [root / lab.path, *sorted((root / "src" / package).glob("*.py"))]
    text = b"".join(path.read_bytes() for path in files).decode(errors="replace")
    return text.replace("\r\n", "\n")


def _watch(client: Client, folder: str, job: Job, *, verbose: bool) -> None:
    """Follow a run and bring its results home. Raises LabError when not every cell ran."""
    try:
        with Progress(verbose=verbose) as progress:
            ended = jobs.follow(client, folder, job.id, on_line=progress.on_line)
    except KeyboardInterrupt:
        console.note(f"\nThe run goes on on {client.alias}. To end it: lab stop {job.id}")
        console.next_step(f"lab attach {job.id}")
        sys.exit(_STOPPED_LOOKING)
    took = duration_in_words(ended.duration)
    if ended.state == "done":
        console.say(f"All cells of {ended.name} ran on {client.alias} in {took}.")
    else:
        _raise_wrong_usage(ended.exit_code, progress)
        _show_output(progress, verbose=verbose)
    results = _bring_home(client, folder, ended)
    if ended.state != "done":
        raise LabError(_failure(ended, progress, where=client.alias), hint=results)
    console.next_step(results)


def _bring_home(client: Client, folder: str, job: Job) -> str:
    """Fetch what a run has saved, show it, and return the sentence that says how to look at it."""
    stem = PurePosixPath(shlex.split(job.name)[0]).stem
    try:
        fetched = fetch_outputs(client, folder, project_root(), only=f"{stem}/{job.id}")
    except LabError as error:
        if job.state == "done":
            raise
        console.warn(str(error))
        return "lab pull"
    for name in fetched.kept:
        console.warn(f"outputs/{name} differs here and was kept; lab pull --overwrite replaces it.")
    results = project_root() / "outputs" / stem / job.id
    if not results.is_dir():
        return "lab runs"
    console.say(f"Results in {results}:")
    for path in sorted(results.iterdir()):
        console.say(f"  {path.name}{'/' if path.is_dir() else ''}")
    return f"open {results / stem}.html"


def _raise_wrong_usage(exit_code: int | None, progress: Progress) -> None:
    """Raise UsageError in the words of a run that ended before its first cell for that reason."""
    if exit_code == _WRONG_USAGE and progress.step is None and progress.lines:
        raise UsageError(progress.lines[-1].removeprefix("Error: "))


def _show_output(progress: Progress, *, verbose: bool) -> None:
    """Show what the cell printed that the run ended in, its traceback included."""
    if not verbose:
        for line in progress.lines:
            console.note(line)


def _failure(ended: Job, progress: Progress, *, where: str) -> str:
    """Return the sentence that says how a run ended that did not get to its end."""
    cell = f" in cell {progress.step}" if progress.step else ""
    if ended.state == "stopped":
        return f"Run {ended.id} was stopped{cell}."
    if ended.state == "failed" and ended.exit_code != _KILLED:
        return f"Run {ended.id} failed{cell}; exit code {ended.exit_code}."
    return (
        f"Run {ended.id} was killed on {where}{cell}, or {where} was restarted. Often it needed "
        "more memory than there is: lab status"
    )


def _run_here(lab: _Lab, *, verbose: bool) -> None:
    """Run the lab on this computer. Raises LabError when not every cell ran."""
    root = project_root()
    python = next((path for path in _interpreters(root) if path.is_file()), None)
    if python is None or (root / ".lab" / "environment.incomplete").exists():
        raise LabError(
            "There is no complete environment on this computer.", hint="lab setup --local"
        )
    headless = [str(python), "-m", f"{load_settings().package}.headless", *lab.words]
    with (
        Progress(verbose=verbose) as progress,
        subprocess.Popen(
            headless,
            cwd=root,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            progress.on_line(line.rstrip("\n"))
    if process.returncode == 0:
        for line in progress.lines[_first_result(progress.lines) :]:
            console.say(line)
        return
    _raise_wrong_usage(process.returncode, progress)
    _show_output(progress, verbose=verbose)
    cell = f" in cell {progress.step}" if progress.step else ""
    raise LabError(f"{lab.path} failed{cell}; exit code {process.returncode}.")


def _interpreters(root: Path) -> list[Path]:
    """Return where the interpreter may lie: Linux and macOS, Windows, Windows with conda."""
    return [
        root / ".venv" / "bin" / "python",
        root / ".venv" / "Scripts" / "python.exe",
        root / ".venv" / "python.exe",
    ]


def _first_result(lines: Sequence[str]) -> int:
    """Return where a run's own last words begin: how long it took, and its results."""
    starts = [index for index, line in enumerate(lines) if line.startswith("All cells of ")]
    return starts[-1] if starts else 0
