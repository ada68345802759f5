"""`lab setup`: the project's environment, made on the machine by its own script, with progress."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .answers import unusable
from .context import Context
from .editor.server_folder import server_setting
from .errors import LabError, RemoteCommandError, UsageError
from .far_half import ensure_far, far_folder
from .jobs import About, Job, follow, list_jobs, replaces, start
from .lasting_kernels import tell_after_setup
from .machine import Machine
from .next_steps import Known, what_next
from .package_lists.conda_locks import fetch_conda_lock, keep_lock_from_here
from .package_lists.sending import lists_folder, send_lists
from .package_lists.texts import ensure_lock
from .package_lists.uv import index_of_uv
from .remote_folders import remote_cache, settings_for_machine
from .scripts import ExitCode, Explanations, run_script, script
from .setup_in_job import ends_by_limit, failure_of, in_job, may_be_in_job
from .setup_output import (
    IN_PLACE,
    Output,
    may_change_in_place,
    no_script,
    say_what_is_left_out,
)
from .ssh.client import quote
from .ssh.ssh_directory import shown_options
from .ui.display import steps
from .version import this_version

__all__ = ["SetupRequest", "StartedSetup", "begin_setup", "finish_setup", "setup"]

_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")  # what every shell takes as it is
_LACKING = "lacking"  # what check-environment.sh prints where the far half or the lists are missing


def setup(
    context: Context,
    *,
    alias: str | None = None,
    local: bool = False,
    carry: bool = False,
    slurm: bool = False,
    yes: bool = False,
    upgrade: bool = False,
) -> None:
    """Run `lab setup`, on this computer if `local`, with wheels from here if `carry`.

    With `slurm` it is made in a job of Slurm.

    With `upgrade` conda takes the newest versions, not those of its lock.

    Raises LabError, in words, when the environment cannot be made.
    """
    for name, is_given in (("--carry", carry), ("--slurm", slurm)):
        if local and is_given:
            raise UsageError(f"`--local` and `{name}` cannot be combined.")
    if local:
        from .local_setup import set_up_locally

        ensure_lock(context.project.root, context.console)
        context.console.say(set_up_locally(context, upgrade=upgrade))
        if os.name == "nt" and context.project.settings.keep_kernels:
            context.console.note("On Windows, kernels end with the editor's window.")
        keep_lock_from_here(context.project.root, context.console)
        context.console.next_step(what_next(context, Known(is_local=True)))
        return
    machine = context.machine(alias)
    asked = SetupRequest(carry=carry, in_job=slurm, yes=yes, upgrade=upgrade)
    finish_setup(context, machine, begin_setup(context, machine, asked))
    context.console.next_step(what_next(context, after="lab setup"))


@dataclass(frozen=True, kw_only=True)
class SetupRequest:
    """The options of a setup on the machine."""

    carry: bool = False
    """Whether wheels are brought from here."""
    in_job: bool = False
    """Whether it is made in a job of Slurm; `in_job` in lab.toml asks for that, too."""
    yes: bool = False
    """Whether that is agreed to beforehand."""
    upgrade: bool = False
    """Whether conda takes the newest versions."""
    in_place: bool = False
    """Whether the environment that works may be changed itself."""


@dataclass(frozen=True, kw_only=True)
class StartedSetup:
    """A setup that has started."""

    job: Job
    asked: SetupRequest
    is_ours: bool
    """Whether it has the lists of this laptop; else somebody had begun it with others."""


def begin_setup(
    context: Context, machine: Machine, asked: SetupRequest | None = None
) -> StartedSetup | None:
    """Start making the environment there, or find who does; None when there is nothing to do.

    The lists go there first, committed or not. Raises MissingFolderError when the project is not on
    the machine.
    """
    asked = asked or SetupRequest()
    upgrade = "1" if asked.upgrade else ""
    root, far, commit = context.project.root, far_folder(), this_version().commit or ""
    ensure_lock(root, context.console)
    lists = lists_folder(root)
    sent = (settings_for_machine(machine, context.project.tables), far, commit, lists, upgrade)
    complete, is_of_conda = _is_complete(root, machine, *sent)
    if complete == _LACKING:  # mostly both are there, so they are not asked for before
        ensure_far(machine)
        send_lists(root, machine)
        complete, is_of_conda = _is_complete(root, machine, *sent)
        if complete == _LACKING:
            raise unusable("state of an environment", complete)
    if complete:
        context.console.say(complete)
        if is_of_conda:
            fetch_conda_lock(context.project.root, machine, context.console)
        return None
    say_what_is_left_out(context)
    for job in list_jobs(machine, console=context.console, kind="setup"):
        if not job.is_over and not replaces(machine, job, console=context.console):
            context.console.note(f"Setup has been running since {job.started:%H:%M} UTC.")
            is_ours = job.about.lists == lists and asked == SetupRequest()
            return StartedSetup(job=job, asked=asked, is_ours=is_ours)
    wheels = _carried(context, machine, far, yes=asked.yes) if asked.carry else ""
    variables = f"LAB_FAR={far} LAB_FAR_COMMIT={commit} LAB_LISTS={lists} LAB_WHEELS={wheels}"
    command = f"{variables} LAB_UPGRADE={upgrade}\n{script('make-environment')}"
    if index := index_of_uv(context.project.root):
        command = f"export LAB_INDEX={quote(index)}\n{command}"
    if asked.in_place or os.environ.get(IN_PLACE) == "1":
        command = f"export {IN_PLACE}=1\n{command}"
    about = About(kind="setup", title="environment", far=far, lists=lists)
    how = in_job(context, machine) if asked.in_job or context.project.settings.in_job else None
    job = start(machine, about, command, beginning=how)
    if job.slurm is not None:
        number = f"job {job.slurm.id} of Slurm"
        context.console.note(f"The environment is being made in {number} on {machine.alias}.")
    return StartedSetup(job=job, asked=asked, is_ours=True)


def _carried(context: Context, machine: Machine, far: str, *, yes: bool) -> str:
    from .carrying.carry import carry_wheels

    return carry_wheels(context, machine, far, yes=yes)


def finish_setup(
    context: Context,
    machine: Machine,
    beginning: StartedSetup | None,
    *,
    on_first: Callable[[], None] | None = None,
) -> None:
    """Follow the work there to its end, and say how it ended. Raises LabError when it failed.

    `on_first` is called as soon as an editor finds an interpreter, where there was none before.
    """
    if beginning is None:
        return
    job = beginning.job
    log = _log_command(machine, job)
    with steps() as shown:
        output = Output(shown, on_first)
        try:
            ended = follow(
                machine,
                job.id,
                console=context.console,
                on_line=output.add,
                again="lab setup",
                known=job,
            )
        except KeyboardInterrupt:
            raise LabError(
                f"Stopped following. Setup continues on {machine.alias}.",
                hint=f"To follow it again: lab setup; to end it: lab stop {job.id}",
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
        _tell_of_editor(context, machine)
        return
    if ends_by_limit(ended, output) and may_be_in_job(context, machine):
        again = replace(asked, yes=True, in_job=True)
        finish_setup(context, machine, begin_setup(context, machine, again))
        return
    if ended.state == "failed":
        failure = failure_of(ended, output, machine, log)
        if asked.in_place or not may_change_in_place(context, failure):
            raise failure
        again = replace(asked, yes=True, in_place=True)
        finish_setup(context, machine, begin_setup(context, machine, again))
        return
    raise RemoteCommandError(
        f"The setup on {machine.alias} was {ended.state} before it finished.",
        hint="To continue from there: lab setup\nIf the login node kills long programs: lab setup "
        f"--slurm\nFull output: {log}",
    )


def _tell_of_editor(context: Context, machine: Machine) -> None:
    """Explain how to keep the editor's server beside the caches, which only VS Code can do."""
    folder = remote_cache(machine, context.project.tables)
    if folder:
        context.console.note(
            "VS Code's server stays in your home directory on the machine. To keep it beside the "
            f"caches, add to your VS Code settings: {server_setting(machine.alias, folder)}"
        )


def _log_command(machine: Machine, job: Job) -> str:
    """Return the command that shows all that was printed there."""
    path = f"{machine.folder}/.lab/jobs/{job.id}/log"
    remote = f"cat {path if _PLAIN.fullmatch(path) else quote(path)}"
    return shlex.join(["ssh", *shown_options(machine.client.directory), machine.alias, remote])


def _is_complete(root: Path, machine: Machine, settings: str, *sent: str) -> tuple[str, bool]:
    """Return what the script says of a complete environment, and whether conda made it.

    That is nothing when it is not complete, and `_LACKING` when what it needs is not there yet. The
    settings, and what was `sent` (LAB_FAR, its commit, LAB_LISTS, LAB_UPGRADE), are made known to
    the script. Raises LabError when the project or its script is not there.
    """
    explanations: Explanations = {ExitCode.NO_SETUP: lambda _: no_script(root, machine.alias)}
    done = run_script(
        machine, "check-environment", settings, *sent, explanations=explanations, timeout=120
    )
    said, _, manager = done.stdout.strip().partition("\n")
    return said, manager == "conda"
