"""Start a kernel that outlives its parent: its folder, its variables, two forks."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from ...login import kernels
from ...login.caches import read_caches
from ...login.variables import cleaned

__all__ = [
    "CannotLastError",
    "in_words",
    "kernel_variables",
    "main",
    "start_kernel",
    "write_connection",
]

_FAR_HALF = Path(__file__).resolve().parents[4]
_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The editor's process is not the kernel's parent, and a session of JupyterLab ends before it.
_NOT_PASSED_ON = re.compile(r"JPY_.*|JUPYTER_(?:CONFIG|RUNTIME)_\w+|JUPYTERLAB_.*|LAB_JOB_FOLDER")


class CannotLastError(Exception):
    """Why a plain kernel is the better one; empty if that is what the person wants."""


def in_words(error: OSError) -> str:
    """Return what an error says, without its number."""
    if error.strerror is None:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


def main(arguments: list[str]) -> int:
    """Start a spare kernel for a window of another environment, and print its folder."""
    root, window = arguments
    print(start_kernel(Path(root), window).folder)
    return 0


def start_kernel(root: Path, window: str) -> kernels.Kernel:
    """Start a spare kernel, which has no lab yet, for a window; it may take a second to answer.

    Only one thread may run. Raises OSError when there is no private folder or no process.
    """
    folder = kernels.folder(make=True) / f"spare-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    (folder / "windows").mkdir(mode=0o700)
    write_connection(folder, secrets.token_hex(32))
    command = [sys.executable, str(_FAR_HALF), "lasting-kernel", str(folder), str(root), window]
    pid = _start_as_orphan(command, kernel_variables(root, os.environ), folder / "log")
    return kernels.write_about(folder, root=str(root), lab="", pid=pid, python=sys.executable)


def write_connection(folder: Path, key: str) -> None:
    """Write where the kernel in this folder has its sockets; whole, and for its owner only."""
    info = {"transport": "ipc", "ip": str(folder / "s"), "key": key, **_PORTS}
    text = json.dumps({**info, "signature_scheme": "hmac-sha256", "kernel_name": "python3"})
    new = folder / "kernel.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(folder / "kernel.json")


def kernel_variables(root: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a kernel: those that runs get, too, from those of the editor."""
    kept = {
        name: value
        for name, value in cleaned(variables).items()
        if not _NOT_PASSED_ON.fullmatch(name)
    }
    own = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join(filter(None, [own, kept.get("PATH", os.defpath)]))
    return {**kept, **read_caches(root), **_secrets(root)}


def _secrets(root: Path) -> dict[str, str]:
    """Return the project's secrets, as far/login/secrets.sh has them."""
    found = {}
    for path in (root / ".lab" / "secrets").glob("*"):
        if _SECRET.fullmatch(path.name) and path.is_file():
            try:
                found[path.name] = os.fsdecode(path.read_bytes().replace(b"\0", b""))
            except OSError:  # another command has just removed it
                continue
    return found


def _start_as_orphan(command: list[str], variables: dict[str, str], log: Path) -> int:
    """Start a program that has neither parent nor terminal; return its process id."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _fork_again(command, variables, log, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        raise OSError("the kernel's process could not be started")
    return int(said)


def _fork_again(command: list[str], variables: dict[str, str], log: Path, writing: int) -> NoReturn:
    try:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.setpgid(0, 0)  # an interrupt reaches what the kernel has started, too
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(log, flags, 0o600), 1)
        os.dup2(1, 2)
        os.execve(command[0], command, variables)
    finally:
        os._exit(127)
