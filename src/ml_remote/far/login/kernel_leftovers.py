"""Removing what ended kernels left behind."""

import contextlib
import json
import os
import shutil
import socket
import time
from pathlib import Path

from .kernels import (
    FORMAT,
    folders,
    in_another_container,
    is_alive,
    locked,
    paths,
    read_kernel,
    remove,
)

__all__ = ["remove_leftovers"]

_YOUNG = 60.0  # seconds in which a folder may still get its about.json


def remove_leftovers() -> None:
    """Remove the folders of kernels that have ended, and what killed processes have left.

    Those of another container that shares this folder, and of newer versions, are left alone.
    """
    for path in list(paths()):
        kernel = read_kernel(path)
        try:
            if kernel is not None and not in_another_container(kernel):
                is_left = not is_alive(kernel)
            else:
                is_young = time.time() - path.stat().st_mtime < _YOUNG
                is_left = not is_young and not _is_newer(path) and not _listens(path)
        except OSError:  # another command has just removed it
            continue
        if is_left:
            remove(path, kernel)
    for place in folders():
        for path in place.glob("gone-*"):  # whoever removed it was killed
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_ctime > _YOUNG:
                    shutil.rmtree(str(path), ignore_errors=True)
        for path in place.glob("*.lock"):
            with contextlib.suppress(OSError):  # somebody holds it
                _remove_lock(path)


def _remove_lock(path: Path) -> None:
    descriptor = locked(path, time.monotonic())
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def _is_newer(path: Path) -> bool:
    """Return whether about.json is that of a newer version, which alone understands it."""
    try:
        return bool(
            json.loads((path / "about.json").read_text(encoding="utf-8"))["format"] > FORMAT
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _listens(path: Path) -> bool:
    """Return whether a process listens on the sockets in a folder, in whatever container."""
    for one in path.glob("s-*"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(one))
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            except OSError:  # it is too busy to answer
                pass
            return True
    return False
