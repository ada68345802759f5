"""Choosing a lab's kernel: the live one, or a fresh one.

A proxy under an extension host that has served this lab already means *Restart*, for which the
editor sends nothing but a signal. Under any other host it means that the window was reloaded.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

from ...login import kernels
from ...login.environment.processes import started
from .messages import Message
from .starting import write_connection

__all__ = [
    "JUPYTER",
    "enter",
    "file_named",
    "host_of",
    "is_restart",
    "lab_of",
    "settle",
    "withdraw",
]

JUPYTER = "jupyter"
"""The host of a proxy that JupyterLab has started; it says by messages what it wants."""

_NAMED = re.compile(r'^__vsc_ipynb_file__ = "(.*)"$', re.MULTILINE)
_ENDINGS = (".py", ".ipynb")
_JUST = 15.0  # seconds until the window that follows a *Restart* asks for its lab
_LEAVING = 2.0  # seconds in which the window that *Restart* ends is gone


def file_named(message: Message) -> str:
    """Return the file that the editor's start-up code names; empty if this is not that code."""
    if message.header.get("msg_type") != "execute_request":
        return ""
    content = message.content
    if content.get("store_history", True):
        return ""
    named = _NAMED.search(str(content.get("code", "")))
    return named[1].replace("\\\\", "\\") if named else ""


def lab_of(root: Path, file: str) -> str:
    """Return the lab that a script or notebook is; empty for what is no file on this machine."""
    path = Path(os.path.realpath(file))
    bare = path.with_suffix("") if path.suffix in _ENDINGS else path
    if not any(Path(f"{bare}{ending}").is_file() for ending in (*_ENDINGS, "")):
        return ""
    return bare.relative_to(root).as_posix() if bare.is_relative_to(root) else str(bare)


def host_of(pid: int) -> str:
    """Return the name of an extension host: its process, and when that began."""
    return f"{pid}-{started(pid)}"


def enter(folder: Path, window: str, host: str) -> None:
    """Note that a window shows the kernel in this folder."""
    (folder / "windows" / window).write_text(host, encoding="utf-8")
    if host != JUPYTER:
        hosts = {line for line in _lines(folder / "hosts") if kernels.is_running(line)} | {host}
        (folder / "hosts").write_text("\n".join([*sorted(hosts), ""]), encoding="utf-8")


def withdraw(folder: Path, window: str, host: str) -> None:
    """Note that a window has left."""
    (folder / "windows" / window).unlink(missing_ok=True)
    (folder / "left").write_text(host, encoding="utf-8")
    (folder / "used").touch()


def is_restart(kernel: kernels.Kernel, window: str, host: str) -> bool:
    """Return whether a new window under this host wants a fresh kernel.

    The notebook and the script of a lab may be open side by side: a second view is no *Restart*,
    unless one of them has just left. That may take a moment.
    """
    if host not in _lines(kernel.folder / "hosts"):
        return False
    deadline = time.monotonic() + _LEAVING
    while _shows_beside(kernel.folder, window, host):
        if _has_just_left(kernel.folder, host):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def settle(kernel: kernels.Kernel, lab: str) -> kernels.Kernel:
    """Make a spare kernel the one of a lab; whoever calls this holds the lab's lock.

    Raises OSError when its folder cannot have that name.
    """
    folder = kernel.folder.with_name(kernels.id_of(kernel.root, lab))
    try:
        kernel.folder.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise OSError(_held(folder, lab)) from None
    write_connection(folder, json.loads((folder / "kernel.json").read_text())["key"])
    return kernels.write_about(
        folder, root=kernel.root, lab=lab, pid=kernel.pid, python=kernel.python
    )


def _held(folder: Path, lab: str) -> str:
    """Return who has the folder of a lab's kernel, as a part of a sentence."""
    holder = kernels.read_kernel(folder)
    if holder is None:
        return f"another version of lab runs the kernel of {lab}."
    if kernels.in_another_container(holder):
        return f"the kernel of {lab} runs in another container on this machine, with the same /tmp."
    return f"{folder} is in use."


def _shows_beside(folder: Path, window: str, host: str) -> bool:
    """Return whether another window under this host shows the kernel."""
    for path in (folder / "windows").glob("*"):
        if path.name != window and kernels.is_running(path.name) and _lines(path) == [host]:
            return True
    return False


def _has_just_left(folder: Path, host: str) -> bool:
    try:
        age = time.time() - (folder / "left").stat().st_mtime
    except OSError:
        return False
    return age < _JUST and _lines(folder / "left") == [host]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()  # macOS: a start has spaces
    except OSError:
        return []
