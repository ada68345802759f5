"""A run that is one job on one machine: starting it, and following it to its end."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ... import jobs
from ...answers import unusable
from ...context import Context
from ...errors import LabError
from ...jobs.about import About, Run
from ...jobs.job import Job
from ...jobs.slurm_words import ending, remedy
from ...lists.here import digest_here
from ...lists.modules import missing_package
from ...machine import Machine
from ...scripts import ask
from ..labs import check_parameters, find_lab, source_of
from ..listing import duration_in_words
from ..places import remember
from ..progress import Progress, show_progress
from ..resuming import resumed, taking_checkpoint
from ..watching import watching

if TYPE_CHECKING:
    from .launcher import OneMachine, Order

__all__ = ["run", "watch"]

_KILLED = 137  # by SIGKILL, as the kernel does when memory runs out


def run(launcher: OneMachine, context: Context, order: Order) -> None:
    """Carry out `lab run`; a run that is the same and not over is followed instead.

    Raises UsageError for a lab or parameter that does not exist, and LabError when the run cannot
    be started or not every cell ran.
    """
    machine = context.machine(order.alias)
    lab = find_lab(context.project, order.lab)
    wanted = Run(lab=lab, parameters=tuple(order.parameters), launcher=launcher.name)
    wanted = resumed(wanted, order.resume, [machine])
    same = _same_run(context, machine, wanted, again=order.again)
    job = same or _start(launcher, context, machine, wanted)
    if order.alias is not None:
        remember(context.project, machine.alias)
    if order.detach:
        context.console.next_step(f"lab attach {job.id}")
    else:
        watch(context, machine, job, verbose=order.verbose or not launcher.is_condensed)


def _start(launcher: OneMachine, context: Context, machine: Machine, wanted: Run) -> Job:
    far = launcher.far(machine)
    command = (
        f'LAB_OUTPUT_DIR="$PWD"/outputs/{shlex.quote(wanted.output_folder)}/"$LAB_JOB"\n'
        "export LAB_OUTPUT_DIR PYTHONUNBUFFERED=1 PYTHONIOENCODING=utf-8\n"
        f"{taking_checkpoint(wanted)}{launcher.command(wanted, far=far)}"
    )
    about = About(kind="run", title=wanted.title, run=wanted, far=far)
    beginning = launcher.beginning(context, machine, wanted)
    job = jobs.start(machine, about, command, beginning=beginning)
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
    done = ask(machine, "look", wanted.lab, package, "" if since is None else since.id)
    facts, _, source = done.stdout.partition("\n")
    environment, changed, lists = (*facts.split(), "", "", "-")[:3]
    if environment not in ("complete", "incomplete", "missing") or changed not in ("yes", "no"):
        raise unusable("state of an environment", facts)
    if environment != "complete":
        raise LabError(
            f"The environment on {machine.alias} is {environment}.", hint="Make it: lab setup"
        )
    check_parameters(source, wanted.parameters)
    if lists not in ("-", digest_here(context.project.root)):
        context.console.warn(
            f"The lists of packages here are not those of the environment on {machine.alias}. "
            "To install what they ask for: lab setup"
        )
    if source != source_of(context.project, wanted.lab):
        context.console.warn(
            f"{wanted.lab}, or what it imports from src/, differs between here and "
            f"{machine.alias}; what runs is what is there. To send what is here: lab push"
        )
    return changed == "yes"


def watch(context: Context, machine: Machine, job: Job, *, verbose: bool) -> None:
    """Follow a run and bring its results home. Raises LabError when not every cell ran."""
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
    from ..homecoming import bring_home  # of no use before there are results

    results = bring_home(context, machine, ended)
    if ended.state != "done":
        more = None if ended.slurm is None else remedy(ended.slurm)
        package = missing_package(progress.lines, context.project.root)
        if ended.state == "failed" and package is not None:
            more = f"lab add {shlex.quote(package)}"
        raise LabError(_failure(ended, progress, where=machine.alias), hint=more or results)
    console.next_step(results)


def _failure(ended: Job, progress: Progress, *, where: str) -> str:
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
