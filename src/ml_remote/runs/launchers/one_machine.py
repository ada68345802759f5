"""A run that is one job on one machine: starting it, and following it to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ... import jobs
from ...answers import unusable
from ...context import Context
from ...errors import LabError
from ...far_half import far_folder
from ...jobs.about import About, Run, program_name
from ...jobs.job import Job
from ...jobs.slurm_messages import remedy
from ...machine import Machine
from ...next_steps import Known, what_next
from ...package_lists.local import digest_here
from ...package_lists.modules import missing_package
from ...package_lists.sources import how_to_add
from ...project import Project
from ...quotas import exceeded_in
from ...scripts import run_script
from ...ui.text import in_one_line
from ...ui.words import duration_in_words
from ..cards import check_cards
from ..detaching import detach_on_interrupt
from ..failing import failure
from ..folders import refuse_mixing
from ..labs import check_parameters, find_lab, sources_of, text_of
from ..machines import remember_machine
from ..missing_data import warn_of_missing_data
from ..progress import Progress, show_progress
from ..resuming import resumed, taking_checkpoint
from ..shell_lines import program_lines, record_lines, variable_lines

if TYPE_CHECKING:
    from .launcher import OneMachine, RunRequest

__all__ = ["code_is_changed", "run", "watch"]


def run(launcher: OneMachine, context: Context, request: RunRequest) -> int:
    """Run `lab run`; a run that is the same and not over is followed instead.

    Return the exit code of a program, 0 for a lab. Raises UsageError for a lab or parameter that
    does not exist, and LabError when the run cannot be started or not every cell ran.
    """
    machine = context.machine(request.alias)
    wanted = resumed(_wanted(launcher, context.project, request), request.resume, [machine])
    is_of_now = not request.code_of
    first = _ask_first(context, machine, wanted)
    known = jobs.listed(first.jobs, machine, console=context.console, kind="run")
    if any(job.run.sweep for job in known):
        from ..sweeps.finding import offer_to_resume

        offer_to_resume(context, machine, known)
    same, has_far = _same_run(
        context, machine, wanted, known, first.code, again=request.again, is_of_now=is_of_now
    )
    if same is None and not _has_checkout(launcher, request):
        refuse_mixing(context, known)
    job = same
    if job is None:
        far = far_folder() if has_far else launcher.far(machine)
        job = _start(launcher, context, machine, wanted, request, far=far)
    if request.alias is not None:
        remember_machine(context.project, machine.alias)
    if request.detach:
        context.console.next_step(what_next(context, Known(running=[job.id])))
        return 0
    return watch(context, machine, job, verbose=request.verbose or not launcher.is_condensed)


def _wanted(launcher: OneMachine, project: Project, request: RunRequest) -> Run:
    """Return the run that is asked for. Raises UsageError when there is no such lab."""
    run = Run(
        launcher=launcher.name,
        gpus=request.gpus,
        until_done=bool(request.options.get("until_done")),
        variables=request.variables.recorded,
        secrets=tuple(request.variables.secret),
    )
    if request.command:
        command = tuple(request.command)
        name = request.name or program_name(command)
        return replace(run, command=command, name=name, tty=request.tty)
    return replace(run, lab=find_lab(project, request.lab), parameters=tuple(request.parameters))


def _has_checkout(launcher: OneMachine, request: RunRequest) -> bool:
    """Return whether a run begins later than it is asked for, or nobody waits for it."""
    return bool(request.detach or launcher.is_later or request.gpus or request.code_of)


def _start(
    launcher: OneMachine,
    context: Context,
    machine: Machine,
    wanted: Run,
    request: RunRequest,
    *,
    far: str,
) -> Job:
    """Start a run; one that begins later, or that nobody waits for, has a checkout of its own."""
    if wanted.gpus and wanted.launcher != "slurm":
        check_cards(machine, far, wanted.gpus)
    folders = context.project.settings.output_folders
    code = None
    if _has_checkout(launcher, request):
        # What is new in its checkout is moved, whatever folder it is in.
        results = f"outputs/{wanted.output_folder}/"
        code = jobs.Code(far=far, results=results, folders=folders, again=request.code_of)
    command = (
        variable_lines(wanted, folders=() if code else folders)
        + record_lines(far)
        + taking_checkpoint(wanted)
        + (program_lines(wanted, far=far) if wanted.command else launcher.command(wanted, far=far))
    )
    about = About(
        kind="run", title=wanted.title, run=wanted, far=far, folders=() if code else folders
    )
    warn_of_missing_data(context, machine, wanted)
    beginning = launcher.job_start(context, machine, wanted)
    secrets = request.variables.secret
    job = jobs.start(machine, about, command, beginning=beginning, code=code, secrets=secrets)
    context.console.note(launcher.started(context, machine, job))
    return job


def _same_run(
    context: Context,
    machine: Machine,
    wanted: Run,
    known: Sequence[Job],
    code: str,
    *,
    again: bool,
    is_of_now: bool,
) -> tuple[Job | None, bool]:
    """Return the newest run that is the same, not over, and of the code as it is now.

    `code` is what was told of the code where there is no such run.
    With `again` there is none. The other value is whether this tool's far half is there. Raises
    LabError when no lab can be run on the machine.
    """
    same = [job for job in known if not job.is_over and job.run == wanted]
    newest = same[-1] if same and not again else None
    if newest is not None and jobs.replaces(machine, newest, console=context.console):
        newest = None
    told = code if newest is None else _ask(context, machine, wanted, since=newest)
    is_changed, has_far = _look(context, machine, wanted, told, is_of_now=is_of_now)
    if is_changed or newest is None:
        return None, has_far
    context.console.note(
        f"This run is already in progress, since {newest.started.astimezone():%d %b %H:%M}. To "
        "start another one: --again"
    )
    return newest, has_far


def code_is_changed(
    context: Context, machine: Machine, wanted: Run, *, since: Job | None, is_of_now: bool
) -> bool:
    """Return whether the code there has changed since a run began.

    Warns when what runs is the code there (`is_of_now`), and that is not the code here. Raises
    LabError when no lab can be run there.
    """
    told = _ask(context, machine, wanted, since=since)
    return _look(context, machine, wanted, told, is_of_now=is_of_now)[0]


class _First(NamedTuple):
    """What one session reports before a run."""

    jobs: str
    code: str


def _ask_first(context: Context, machine: Machine, wanted: Run) -> _First:
    """Ask for the jobs on the machine and, as `_ask` does, for the code there."""
    words = _about_code(context, wanted, since=None)
    listed, _, code = run_script(machine, "jobs-and-code-state", *words).stdout.partition(
        "== lab looks ==\n"
    )
    return _First(listed, code)


def _ask(context: Context, machine: Machine, wanted: Run, *, since: Job | None) -> str:
    """Ask what there is to know of the code on the machine; see far/login/code-state.sh."""
    return run_script(machine, "code-state", *_about_code(context, wanted, since=since)).stdout


def _about_code(context: Context, wanted: Run, *, since: Job | None) -> tuple[str, ...]:
    package = context.project.settings.package or ""
    run = "" if since is None else since.id
    return (far_folder(), package, run, *sources_of(context.project, wanted))


def _look(
    context: Context, machine: Machine, wanted: Run, told: str, *, is_of_now: bool
) -> tuple[bool, bool]:
    """Do what `code_is_changed` does; also return whether the machine has this far half."""
    sources = sources_of(context.project, wanted)
    facts, _, source = told.partition("\n")
    environment, changed, lists, far, files = (*facts.split(), "", "", "-", "", "")[:5]
    if environment not in ("complete", "incomplete", "missing") or changed not in ("yes", "no"):
        raise unusable("state of an environment", facts)
    if environment != "complete":
        raise LabError(
            f"The environment on {machine.alias} is {environment}.", hint="Make it: lab setup"
        )
    if wanted.lab and is_of_now and files == "missing":
        raise LabError(
            f"The lab {wanted.lab} is not on {machine.alias}.",
            hint="Commit it, then lab push; or add --push-dirty",
        )
    if wanted.lab:
        check_parameters(source, wanted.parameters)
    if lists not in ("-", digest_here(context.project.root)):
        context.console.warn(
            f"Your lists of packages differ from those of the environment on {machine.alias}. To "
            "install what they ask for: lab setup"
        )
    if is_of_now and source != text_of(context.project, sources):
        what = in_one_line(", ".join(sources)) or "The package"
        context.console.warn(
            f"{what}, or what it imports from src/, differs between here and {machine.alias}, and "
            "the machine's version runs. To send yours: commit it, then lab push; or add "
            "--push-dirty"
        )
    return changed == "yes", far == "there"


def watch(context: Context, machine: Machine, job: Job, *, verbose: bool) -> int:
    """Follow a run and bring its results home; return the exit code of a program, 0 for a lab.

    Raises LabError when not every cell ran, or a program ended without an exit code.
    """
    if job.run.command:
        return watch_program(context, machine, job)
    # While the run begins: later, the tool may have been replaced.
    from ..results import fetch_results

    console = context.console
    verbose = verbose or job.about.format == 1  # what it prints has no events
    ended, progress = _followed(context, machine, job, verbose=verbose)
    took = duration_in_words(ended.duration)
    if ended.state == "done":
        what = "All cells of " if ended.slurm is None else ""
        console.say(f"{what}{ended.title} ran on {machine.alias} in {took}.")
    elif ended.slurm is None:  # of a script everything was shown, and 2 means nothing special
        progress.show_failure(ended.exit_code)
    results = fetch_results(context, machine, ended)
    if ended.state != "done":
        more = _remedy(context, ended, progress)
        raise LabError(failure(ended, progress.where, where=machine.alias), hint=more or results)
    console.next_step(what_next(context, Known(results=results)))
    return 0


def watch_program(context: Context, machine: Machine, job: Job) -> int:
    """Follow a program, whose output is shown as it comes, and return its exit code.

    Raises LabError when it ended without one.
    """
    # While the run begins: later, the tool may have been replaced.
    from ..results import fetch_results

    console = context.console
    ended, progress = _followed(context, machine, job, verbose=True)
    results = fetch_results(context, machine, ended)
    more = _remedy(context, ended, progress)
    if ended.exit_code is None:
        raise LabError(failure(ended, progress.where, where=machine.alias), hint=more or results)
    if ended.exit_code == 0 and ended.state == "done":
        took = duration_in_words(ended.duration)
        command = ended.title.removeprefix("-- ")
        console.say(f"{command} ran on {machine.alias} in {took}.")
        console.next_step(what_next(context, Known(results=results)))
        return 0
    console.error(failure(ended, progress.where, where=machine.alias), hint=more or results)
    return ended.exit_code


def _followed(
    context: Context, machine: Machine, job: Job, *, verbose: bool
) -> tuple[Job, Progress]:
    """Show what a run prints until it ends; return it as it is then, and what was shown."""
    with (
        detach_on_interrupt(context, job.id, where=machine.alias),
        show_progress(context.console, verbose=verbose) as progress,
    ):
        ended = jobs.follow(
            machine,
            job.id,
            console=context.console,
            on_line=progress.on_line,
            on_update=progress.on_update if job.run.command else None,
            again=f"lab attach {job.id}",
            known=job,
        )
    return ended, progress


def _remedy(context: Context, ended: Job, progress: Progress) -> str | None:
    """Return what to do about the end of a run, where Slurm or what it printed tells that."""
    if ended.state == "failed" and exceeded_in(progress.lines):
        return "A quota is used up. For details: lab status"
    package = missing_package(progress.lines, context.project.root)
    if ended.state == "failed" and package is not None:
        return how_to_add(context.project.root, package)
    return None if ended.slurm is None else remedy(ended.slurm)
