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

    def far(self, machine: Machine) -> str:
        """Return the folder of the far half, which runs the cells."""
        from ...installing import ensure_far

        return ensure_far(machine)

    def command(self, run: Run, *, far: str) -> str:
        """Return the command of a headless run."""
        from ...scripts import script

        words = [far, "headless", *run.words]
        enter = script("enter")
        return f'{enter}export LAB_PROGRESS=json\nexec "$python" {shlex.join(words)}\n'

    def beginning(self, context: Context, machine: Machine, run: Run) -> None:
        """Return None: it is a job of the machine itself."""

    def started(self, context: Context, machine: Machine, job: Job) -> str:
        """Return the sentence that says that a run has started."""
        return f"Run {job.id} started on {machine.alias}; it goes on without this computer."


LAUNCHER = Ssh()
