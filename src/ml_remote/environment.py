"""`lab setup`: the project's environment, made there or here by its own script, with progress."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from .context import Context
from .data_there import settings_there
from .errors import LabError, RemoteCommandError, UsageError
from .far.installed import FAR, install
from .installing import ensure_far
from .jobs import About, Job, follow, list_jobs, replaces, start
from .jobs.events import ASKING, announced
from .kernels_there import tell_after_setup
from .lists.conda_locks import fetch_conda_lock, keep_lock_from_here
from .lists.handing_over import hand_over, leave_here
from .lists.own_texts import has_hashes
from .lists.sources import how_to_list, source_of
from .lists.texts import ensure_lock
from .lists.uv import index_of_uv
from .machine import Machine
from .next_steps import Known, what_next
from .processes import running
from .project import Project
from .scripts import ExitCode, Explanations, ask, script
from .settings import SOURCES
from .ssh.client import quote
from .ssh.ssh_directory import shown_options
from .ui.display import Steps, steps
from .version import this_version

__all__ = ["Asked", "Beginning", "begin_setup", "finish_setup", "setup"]

_SCRIPT = "scripts/setup-environment.sh"
_IN_PLACE = "LAB_CHANGE_IN_PLACE"
_LOG_HERE = "setup.log"
_LINES_TO_SHOW = 15


def setup(
    context: Context,
    *,
    alias: str | None = None,
    local: bool = False,
    carry: bool = False,
    yes: bool = False,
    upgrade: bool = False,
) -> None:
    """Carry out `lab setup`, on this computer if `local`, with wheels from here if `carry`.

    With `upgrade` conda takes the newest versions, not those of its lock.

    Raises LabError, in words, when the environment cannot be made.
    """
    if local and carry:
        raise UsageError("`--local` and `--carry` cannot be combined.")
    if local:
        ensure_lock(context.project.root, context.console)
        context.console.say(_set_up_here(context, upgrade=upgrade))
        if os.name == "nt" and context.project.settings.keep_kernels:
            context.console.note("On Windows, kernels end with the editor's window.")
        keep_lock_from_here(context.project.root, context.console)
        context.console.next_step(what_next(context, Known(is_local=True)))
        return
    machine = context.machine(alias)
    asked = Asked(carry=carry, yes=yes, upgrade=upgrade)
    finish_setup(context, machine, begin_setup(context, machine, asked))
    context.console.next_step(what_next(context, after="lab setup"))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a setup on the machine."""

    carry: bool = False
    """Whether wheels are brought from here."""
    yes: bool = False
    """Whether that is agreed to beforehand."""
    upgrade: bool = False
    """Whether conda takes the newest versions."""
    in_place: bool = False
    """Whether the environment that works may be changed itself."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A setup that has begun."""

    job: Job
    asked: Asked
    is_ours: bool
    """Whether it has the lists of this laptop; else somebody had begun it with others."""


def begin_setup(context: Context, machine: Machine, asked: Asked | None = None) -> Beginning | None:
    """Start making the environment there, or find who does; None when there is nothing to do.

    The lists go there first, committed or not. Raises MissingFolderError when the project is not
    there.
    """
    asked = asked or Asked()
    upgrade = "1" if asked.upgrade else ""
    far, commit = ensure_far(machine), this_version().commit or ""
    ensure_lock(context.project.root, context.console)
    lists = hand_over(context.project.root, machine)
    sent = (settings_there(machine, context.project.tables), far, commit, lists, upgrade)
    complete, is_of_conda = _is_complete(context.project.root, machine, *sent)
    if complete:
        context.console.say(complete)
        if is_of_conda:
            fetch_conda_lock(context.project.root, machine, context.console)
        return None
    _say_what_is_left_out(context)
    for job in list_jobs(machine, console=context.console, kind="setup"):
        if not job.is_over and not replaces(machine, job, console=context.console):
            context.console.note(f"The environment is being made since {job.started:%H:%M} UTC.")
            is_ours = job.about.lists == lists and asked == Asked()
            return Beginning(job=job, asked=asked, is_ours=is_ours)
    wheels = _carried(context, machine, far, yes=asked.yes) if asked.carry else ""
    variables = f"LAB_FAR={far} LAB_FAR_COMMIT={commit} LAB_LISTS={lists} LAB_WHEELS={wheels}"
    command = f"{variables} LAB_UPGRADE={upgrade}\n{script('make-environment')}"
    if index := index_of_uv(context.project.root):
        command = f"export LAB_INDEX={quote(index)}\n{command}"
    if asked.in_place or os.environ.get(_IN_PLACE) == "1":
        command = f"export {_IN_PLACE}=1\n{command}"
    about = About(kind="setup", title="environment", far=far, lists=lists)
    return Beginning(job=start(machine, about, command), asked=asked, is_ours=True)


def _say_what_is_left_out(context: Context) -> None:
    """Warn of hashes in the list of a repository of its own: packages beside it have none."""
    root = context.project.root
    if has_hashes(root, source_of(root)):
        context.console.warn(
            f"The hashes in {source_of(root)} are not checked: lab takes the versions only."
        )


def _carried(context: Context, machine: Machine, far: str, *, yes: bool) -> str:
    from .carrying.carry import carry_wheels

    return carry_wheels(context, machine, far, yes=yes)


