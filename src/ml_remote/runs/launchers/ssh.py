"""A lab on the machine itself: all its cells, in one process."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from .launcher import OneMachine

if TYPE_CHECKING:
    from ...context import Context
    from ...jobs.about import Run
    from ...jobs.job import Job
    from ...machine import Machine

__all__ = ["LAUNCHER", "Ssh"]


class Ssh(OneMachine):
    """A headless run, in a session of its own."""

    name = "ssh"
    is_condensed = True

    def command(self, run: Run, *, far: str) -> str:
        """Return the command of a headless run."""
        from ..shell_lines import command_lines, with_cards

        words = shlex.join([far, "headless", *run.words])
        return "export LAB_PROGRESS=json\n" + command_lines(
            with_cards(run, f'"$python" {words}'), far=far
        )

    def job_start(self, context: Context, machine: Machine, run: Run) -> None:
        """Return None: it is a job of the machine itself."""

    def started(self, context: Context, machine: Machine, job: Job) -> str:
        """Return the sentence that says that a run has started."""
        return f"Run {job.id} started on {machine.alias}; it continues without this computer."


LAUNCHER = Ssh()
