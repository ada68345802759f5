"""The lines of sh around a run's command: its variables, its record, its interpreter."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..jobs.about import Run
from ..scripts import script

__all__ = ["command_lines", "program_lines", "record_lines", "variable_lines", "with_cards"]


def variable_lines(run: Run, *, part_of: str = "", folders: Sequence[str] = (), **own: str) -> str:
    """Return the lines that set what a run finds; `own` are further variables.

    What `--env` gives it is set by run.sh at last, so it is stronger than the environment and the
    project's secrets. `part_of` is the run that a worker belongs to; what is new in `folders` when
    the run has ended is copied into its results.
    """
    folder = f"outputs/{shlex.quote(run.output_folder)}/{part_of or '$LAB_JOB'}"
    plain = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **own}
    given = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in run.variables)
    lines = [
        f'LAB_OUTPUT_DIR="$PWD"/{folder}',
        "export LAB_OUTPUT_DIR",
        *(f"export {name}={shlex.quote(value)}" for name, value in plain.items()),
    ]
    if given:
        lines += [f"LAB_GIVEN={shlex.quote(given)}", "export LAB_GIVEN"]
    if run.command:
        lines.append('mkdir -p "$LAB_OUTPUT_DIR" || exit')
    if folders:
        words = shlex.join(folders)
        lines.append(f'printf \'%s\\n\' "$LAB_OUTPUT_DIR" {words} >"${{LAB_JOB_FOLDER}}folders"')
    return "".join(f"{line}\n" for line in lines)


def record_lines(far: str) -> str:
    """Return the lines that begin the record of a run, once its variables are set."""
    return f"FAR={shlex.quote(far)}\n{script('begin-record')}"


def command_lines(words: str, *, far: str, tty: bool = False) -> str:
    """Return the lines that become a command; `words` are in sh, and may name `$python`."""
    settings = f"FAR={shlex.quote(far)} tty={'--tty' if tty else ''}\n"
    return f"{settings}{script('enter')}{script('code')}{script('run')}run {words}\n"


def program_lines(run: Run, *, far: str) -> str:
    """Return the lines that become the program of a run."""
    return command_lines(with_cards(run, shlex.join(run.command)), far=far, tty=run.tty)


def with_cards(run: Run, words: str) -> str:
    """Return the words of a program that waits for cards of its own, if it is to have some.

    Slurm hands them out by itself.
    """
    if run.gpus is None or run.launcher == "slurm":
        return words
    return f'"$python" -s -E "$FAR" cards {run.gpus} -- {words}'
