"""The newest run."""

from __future__ import annotations

from remote_project import RemoteProject
from tool_helpers import at

from ml_remote import jobs
from ml_remote.ui.console import Console

__all__ = [
    "newest",
]


def newest(remote_project: RemoteProject) -> jobs.Job:
    return jobs.list_jobs(
        at(remote_project.client, remote_project.name), console=Console(), kind="run"
    )[-1]
