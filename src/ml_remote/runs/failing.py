"""Why a run failed: a sentence, and the last line that it printed."""

from __future__ import annotations

import re
import signal
from contextlib import suppress
from pathlib import Path

from ..errors import LabError
from ..far.login.record import STOPPED
from ..jobs.events import announced
from ..jobs.job import Job
from ..jobs.slurm_messages import ending
from ..scripts import run_script
from ..ui.text import in_one_line, without_colours
from .machines import RemoteJob

__all__ = ["failure", "last_line_in", "reason_of_failure"]

_KILLED = 137  # by SIGKILL, as the kernel does when memory runs out
_BY_SIGNAL = 128
_LINES = 500
_LONGEST = 300  # characters of a line
_END = 2**16  # bytes of a file


def failure(ended: Job, within: str, *, where: str) -> str:
    """Return the sentence that says how a run ended that did not get to its end.

    `within` is the cell, as a part of a sentence.
    """
    if ended.state == "stopped":
        return f"Run {ended.id} was stopped{within}."
    if ended.slurm is not None and ending(ended.slurm):
        return f"Run {ended.id} did not finish: {ending(ended.slurm)}."
    if ended.state == "failed" and ended.exit_code is None:
        return (
            f"Run {ended.id} failed before it could report why. Check that compute nodes can see "
            "the project's folder."
        )
    if ended.state == "failed" and ended.exit_code != _KILLED:
        return f"Run {ended.id} failed{within}; exit code {ended.exit_code}{_signal(ended)}."
    return (
        f"Run {ended.id} was killed on {where}{within}, or {where} was restarted. Often "
        "the reason is too little memory: lab status"
    )


def reason_of_failure(found: RemoteJob) -> tuple[str, str]:
    """Return why a run failed, and the last line that it printed; empty where it did not fail."""
    job = found.job
    if job.state not in ("failed", "lost"):
        return "", ""
    text = ""
    with suppress(LabError):  # the sentence alone tells most of it
        text = run_script(found.machine, "tail-job", job.id, str(_LINES), job=job.id).stdout
    cell, said = _end(text)
    return failure(job, f" in cell {cell}" if cell else "", where=found.machine.alias), said


def last_line_in(log: Path) -> str:
    """Return the last line of a file that came with the results of a run; empty if it has none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END))
            return _end(file.read(_END).decode("utf-8", "replace"))[1]
    except OSError:
        return ""


def _end(text: str) -> tuple[str, str]:
    """Return the cell that the end of a log is about, and its last line."""
    cell, said = "", ""
    for line in re.split("[\r\n]+", text):
        begun = announced(line, event="cell")
        if begun is not None:
            cell, said = begun, ""
        elif line.strip() and not line.startswith(STOPPED):
            said = line.strip()
    return cell, in_one_line(without_colours(said))[:_LONGEST]


def _signal(ended: Job) -> str:
    """Return the signal that ended a program, in brackets."""
    with suppress(ValueError):
        return f" ({signal.Signals((ended.exit_code or 0) - _BY_SIGNAL).name})"
    return ""
