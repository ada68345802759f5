"""`lab run` and `lab attach`: all cells of a lab on the remote machine, its results back here."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..errors import LabError
from ..hosts.group import Part
from ..hosts.places import find_jobs, remember
from ..hosts.running import watch_run
from ..installing import ensure_far
from ..machine import Machine, read_machine
from ..scripts import ask
from ..settings import load_settings
from ..slurm.submitting import batch_script, slurm_command
from ..slurm.words import ending, remedy
from ..ui import console
from ..ui.console import Console
from . import jobs
from .homecoming import bring_home
from .jobs import Job
from .labs import Lab, find_lab, hosts_of, output_folder
from .listing import choose_run, duration_in_words
from .progress import Progress, show_progress
from .resuming import resumed, taking_checkpoint
from .watching import watching

__all__ = ["attach", "run"]

_KILLED = 137  # by SIGKILL, as the kernel does when memory runs out


def run(
    name: str,
    parameters: Sequence[tuple[str, str]] = (),
    *,
    alias: str | None = None,
    slurm: bool = False,
    resume: str | None = None,
    detach: bool = False,
    again: bool = False,
    verbose: bool = False,
) -> None:
    """Carry out `lab run` on the remote machine; the arguments are those of the command line.

    Raises UsageError for a lab or parameter that does not exist, and LabError when the run cannot
    be started or not every cell ran.
    """
    machine = read_machine(alias)
    lab = resumed(find_lab(name, parameters), resume, [machine])
    job = _start(machine, lab, slurm=slurm, again=again)
    if alias is not None:
        remember(machine.alias)
    if detach:
        console.next_step(f"lab attach {job.id}")
    else:
        _watch(machine, job, verbose=verbose)


def attach(text: str | None, *, alias: str | None = None, verbose: bool = False) -> None:
    """Carry out `lab attach`: follow a run to its end and bring its results home.

    Raises UsageError when it is not clear which run is meant, LabError when not every cell ran.
    """
    found = find_jobs(alias, "run")
    job = choose_run([one.job for one in found], text, alias=read_machine(alias).alias)
    (machine,) = [one.machine for one in found if one.job is job]
    console.note(f"{job.name}, started {job.started.astimezone():%d %b %H:%M} on {machine.alias}")
    if hosts_of(job.name):
        watch_run(Part(machine=machine, job=job))
    else:
        _watch(machine, job, verbose=verbose)


def _start(machine: Machine, lab: Lab, *, slurm: bool, again: bool) -> Job:
    """Start the run; one that is the same and still goes on is taken instead, unless `again`."""
    going_on = [
        job
        for job in jobs.list_jobs(machine, kind="run")
        if not job.is_over and job.name == lab.title and (job.slurm is not None) == slurm
    ]
    same = going_on[-1] if going_on and not again else None
    if _is_changed(machine, lab, since=same):
        same = None
    if same is not None:
        console.note(
            f"This run is going on already, since {same.started.astimezone():%d %b %H:%M}. "
            "For another one beside it: --again"
        )
        return same
    settings = load_settings()
    for sentence in settings.slurm.ignored if slurm else ():
        console.warn(sentence)
    headless = [".venv/bin/python", ensure_far(machine), "headless", *lab.words]
    job = jobs.start(
        machine,
        kind="run",
        name=lab.title,
        command=(
            f'LAB_OUTPUT_DIR="$PWD"/outputs/{shlex.quote(output_folder(lab.title))}/"$LAB_JOB"\n'
            "export LAB_OUTPUT_DIR PYTHONUNBUFFERED=1 PYTHONIOENCODING=utf-8\n"
            + taking_checkpoint(lab)
            + (slurm_command(lab) if slurm else f"exec {shlex.join(headless)}\n")
        ),
        batch=batch_script(lab, settings.slurm) if slurm else None,
    )
    if job.slurm is None:
        console.note(f"Run {job.id} started on {machine.alias}; it goes on without this computer.")
    else:
        console.note(
            f"Run {job.id} is job {job.slurm.id} of Slurm on {machine.alias}: {settings.slurm}."
        )
    return job


def _is_changed(machine: Machine, lab: Lab, *, since: Job | None) -> bool:
    """Return whether the code there has changed since a run began.

    Warns when it is not the code that is here. Raises LabError when no lab can be run there.
    """
    arguments = lab.path, load_settings().package or "", "" if since is None else since.id
    result = ask(machine, "look", *arguments)
    facts, _, source = result.stdout.partition("\n")
    environment, changed = facts.split()
    if environment != "complete":
        raise LabError(
            f"The environment on {machine.alias} is {environment}.", hint="Make it: lab setup"
        )
    if source != lab.source:
        console.warn(
            f"{lab.path}, or what it imports from src/, differs between here and {machine.alias}; "
            "what runs is what is there. To send what is here: lab push"
        )
    return changed == "yes"


def _watch(machine: Machine, job: Job, *, verbose: bool) -> None:
    """Follow a run and bring its results home. Raises LabError when not every cell ran."""
    # A script has no cells to condense its output to.
    condensed = not verbose and job.slurm is None
    with watching(job.id, where=machine.alias), show_progress(verbose=not condensed) as progress:
        ended = jobs.follow(
            machine,
            job.id,
            console=Console(),
            on_line=progress.on_line,
            again=f"lab attach {job.id}",
        )
    took = duration_in_words(ended.duration)
    if ended.state == "done":
        what = "All cells of " if ended.slurm is None else ""
        console.say(f"{what}{ended.name} ran on {machine.alias} in {took}.")
    elif ended.slurm is None:  # of a script everything was shown, and 2 means nothing special
        progress.show_failure(ended.exit_code)
    results = bring_home(machine, ended)
    if ended.state != "done":
        more = None if ended.slurm is None else remedy(ended.slurm)
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
