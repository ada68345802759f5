"""Serve the logins of a compute node, in the batch step of the job that `lab node` has submitted.

    python3 .lab/far/<hash> node 30

An sshd of the person's own answers each connection to a socket that nobody else can open; nothing
listens on TCP. It runs in the batch step: what a login starts lives until the job ends, while a
step of srun would take it along. The file `node` in the job's folder says where the socket is. The
job ends when nobody has been connected and no kernel or run has been busy for the given minutes.
Python 3.6 is enough.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List

from ..files import replace_text
from .configuration import write_configuration
from .life import End, adopt_orphans, end_children, is_busy, is_logged_in

__all__ = ["main"]

_LOOK_EVERY = 15.0  # seconds between two looks at what is busy
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin"
_PREFIX = "lab-node-"
_NEW = 60.0  # seconds for which a folder may be one that is just made
_RELAY = Path(__file__).resolve().with_name("relay.py")


def main(arguments: List[str]) -> int:
    """Serve until nobody needs the node any more; the argument is the minutes without use."""
    idle = float(arguments[0]) * 60
    job = Path(os.environ["LAB_JOB_FOLDER"])
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":" + _SBIN)
    if program is None:
        return _say_fault(job, idle, "no-sshd")
    _remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    try:
        configuration = write_configuration(folder, Path(".lab", "nodes").resolve(), job)
        said = _fault_of(program, configuration)
        if said:
            return _say_fault(job, idle, "sshd-fails", said)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "ssh"))
        listener.listen(64)
        node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        _announce(job, ["ready", node, str(folder / "ssh"), sys.executable, str(_RELAY)])
        _Server([program, "-i", "-e", "-f", str(configuration)], listener, job).serve(idle)
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)
        end_children()
    return 0


def _remove_left_behind() -> None:
    """Remove the folders of jobs that were killed here: Slurm asks no batch script to end."""
    for path in Path("/tmp").glob(_PREFIX + "*/ssh"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            status = path.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _NEW:
                continue
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                shutil.rmtree(str(path.parent), ignore_errors=True)


def _fault_of(program: str, configuration: Path) -> str:
    """Return why sshd cannot be run here with this configuration; nothing if it can."""
    try:
        done = subprocess.run(
            [program, "-t", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stdout.decode(errors="replace").strip()
    return "" if done.returncode == 0 else said or "it gave no reason"


def _say_fault(job: Path, idle: float, word: str, said: str = "") -> int:
    """Report why no logins are served, and keep the job while somebody is logged in otherwise.

    Where the node's own SSH server lets people in who have a job there, the job is all it takes.
    """
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    _announce(job, [word, node, " ".join(said.split())[-300:]])
    end, used = End(job), time.monotonic()
    while not idle or time.monotonic() - used < idle:
        time.sleep(_pause(idle))
        end.look()
        if is_logged_in() or is_busy(everywhere=True):
            used = time.monotonic()
    (job / "idle-end").touch()
    return 0


def _pause(idle: float) -> float:
    """Return how many seconds pass between two looks at what is busy."""
    return min(_LOOK_EVERY, max(0.5, idle / 4)) if idle else _LOOK_EVERY


def _announce(job: Path, lines: List[str]) -> None:
    """Write the file `node`, which is complete when it is there."""
    replace_text(job / "node", "".join(line + "\n" for line in lines))


class _Server:
    """Starts an sshd for each connection, until the job is to end."""

    def __init__(self, command: List[str], listener: socket.socket, job: Path) -> None:
        self._command = command
        self._listener = listener
        self._job = job
        self._logins: "List[subprocess.Popen[bytes]]" = []
        self._end = End(job)

    def serve(self, idle: float) -> None:
        """Serve until nothing has used the node for `idle` seconds; 0 means until the job ends."""
        used = time.monotonic()
        while True:
            ready, _, _ = select.select([self._listener], [], [], _pause(idle))
            if ready:
                self._accept()
            self._logins = [login for login in self._logins if login.poll() is None]
            self._end.look()
            if self._logins or is_busy():
                used = time.monotonic()
            elif idle and time.monotonic() - used >= idle:
                (self._job / "idle-end").touch()
                return

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            number = connection.fileno()
            login = subprocess.Popen(
                self._command, stdin=number, stdout=number, start_new_session=True
            )
        self._logins.append(login)
