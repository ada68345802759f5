"""A run that is one job on one machine: starting it, and following it to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ... import jobs
from ...answers import unusable
from ...context import Context
from ...errors import LabError
from ...jobs.about import About, Run, program_name
from ...jobs.job import Job
from ...jobs.slurm_words import ending, remedy
from ...lists.here import digest_here
from ...lists.modules import missing_package
from ...lists.sources import how_to_add
from ...machine import Machine
from ...next_steps import Known, what_next
from ...project import Project
from ...scripts import ask
from ...ui.text import in_one_line
from ..homecoming import bring_home
from ..labs import check_parameters, find_lab, sources_of, text_of
from ..listing import duration_in_words
from ..places import remember
from ..progress import Progress, show_progress
from ..reading import warn_of_missing_data
from ..resuming import resumed, taking_checkpoint
from ..settling import program, variables
from ..watching import watching

if TYPE_CHECKING:
    from .launcher import OneMachine, Order

__all__ = ["run", "watch"]

_KILLED = 137  # by SIGKILL, as the kernel does when memory runs out


def run(launcher: OneMachine, context: Context, order: Order) -> int:
    """Carry out `lab run`; a run that is the same and not over is followed instead.

    Return the exit code of a program, 0 for a lab. Raises UsageError for a lab or parameter that
    does not exist, and LabError when the run cannot be started or not every cell ran.
    """
    machine = context.machine(order.alias)
    wanted = resumed(_wanted(launcher, context.project, order), order.resume, [machine])
    same = _same_run(context, machine, wanted, again=order.again)
    job = same or _start(launcher, context, machine, wanted, order.variables.secret)
    if order.alias is not None:
        remember(context.project, machine.alias)
    if order.detach:
        context.console.next_step(what_next(context, Known(running=[job.id])))
        return 0
    return watch(context, machine, job, verbose=order.verbose or not launcher.is_condensed)


def _wanted(launcher: OneMachine, project: Project, order: Order) -> Run:
    """Return the run that is asked for. Raises UsageError when there is no such lab."""
    run = Run(
        launcher=launcher.name,
        variables=order.variables.recorded,
        secrets=tuple(order.variables.secret),
    )
    if order.command:
        command = tuple(order.command)
        name = order.name or program_name(command)
        return replace(run, command=command, name=name, tty=order.tty)
    return replace(run, lab=find_lab(project, order.lab), parameters=tuple(order.parameters))


def _start(
    launcher: OneMachine,
    context: Context,
    machine: Machine,
    wanted: Run,
    secrets: Mapping[str, str],
) -> Job:
    far = launcher.far(machine)
    command = (
        variables(wanted, folders=context.project.settings.output_folders)
        + taking_checkpoint(wanted)
        + (program(wanted, far=far) if wanted.command else launcher.command(wanted, far=far))
    )
    about = About(kind="run", title=wanted.title, run=wanted, far=far)
    warn_of_missing_data(context, machine, wanted)
    beginning = launcher.beginning(context, machine, wanted)
    job = jobs.start(machine, about, command, beginning=beginning, secrets=secrets)
    context.console.note(launcher.started(context, machine, job))
    return job


def _same_run(context: Context, machine: Machine, wanted: Run, *, again: bool) -> Job | None:
    """Return the newest run that is the same, not over, and of the code as it is now.

    With `again` there is none. Raises LabError when no lab can be run on the machine.
    """
    known = jobs.list_jobs(machine, console=context.console, kind="run")
    same = [job for job in known if not job.is_over and job.run == wanted]
    newest = same[-1] if same and not again else None
    if newest is not None and jobs.replaces(machine, newest, console=context.console):
        newest = None
    if _is_changed(context, machine, wanted, since=newest) or newest is None:
        return None
    context.console.note(
        f"This run is going on already, since {newest.started.astimezone():%d %b %H:%M}. "
        "For another one beside it: --again"
    )
    return newest


def _is_changed(context: Context, machine: Machine, wanted: Run, *, since: Job | None) -> bool:
    """Return whether the code there has changed since a run began.

    Warns when it is not the code that is here. Raises LabError when no lab can be run there.
    """
    package = context.project.settings.package or ""
    sources = sources_of(context.project, wanted)
    done = ask(machine, "look", package, "" if since is None else since.id, *sources)
    facts, _, source = done.stdout.partition("\n")
    environment, changed, lists = (*facts.split(), "", "", "-")[:3]
    if environment not in ("complete", "incomplete", "missing") or changed not in ("yes", "no"):
        raise unusable("state of an environment", facts)
    if environment != "complete":
        raise LabError(
            f"The environment on {machine.alias} is {environment}.", hint="Make it: lab setup"
        )
    if wanted.lab:
        check_parameters(source, wanted.parameters)
    if lists not in ("-", digest_here(context.project.root)):
        context.console.warn(
            f"The lists of packages here are not those of the environment on {machine.alias}. "
            "To install what they ask for: lab setup"
        )
    if source != text_of(context.project, sources):
        what = in_one_line(", ".join(sources)) or "The package"
        context.console.warn(
            f"{what}, or what it imports from src/, differs between here and {machine.alias}; "
            "what runs is what is there. To send what is here: lab push"
        )
    return changed == "yes"


def watch(context: Context, machine: Machine, job: Job, *, verbose: bool) -> int:
    """Follow a run and bring its results home; return the exit code of a program, 0 for a lab.

    Raises LabError when not every cell ran, or a program ended without an exit code.
    """
    if job.run.command:
        return watch_program(context, machine, job)
    console = context.console
    verbose = verbose or job.about.format == 1  # what it prints has no events
    with (
        watching(console, job.id, where=machine.alias),
        show_progress(console, verbose=verbose) as progress,
    ):
        ended = jobs.follow(
            machine,
            job.id,
            console=console,
            on_line=progress.on_line,
            again=f"lab attach {job.id}",
        )
    took = duration_in_words(ended.duration)
    if ended.state == "done":
        what = "All cells of " if ended.slurm is None else ""
        console.say(f"{what}{ended.title} ran on {machine.alias} in {took}.")
    elif ended.slurm is None:  # of a script everything was shown, and 2 means nothing special
        progress.show_failure(ended.exit_code)
    results = bring_home(context, machine, ended)
    if ended.state != "done":
        more = None if ended.slurm is None else remedy(ended.slurm)
        package = missing_package(progress.lines, context.project.root)
        if ended.state == "failed" and package is not None:
            more = how_to_add(context.project.root, package)
        raise LabError(failure(ended, progress, where=machine.alias), hint=more or results)
    console.next_step(what_next(context, Known(results=results)))
    return 0


def watch_program(context: Context, machine: Machine, job: Job) -> int:
    """Follow a program, whose output is shown as it comes, and return its exit code.

    Raises LabError when it ended without one.
    """
    console = context.console
    with (
        watching(console, job.id, where=machine.alias),
        show_progress(console, verbose=True) as progress,
    ):
        ended = jobs.follow(
            machine,
            job.id,
            console=console,
            on_line=progress.on_line,
            on_update=progress.on_update,
            again=f"lab attach {job.id}",
        )
    results = bring_home(context, machine, ended)
    if ended.exit_code is None:
        more = None if ended.slurm is None else remedy(ended.slurm)
        raise LabError(failure(ended, progress, where=machine.alias), hint=more or results)
    if ended.exit_code == 0 and ended.state == "done":
        took = duration_in_words(ended.duration)
        console.say(f"{ended.title} ran on {machine.alias} in {took}.")
        console.next_step(what_next(context, Known(results=results)))
        return 0
    package = missing_package(progress.lines, context.project.root)
    add = None
    if ended.state == "failed" and package is not None:
        add = how_to_add(context.project.root, package)
    console.error(failure(ended, progress, where=machine.alias), hint=add or results)
    return ended.exit_code


def failure(ended: Job, progress: Progress, *, where: str) -> str:
    """Return the sentence that says how a run ended that did not get to its end."""
    if ended.state == "stopped":
        return f"Run {ended.id} was stopped{progress.where}."
    if ended.slurm is not None and ending(ended.slurm):
        return f"Run {ended.id} did not get to its end: {ending(ended.slurm)}."
    if ended.state == "failed" and ended.exit_code is None:
        return (
            f"Run {ended.id} failed before it could say how; see that the project's folder is "
            "there on the compute nodes, too."
        )
    if ended.state == "failed" and ended.exit_code != _KILLED:
        return f"Run {ended.id} failed{progress.where}; exit code {ended.exit_code}."
    return (
        f"Run {ended.id} was killed on {where}{progress.where}, or {where} was restarted. Often it "
        "needed more memory than there is: lab status"
    )
