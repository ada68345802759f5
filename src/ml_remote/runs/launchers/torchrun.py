"""`lab run --hosts`: a lab in several processes, on one machine or on several, by torchrun.

What runs on the hosts is `launch.py`. It builds on these names of torch that are not public, or not
documented; a test looks for them in the torch that is installed and in the oldest one allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .launcher import Launcher, RunRequest, Stopped

if TYPE_CHECKING:
    from ...context import Context
    from ..machines import RemoteJob

__all__ = ["LAUNCHER", "TORCH_NAMES", "Torchrun"]

TORCH_NAMES = {
    "torch.distributed": ("TCPStore",),
    "torch.distributed.elastic.multiprocessing": ("SignalException",),
    "torch.distributed.elastic.multiprocessing.errors": ("ChildFailedError",),
    "torch.distributed.elastic.rendezvous": (
        "RendezvousClosedError",
        "RendezvousError",
        "RendezvousHandler",
        "RendezvousParameters",
        "RendezvousTimeoutError",
        "rendezvous_handler_registry",
    ),
    "torch.distributed.elastic.rendezvous.c10d_rendezvous_backend": ("C10dRendezvousBackend",),
    "torch.distributed.elastic.rendezvous.dynamic_rendezvous": ("create_handler",),
    "torch.distributed.launcher.api": ("LaunchConfig", "elastic_launch"),
}
"""The names of torch that `--hosts` rests on, by module."""


class Torchrun(Launcher):
    """A script in several processes, one job on every host."""

    name = "torchrun"
    options = (
        click.Option(
            ["--hosts"], metavar="A,B", help="Train on these machines together, with torchrun."
        ),
        click.Option(
            ["--nproc-per-node"],
            type=click.IntRange(min=1),
            metavar="N",
            help="Processes on each machine, with torchrun. [default with --hosts: one for each "
            "GPU, or 1]",
        ),
        click.Option(
            ["--max-restarts"],
            type=click.IntRange(min=0),
            metavar="N",
            help="How often to restart from the last checkpoint after losing a process or "
            "machine. [default: 3]",
        ),
        click.Option(["--network"], metavar="CIDR", help="The network that the hosts use."),
    )
    asked_by = ("hosts", "nproc_per_node")
    flags = "--hosts or --nproc-per-node"

    def run(self, context: Context, request: RunRequest) -> int:
        """Send code and environment to every host, start the run on all, and follow it."""
        from .on_hosts import run_on_hosts

        run_on_hosts(context, request)
        return 0

    def watch(self, context: Context, found: RemoteJob, *, verbose: bool) -> int:
        """Follow the run on all its hosts; a script has no cells, so all it prints is shown."""
        from .on_hosts import watch_run

        watch_run(context, found)
        return 0

    def stop(self, context: Context, found: RemoteJob) -> Stopped:
        """End the run on all its hosts."""
        from .host_jobs import find_jobs, stop_jobs

        parts, silent = find_jobs(context, found)
        ended, more = stop_jobs(parts)
        states = [job.state for job in ended if job.id == found.job.id]
        return Stopped(state=states[0] if states else found.job.state, silent=[*silent, *more])


LAUNCHER = Torchrun()
