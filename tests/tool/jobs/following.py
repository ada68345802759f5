"""Jobs on the machine, and somebody who follows one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import openssh_server
from needs import need_program
from tool_helpers import at

from ml_remote import jobs
from ml_remote.errors import LabError
from ml_remote.jobs.about import About, Run
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

__all__ = [
    "ABOUT",
    "FOLDER",
    "FOLLOWING",
    "Follower",
    "follow",
    "is_alive",
    "make_silent",
    "scripts_in",
    "send",
    "started",
    "wait_for",
]


ABOUT = About(kind="run", title="labs/a b.py", run=Run(lab="labs/a b.py"))
FOLDER = "Projekte/mein Labor ü"
FOLLOWING = """
import sys
from pathlib import Path
from ml_remote.machine import Machine
from ml_remote import jobs
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

directory, folder, job = sys.argv[1:]
machine = Machine(client=Client(alias="machine", directory=Path(directory)), folder=folder)
say = lambda line: print(line, flush=True)
jobs.follow(machine, job, console=Console(), on_line=say, again="lab attach")
"""


def started(client: Client, command: str, *, folder: str = FOLDER) -> jobs.Job:
    return jobs.start(at(client, folder), ABOUT, command)


def follow(
    client: Client,
    folder: str,
    job_id: str,
    *,
    on_line: Callable[[str], None],
    patience: float = 60,
) -> jobs.Job:
    return jobs.follow(
        at(client, folder),
        job_id,
        console=Console(),
        on_line=on_line,
        again="lab attach",
        patience=patience,
    )


def wait_for(client: Client, condition: str) -> None:
    """Wait until a shell condition holds in the project's folder on the machine."""
    client.run_script(f'cd "$1"; until {condition}; do sleep 0.1; done', FOLDER)


def scripts_in(folder: Path, *, but: int) -> list[str]:
    """Return the processes that work in `folder`, leaving out the session `but`."""
    found = []
    for line in openssh_server.run(need_program("ps"), "-A", "-o", "pid=,sid=").splitlines():
        process, session = line.split()
        with suppress(OSError):  # it has ended
            if Path(f"/proc/{process}/cwd").readlink() == folder and int(session) != but:
                found.append(process)
    return found


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    """Send a signal to all of these that are still there."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def is_alive(process: str) -> bool:
    """Return whether a process is there, and not only waiting for its parent to notice its end."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def make_silent(job: Path) -> None:
    """Date the job's last sign of life back by ten minutes."""
    os.utime(job / "sign", (time.time() - 600, time.time() - 600))


class Follower(threading.Thread):
    """Somebody who follows a job; `lines` is what they have seen."""

    def __init__(self, client: Client, job: jobs.Job) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.ended: jobs.Job | None = None
        self.error: LabError | None = None
        self._client, self._job = client, job
        self._seen = threading.Condition()
        self.start()

    def run(self) -> None:
        try:
            self.ended = follow(self._client, FOLDER, self._job.id, on_line=self._on_line)
        except LabError as error:
            self.error = error

    def _on_line(self, line: str) -> None:
        with self._seen:
            self.lines.append(line)
            self._seen.notify()

    def wait_for(self, line: str) -> None:
        with self._seen:
            self._seen.wait_for(lambda: line in self.lines)
