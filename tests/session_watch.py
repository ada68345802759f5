"""Seeing what every user of a machine can see: open TCP ports and the arguments of programs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_remote.far.login.kernels import list_kernels

__all__ = [
    "LISTENING",
    "arguments_of_all_processes",
    "kernel_processes",
    "processes_below",
    "tcp_listeners",
    "unix_listeners",
]

LISTENING = "0A"  # the state of a socket in /proc/net/tcp; see Linux's include/net/tcp_states.h


@contextmanager
def arguments_of_all_processes() -> Iterator[set[bytes]]:
    """Collect the command lines of all processes of this machine for the duration of a block."""
    seen: set[bytes] = set()
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                seen.add(_read(process / "cmdline"))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield seen
    finally:
        over.set()
        sampler.join()


def processes_below(folder: Path) -> dict[int, str]:
    """Return the processes of the jobs that run in a project's folder, with their command lines.

    Each of them has the folder of its job in its environment, as have all that it starts.
    """
    mark = f"LAB_JOB_FOLDER={folder}/.lab/jobs/".encode()
    return {
        int(process.name): _command(process)
        for process in Path("/proc").glob("[0-9]*")
        if any(variable.startswith(mark) for variable in _read(process / "environ").split(b"\0"))
    }


def kernel_processes(folder: Path) -> dict[int, str]:
    """Return the kernels of a project that outlive their windows, with their command lines."""
    pids = [kernel.pid for kernel in list_kernels(str(folder.resolve()))]
    return {pid: _command(Path(f"/proc/{pid}")) for pid in pids}


def tcp_listeners(processes: dict[int, str]) -> list[str]:
    """Return the TCP addresses, in hexadecimal, on which any of these processes listens."""
    inodes = {inode for process in processes for inode in _socket_inodes(process)}
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in _read(Path(table)).decode().splitlines()[1:]
    ]
    return [fields[1] for fields in lines if fields[3] == LISTENING and fields[9] in inodes]


def unix_listeners(processes: dict[int, str]) -> list[str]:
    """Return the paths of the Unix sockets that any of these processes holds."""
    inodes = {inode for process in processes for inode in _socket_inodes(process)}
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [fields[7] for fields in lines if len(fields) > 7 and fields[6] in inodes]


def _socket_inodes(process: int) -> list[str]:
    found = []
    try:
        descriptors = list(Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return []
    for descriptor in descriptors:
        try:
            target = os.readlink(descriptor)  # noqa: PTH115 - it is no path
        except OSError:
            continue
        if target.startswith("socket:["):
            found.append(target.removeprefix("socket:[").removesuffix("]"))
    return found


def _command(process: Path) -> str:
    return _read(process / "cmdline").replace(b"\0", b" ").decode().strip()


def _read(path: Path) -> bytes:
    """Return what a file in /proc holds; nothing if its process has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
