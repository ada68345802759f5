"""`[slurm] prepare`: lines that a login shell runs before the command of a job."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .scripts import script

__all__ = ["with_prepare"]


def with_prepare(lines: Sequence[str], command: str) -> str:
    """Return the command of a job, in sh, that begins in a login shell behind these lines."""
    if not lines:
        return command
    words = shlex.join([str(len(lines)), *lines])
    return f'prepare() {{ in_login_shell {words} "$@"; }}\n{script("run-after-prepare")}{command}'
