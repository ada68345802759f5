"""`lab run --first-free` with a stand-in for nvidia-smi, and a secret that is typed."""

from __future__ import annotations

import os
import sys

import pytest
from remote_project import RemoteProject
from tool_helpers import at_terminal

pytestmark = pytest.mark.slow

# What nvidia-smi prints with `--format=csv,noheader,nounits`: of two cards the second is free.
NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
*--query-gpu=*)
    echo 'GPU-11, 0, NVIDIA H200, 87, 71234, 143771'
    echo 'GPU-22, 1, NVIDIA H200, 0, 4, 143771'
    ;;
*--query-compute-apps=*) echo 'GPU-11, 1, 61440' ;;
esac
"""


def test_machine_with_a_free_card_is_taken(remote_project: RemoteProject) -> None:
    account = remote_project.server.account
    program = account.write("bin/nvidia-smi", NVIDIA_SMI, mode=0o755)
    remote_project.server.stop()
    remote_project.server.start(SetEnv=f'"PATH={program.parent}:{os.defpath}:/usr/bin:/bin"')
    remote_project.push()
    remote_project.have_environment()
    done = remote_project.lab("run", "--first-free", "nowhere,machine", "--", "true")
    assert done.returncode == 0, done.stderr
    taken = "machine has a free card and is used (nowhere cannot be reached)."
    assert taken in done.stderr
    program.write_text(NVIDIA_SMI.replace("'GPU-11, 1, 61440'", "'GPU-22, 1, 9'").replace("87", "0")
                       .replace("71234", "71235"))  # fmt: skip
    done = remote_project.lab("run", "--first-free", "machine", "--", "true")
    assert done.returncode == 125
    assert "machine has no free card" in done.stderr


def test_typed_secret_is_not_shown(remote_project: RemoteProject) -> None:
    remote_project.push()
    code, screen = at_terminal(
        [sys.executable, "-B", "lab.py", "secret", "set", "TYPED"],
        answers={"Value of TYPED:": "typed-4711"},
        folder=remote_project.project.path,
    )
    assert code == 0, screen
    assert "typed-4711" not in screen
    assert (remote_project.folder / ".lab" / "secrets" / "TYPED").read_text() == "typed-4711"
