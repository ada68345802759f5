"""The workers of a sweep: how many there are, what each runs, and starting them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from ... import jobs
from ...context import Context
from ...jobs.about import About, Run
from ...jobs.job import Job
from ...machine import Machine
from ...scripts import script
from ...slurm_options import SlurmOptions
from ..launchers import launcher_of
from ..launchers.launcher import OneMachine
from ..launchers.slurm import asked as slurm_options
from ..launchers.slurm import slurm_words
from ..shell_lines import command_lines, variable_lines

__all__ = [
    "Cards",
    "cards_of_a_set",
    "command_of_sets",
    "how_many_at_once",
    "launcher_for",
    "start_workers",
]

Cards = Callable[[Machine], int]
"""Returns how many cards a machine has."""


def how_many_at_once(
    machine: Machine, run: Run, asked: int | None, *, most: int, cards: Cards
) -> int:
    """Return how many sets run at once; 0 leaves it to Slurm."""
    if asked is not None:
        return min(asked, most)
    if run.launcher == "slurm":
        return 0
    return min(most, max(1, cards(machine) // (run.gpus or 1)))


def cards_of_a_set(machine: Machine, run: Run, at_once: int, cards: Cards) -> int:
    """Return how many cards each set holds while it runs.

    Those that `--gpus` asks for, else one where there are enough; what is to run more at once than
    there are cards shares them. Slurm hands them out by itself.
    """
    if run.launcher == "slurm":
        return 0
    if run.gpus is not None:
        return run.gpus
    return 1 if at_once <= cards(machine) else 0


def command_of_sets(context: Context, run: Run, *, far: str) -> str:
    """Return the script that runs one set, which it finds in its arguments."""
    text = variable_lines(run) + "LAB_GIVEN=${LAB_GIVEN-}${LAB_SET_GIVEN-}\nexport LAB_GIVEN\n"
    if run.command:
        return text + command_lines('"$@"', far=far)
    if run.launcher == "slurm":
        return text + slurm_words(f'{shlex.join(run.words)} "$@"', far=far)
    return text + command_lines(
        f'"$python" {shlex.join([far, "headless", *run.words])} "$@"', far=far
    )


def launcher_for(run: Run) -> OneMachine:
    """Return what starts the workers."""
    launcher = launcher_of(run.launcher)
    assert isinstance(launcher, OneMachine)
    return launcher


def start_workers(
    context: Context,
    machine: Machine,
    run: Run,
    *,
    count: int,
    sets: int,
    far: str,
    secrets: Mapping[str, str],
    folders: tuple[str, ...] = (),
) -> list[Job]:
    """Start the workers of a sweep: so many jobs, or job arrays of Slurm for so many sets.

    `folders` are those of [outputs] that they write to in the project's own folder.
    """
    about = About(kind="run", title=run.title, run=run, far=far, folders=folders)
    command = f"FAR={shlex.quote(far)} sweep={run.sweep}\n{script('sweep')}"
    if run.launcher != "slurm":
        workers = [jobs.start(machine, about, command, secrets=secrets) for _ in range(count)]
        context.console.note(
            f"Sweep {run.sweep} started on {machine.alias}; it continues without this computer."
        )
        return workers
    usual = launcher_for(run).job_start(context, machine, run)
    assert usual is not None
    beginning = replace(
        usual,
        script="start-array",
        runner=_array_script(run, context.project.settings.slurm, tasks=sets, at_once=count),
    )
    job = jobs.start(machine, about, command, beginning=beginning, secrets=secrets)
    number = "" if job.slurm is None else f" {job.slurm.id}"
    context.console.note(
        f"Sweep {run.sweep} is job array{number} of Slurm on {machine.alias}: "
        f"{slurm_options(run, context.project.settings.slurm)}."
    )
    return [job]


def _array_script(run: Run, options: SlurmOptions, *, tasks: int, at_once: int) -> str:
    """Return the script that sbatch takes for each task of the array."""
    lines = slurm_options(run, options).lines(name=run.output_folder)
    return f"#!/bin/sh\n{lines}\n# tasks: {tasks} {at_once}\n{script('batch-array')}"
