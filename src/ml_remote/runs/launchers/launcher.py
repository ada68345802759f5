"""The interface of a launcher: one way to start a lab, and to follow and stop it.

The modules of this package are imported for `lab run --help` too, for the sake of their options;
what they need to do their work is imported by the functions that do it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import click

if TYPE_CHECKING:
    from ...context import Context
    from ...jobs import JobStart
    from ...jobs.about import Run
    from ...jobs.job import Job, State
    from ...machine import Machine
    from ..machines import RemoteJob

__all__ = ["Launcher", "OneMachine", "RunRequest", "Stopped", "Variables"]


class Variables(NamedTuple):
    """The variables of `--env` and `--env-file`."""

    recorded: tuple[tuple[str, str], ...] = ()
    """Those that are kept with the run, names and values."""
    secret: Mapping[str, str] = MappingProxyType({})
    """Those whose values only the run itself knows."""


class RunRequest(NamedTuple):
    """What `lab run` was asked for; the fields are its options."""

    lab: str
    """Empty for a program."""
    options: Mapping[str, Any]
    """The options of the launchers, by name."""
    parameters: Sequence[tuple[str, str]] = ()
    alias: str | None = None
    gpus: int | None = None
    """How many cards it is to have to itself."""
    resume: str | None = None
    detach: bool = False
    again: bool = False
    verbose: bool = False
    command: Sequence[str] = ()
    """The program and its arguments."""
    name: str | None = None
    tty: bool = False
    variables: Variables = Variables()
    code_of: str = ""
    """The folder below outputs/ of the run whose code it is to use; that of now, if empty."""


class Stopped(NamedTuple):
    """The result of stopping a run."""

    state: State
    silent: Sequence[str] = ()
    """The aliases of hosts that could not be reached."""


class Launcher(ABC):
    """One way to start a lab. `about.json` names it, so a name keeps its meaning."""

    name: ClassVar[str]
    options: ClassVar[Sequence[click.Option]] = ()
    """Its options of `lab run`."""
    asked_by: ClassVar[Sequence[str]] = ()
    """Those of them that ask for this launcher; the others say more about it."""
    flags: ClassVar[str] = ""
    """How the options that ask for it are written."""

    @abstractmethod
    def run(self, context: Context, request: RunRequest) -> int:
        """Run `lab run`; return the exit code.

        Raises LabError when it cannot be started, or a lab fails.
        """

    @abstractmethod
    def watch(self, context: Context, found: RemoteJob, *, verbose: bool) -> int:
        """Follow a run to its end and bring its results home; return the exit code.

        Raises LabError when a lab fails, or a program ends without one.
        """

    @abstractmethod
    def stop(self, context: Context, found: RemoteJob) -> Stopped:
        """End a run with everything that it has started."""


class OneMachine(Launcher):
    """A launcher that starts one job, on the machine of `lab.toml` or of `--alias`."""

    is_later: ClassVar[bool] = False
    """Whether what it starts may begin later than it was asked for."""
    is_condensed: ClassVar[bool]
    """Whether what it prints is condensed to the cells that it goes through."""

    def far(self, machine: Machine) -> str:
        """Return the folder of the far half that the job uses; it is there then."""
        from ...far_half import ensure_far

        return ensure_far(machine)

    @abstractmethod
    def command(self, run: Run, *, far: str) -> str:
        """Return what the job runs for a lab, in sh; `LAB_OUTPUT_DIR` is set."""

    @abstractmethod
    def job_start(self, context: Context, machine: Machine, run: Run) -> JobStart | None:
        """Return how the job is begun, None for a job of the machine itself."""

    @abstractmethod
    def started(self, context: Context, machine: Machine, job: Job) -> str:
        """Return the sentence that says that a run has started."""

    def run(self, context: Context, request: RunRequest) -> int:
        """Start the run, or find the one that is the same, and follow it."""
        from .one_machine import run

        return run(self, context, request)

    def watch(self, context: Context, found: RemoteJob, *, verbose: bool) -> int:
        """Follow its job."""
        from .one_machine import watch

        return watch(context, found.machine, found.job, verbose=verbose or not self.is_condensed)

    def stop(self, context: Context, found: RemoteJob) -> Stopped:
        """End its job."""
        from ... import jobs

        return Stopped(state=jobs.stop(found.machine, found.job.id).state)
