"""A machine in namespaces of its own: network, processes, mounts, host name, /tmp.

Its root is this computer's with files over it, so it has every program that this computer has, and
nothing that is written there is seen here. Nothing of it has a name here: it ends with the process
that started it, even if that is killed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from needs import need_program

__all__ = ["ClusterMachine", "cluster_machine", "in_network_of", "network_of_its_own"]

_FIRST = Path(__file__).with_suffix(".sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NETWORK = 0x40000000  # CLONE_NEWNET


@dataclass(frozen=True)
class ClusterMachine:
    """A machine that runs."""

    name: str
    process: int
    """Its first process, by the number that it has here."""

    def start(self, *command: str, user: str = "root", **variables: str) -> subprocess.Popen[str]:
        """Start a command there, with no variables but these and a few usual ones.

        What it prints, errors too, is to be read. It ends with the machine at the latest.
        """
        home = "/root" if user == "root" else f"/home/{user}"
        given = {"HOME": home, "USER": user, "LOGNAME": user, "PATH": _PATH, **variables}
        return subprocess.Popen(
            [
                *("nsenter", f"--target={self.process}", "--mount", "--uts", "--ipc", "--net"),
                *("--pid", "--root", f"--wd={home if user == 'root' else '/'}", "setpriv"),
                *(f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", "-C", home),
                *(f"{name}={value}" for name, value in given.items()),
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, user: str = "root", check: bool = True, **variables: str) -> str:
        """Run a command there and return what it printed, errors too.

        Raises AssertionError when `check` is set and the command fails.
        """
        with self.start(*command, user=user, **variables) as process:
            said = process.communicate(timeout=120)[0]
        assert process.returncode == 0 or not check, f"{self.name}: {command} failed\n{said}"
        return said

    def write(self, path: str, text: str, *, mode: str = "644") -> None:
        """Write a file as root."""
        self.run("sh", "-c", 'printf %s "$1" >"$2" && chmod "$3" "$2"', "sh", text, path, mode)

    def end_processes_of(self, user: str) -> None:
        """Kill everything that a person has running there."""
        self.run("kill", "-KILL", "-1", user=user, check=False)


@contextmanager
def cluster_machine(
    name: str, *, folder: Path, files: Sequence[Path], homes: Path
) -> Iterator[ClusterMachine]:
    """Yield a machine with the files of these folders over this computer's; the last of them wins.

    `homes` is what it has as /home, in common with others.
    """
    (folder / name).mkdir()
    unshare = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
    first = ["sh", str(_FIRST), name, str(folder / name), str(homes), *map(str, files)]
    with _ended_with_us([*unshare, *first]) as process:
        assert process.stdout is not None
        number = process.stdout.readline().strip()
        assert number, f"{name} does not start: {process.communicate()[1]}"
        yield ClusterMachine(name, int(number))


@contextmanager
def network_of_its_own() -> Iterator[int]:
    """Yield a network namespace: the number of a process in it, which does nothing."""
    script = "ip link set dev lo up && echo up && exec sleep infinity"
    with _ended_with_us(["unshare", "--net", "sh", "-c", script]) as process:
        assert process.stdout is not None
        assert process.stdout.readline(), process.communicate()[1]
        yield process.pid


@contextmanager
def _ended_with_us(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command that the kernel kills when this process ends, however it ends."""
    process = subprocess.Popen(
        [need_program("setpriv"), "--pdeathsig", "KILL", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def in_network_of(process: int) -> Iterator[None]:
    """Move this thread, and what it starts, to the network of that process."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file: int) -> None:
        if libc.setns(file, _NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        enter(there)
        os.close(there)
        yield
    finally:
        enter(before)
        os.close(before)
