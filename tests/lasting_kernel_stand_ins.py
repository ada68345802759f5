"""Kernels on the machine of a test that outlive their window: a folder for them, and stand-ins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openssh_server import Account

from ml_remote.far_half import ensure_far
from ml_remote.machine import Machine

__all__ = ["kernels_of", "start_kernel"]

# A process with the about.json of a kernel; it ends by itself, should a test be killed.
_KERNEL = """
import os, sys, time
sys.path.insert(0, ".lab/far/current")
from ml_remote.far.login import kernels
root, lab, python = os.path.realpath("."), *sys.argv[1:]
path = kernels.folder(make=True) / kernels.id_of(root, lab)
path.mkdir(mode=0o700)
kernels.write_about(path, root=root, lab=lab, pid=os.getpid(), python=python)
print(os.getpid(), flush=True)
for number in (1, 2):
    os.dup2(os.open(os.devnull, os.O_RDWR), number)
time.sleep(120)
"""
_START = """\
cd && cd -- "$1" && ln -sfn "$2" .lab/far/current && shift 2 || exit
setsid python3 -c "$@" &
"""


@contextmanager
def kernels_of(account: Account) -> Iterator[Path]:
    """Give an account the folder for its kernels; it goes with a new account's other files."""
    uid = account.home.stat().st_uid
    folder = Path(f"/tmp/lab-kernels-{uid}")
    is_new = not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, uid, -1)
    try:
        yield folder
    finally:
        if is_new and uid != os.getuid():
            shutil.rmtree(folder)


def start_kernel(machine: Machine, lab: str, *, python: str = "/usr/bin/python3") -> int:
    """Start a process that counts as the kernel of a lab, and return its id.

    `lab stop --kernel` ends it, or two minutes do.
    """
    far = ensure_far(machine).rpartition("/")[2]
    words = (machine.folder, far, _KERNEL, lab, python)
    return int(machine.client.run_script(_START, *words, timeout=30).stdout)
