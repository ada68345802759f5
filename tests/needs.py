"""What a test needs and this computer may lack: root, or a program.

Without it the test is skipped; the reasons are listed at the end of the run (see skipped.py).
"""

from __future__ import annotations

import grp
import os
import pty
import shutil

import pytest
from system_packages import PROGRAMS, SEARCH_PATH, missing_packages

__all__ = ["IS_ROOT", "can_run_everything", "need_program", "need_root", "need_terminals"]

IS_ROOT = os.geteuid() == 0


def need_root(purpose: str) -> None:
    """Skip the test unless root runs it; `purpose` completes "only root can ..."."""
    if not IS_ROOT:
        pytest.skip(f"only root can {purpose}")


def need_terminals() -> None:
    """Skip the test where only root's sshd gives terminals: others cannot give one its group."""
    if IS_ROOT:
        return
    ends = pty.openpty()
    group = os.fstat(ends[1]).st_gid
    for end in ends:
        os.close(end)
    if group != grp.getgrnam("tty").gr_gid:
        need_root("give terminals over ssh here, as /dev/pts is mounted without gid=")


def need_program(name: str) -> str:
    """Return the path of a program; without it, skip the test."""
    assert name in PROGRAMS, f"add {name} to PROGRAMS in tests/system_packages.py"
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (on Debian and Ubuntu: {PROGRAMS[name]})")
    return found


def can_run_everything() -> bool:
    """Return whether no test has a reason to be skipped."""
    return IS_ROOT and not missing_packages()
