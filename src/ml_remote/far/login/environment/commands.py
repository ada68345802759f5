"""Running programs: what they print is passed on at once, and the end of it is kept."""

import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Callable, Deque, Dict, Mapping, NoReturn, Optional, Sequence

from ..variables import REMOVED
from .failures import ManagerError
from .progress import Progress

__all__ = ["answer", "end_with_signals", "run"]

_KEPT = 400
# What a shell, or another environment, has set must not lead a manager to another one.
_UNSET = (
    *REMOVED,
    "CONDA_DRY_RUN",
    "PIP_DRY_RUN",
    "PIP_IGNORE_INSTALLED",
    "PIP_NO_DEPS",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_REPORT",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
    "UV_NO_EDITABLE",
    "UV_PREFIX",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    # git: as `git rev-parse --local-env-vars` lists them.
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
)
# pip's own configuration may say otherwise; a variable counts more.
_SET = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def run(
    command: Sequence[str],
    *,
    folder: Optional[Path] = None,
    variables: Optional[Mapping[str, str]] = None,
    on_line: Optional[Callable[[str], bool]] = None,
    progress: Optional[Progress] = None,
) -> str:
    """Run a program, pass on what it prints, and return it.

    Nobody can answer its questions. `on_line` takes a line and returns whether it has shown it;
    `progress` shows downloads in words of its own.
    Raises ManagerError when the program fails.
    """
    try:
        process = subprocess.Popen(
            list(command),
            cwd=str(folder) if folder else None,
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ManagerError(command, 126, str(error))
    kept: Deque[str] = deque(maxlen=_KEPT)
    if progress is not None:
        on_line = progress.on_line
        progress.watch(process.pid)
    try:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            kept.append(line)
            if on_line is None or not on_line(line):
                print(line, flush=True)
        code = process.wait()
    finally:
        if progress is not None:
            progress.end()
        if process.poll() is None:
            process.terminate()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    text = "\n".join(kept)
    if code != 0:
        raise ManagerError(command, code, text)
    return text


def answer(
    command: Sequence[str],
    *,
    folder: Optional[Path] = None,
    variables: Optional[Mapping[str, str]] = None,
    seconds: float = 60,
) -> Optional[str]:
    """Return what a program prints, without showing it; None if it fails or takes too long."""
    try:
        done = subprocess.run(
            list(command),
            cwd=str(folder) if folder else None,
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def end_with_signals() -> None:
    """Make SIGTERM and SIGHUP end this program through its clean-up."""

    def leave(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)


def _environment(variables: Optional[Mapping[str, str]]) -> Dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    kept.update(_SET)
    kept.update(variables or {})
    return kept