def finish_setup(context: Context, machine: Machine, beginning: Beginning | None) -> None:
    """Follow the work there to its end, and say how it ended. Raises LabError when it failed."""
    if beginning is None:
        return
    job = beginning.job
    log = _log_command(machine, job)
    with steps() as shown:
        output = _Output(shown)
        try:
            ended = follow(
                machine, job.id, console=context.console, on_line=output.add, again="lab setup"
            )
        except KeyboardInterrupt:
            raise LabError(
                f"Stopped following. Setup continues on {machine.alias}.",
                hint=f"Follow it again: lab setup. End it: lab stop {job.id}",
            ) from None
    asked = beginning.asked
    if ended.state == "done":
        context.console.say(output.last)
    if not beginning.is_ours and ended.state in ("done", "failed"):  # by other lists than ours
        finish_setup(context, machine, begin_setup(context, machine, asked))
        return
    if ended.state == "done":
        fetch_conda_lock(context.project.root, machine, context.console)
        tell_after_setup(context, machine)
        return
    if ended.state == "failed":
        failure = output.failure(machine.alias, log)
        if asked.in_place or not _may_change_in_place(context, failure):
            raise failure
        again = replace(asked, yes=True, in_place=True)
        finish_setup(context, machine, begin_setup(context, machine, again))
        return
    raise RemoteCommandError(
        f"Making the environment on {machine.alias} was {ended.state} before its end.",
        hint=f"Begin again, it goes on from there: lab setup\nAll it printed: {log}",
    )


def _may_change_in_place(context: Context, failure: LabError) -> bool:
    """Ask, where there is no room for a second environment, if the one that works may be changed.

    Only somebody at a terminal is asked; to others the failure says which variable allows it.
    """
    if _IN_PLACE not in failure.message or not context.console.has_terminal():
        return False
    context.console.error(failure.message)
    return context.console.confirm(
        "Change the environment that works instead? It is lost if that fails.",
        yes=False,
        default=False,
    )


def _log_command(machine: Machine, job: Job) -> str:
    """Return the command that shows all that was printed there."""
    remote = f"cat {quote(f'{machine.folder}/.lab/jobs/{job.id}/log')}"
    return shlex.join(["ssh", *shown_options(machine.client.directory), machine.alias, remote])


def _is_complete(root: Path, machine: Machine, settings: str, *sent: str) -> tuple[str, bool]:
    """Return what the script says of a complete environment, and whether conda made it.

    That is nothing when it is not complete. The settings, and what was `sent` (LAB_FAR, its commit,
    LAB_LISTS, LAB_UPGRADE), are made known to the script. Raises LabError when the project or its
    script is not there.
    """
    explanations: Explanations = {ExitCode.NO_SETUP: lambda _: _no_script(root, machine.alias)}
    done = ask(
        machine, "check-environment", settings, *sent, explanations=explanations, timeout=120
    )
    said, _, manager = done.stdout.strip().partition("\n")
    return said, manager == "conda"


def _no_script(root: Path, place: str) -> LabError:
    """Return the error for a project that does not say how its environment is made."""
    return LabError(
        f"Nothing says what the environment on {place} is made from: there is no {_SCRIPT} and no "
        f"list of packages ({', '.join(SOURCES)}).",
        hint=how_to_list(root)
        or "If you have one: lab push. Otherwise make .venv there as you like",
    )


def _set_up_here(context: Context, *, upgrade: bool, in_place: bool = False) -> str:
    """Make the environment on this computer and return the last that was printed.

    All of it is kept in `.lab/setup.log`.
    """
    project = context.project
    _ = project.settings  # what the script would take as it is, is checked first
    far = install(project.root / FAR)
    command = ["sh", _SCRIPT]
    lists = ""
    if not (project.root / _SCRIPT).is_file():
        lists = leave_here(project.root)
        _say_what_is_left_out(context)
        if not lists:
            raise _no_script(project.root, "this computer")
        command = [sys.executable, str(far), "environment"]
    elif shutil.which("sh") is None:
        raise LabError(
            "There is no sh here to run the script with.",
            hint="Install Git for Windows and run this in Git Bash, or use WSL",
        )
    _leave_settings(project)
    variables = {
        "LAB_FAR": far.relative_to(project.root).as_posix(),
        "LAB_FAR_COMMIT": this_version().commit or "",
        **({"LAB_LISTS": lists} if lists else {}),
        **({"LAB_UPGRADE": "1"} if upgrade else {}),
        **({_IN_PLACE: "1"} if in_place else {}),
        **ASKING,
    }
    log = project.state / _LOG_HERE
    with (
        steps() as shown,
        log.open("w", encoding="utf-8") as kept,
        running(command, folder=project.root, variables=variables, merge_errors=True) as process,
    ):
        output = _Output(shown)
        process.send("", close=True)
        for line in process.lines():
            kept.write(f"{line}\n")
            output.add(line.rpartition("\r")[2])
        code = process.wait()
    if code != 0:
        failure = output.failure("this computer", shlex.join(["cat", str(log)]))
        if in_place or not _may_change_in_place(context, failure):
            raise failure
        return _set_up_here(context, upgrade=upgrade, in_place=True)
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
        step = announced(line, event="step")
        self._lines.append(step or line)
        if step is not None:
            self._shown.begin(step)
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
            said = "\n  ".join(self._error)
            return LabError(
                f"No environment on {place}: {said}",
                hint=f"Fix that, then: lab setup\nAll it printed: {log}",
            )
        shown = "\n".join(f"  {line}" for line in self._lines)
        return LabError(
            f"No environment on {place}. The last it printed:\n{shown}",
            hint=f"Mend that, then: lab setup\nAll it printed: {log}",
        )
