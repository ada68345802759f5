"""`lab status` in one round trip, with and without GPUs."""

from __future__ import annotations

import json
import os

import pytest
from openssh_server import Account, OpenSSHServer
from tool_helpers import ReadyProject, at

from ml_remote import jobs, status
from ml_remote.settings import FORMAT
from ml_remote.ssh.client import Client

# What nvidia-smi prints with `--format=csv,noheader,nounits`; the second GPU is divided into parts.
NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
*--query-gpu=*)
    echo 'GPU-11, 0, NVIDIA H200, 87, 71234, 143771'
    echo 'GPU-22, 1, NVIDIA H200, [N/A], 0, 143771'
    ;;
*--query-compute-apps=*)
    echo 'GPU-11, 1, 61440' # process 1 belongs to root
    echo 'GPU-11, 4194305, 1024'
    echo 'GPU-22, 4194305, [N/A]'
    ;;
esac
"""
BROKEN_NVIDIA_SMI = """\
#!/bin/sh
echo
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
exit 9
"""


def install(program: str, account: Account, server: OpenSSHServer) -> None:
    """Put a program called nvidia-smi first on the PATH of the machine."""
    path = account.write("bin/nvidia-smi", program, mode=0o755)
    server.stop()
    server.start(SetEnv=f'"PATH={path.parent}:{os.defpath}:/usr/bin:/bin"')


def status_of(client: Client, folder: str = "nowhere") -> status.Load:
    return status.look_at(at(client, folder))


@pytest.mark.slow
def test_gpus_are_shown_with_those_who_use_them(machine: Client, server: OpenSSHServer) -> None:
    install(NVIDIA_SMI, server.account, server)
    first, second = status_of(machine).gpus
    assert (first.name, first.busy_percent, first.used, first.total) == (
        "NVIDIA H200",
        87,
        71234,
        143771,
    )
    assert first.users == {"root": 61440, "somebody": 1024}
    assert (second.busy_percent, second.used, second.users) == (None, 0, {"somebody": 0})


@pytest.mark.slow
def test_broken_driver_is_told_in_its_own_words(machine: Client, server: OpenSSHServer) -> None:
    install(BROKEN_NVIDIA_SMI, server.account, server)
    found = status_of(machine)
    assert found.gpus == []
    assert found.gpu_fault.startswith("NVIDIA-SMI has failed because")


def test_machine_is_described_without_the_project(machine: Client, server: OpenSSHServer) -> None:
    found = status_of(machine)
    assert found.host == os.uname().nodename
    assert not found.has_project
    assert found.load is not None
    assert found.cores == os.cpu_count()
    total_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    assert found.memory is not None
    assert found.memory[1] == total_memory
    disk = os.statvfs(server.account.home)
    assert found.disk is not None
    assert found.disk[1] == disk.f_blocks * disk.f_frsize // 1024


@pytest.mark.slow
def test_jobs_are_part_of_it(machine: Client, account: Account) -> None:
    account.write("the project/lab.toml", "")
    about = jobs.About(kind="setup", title="environment")
    job = jobs.start(at(machine, "the project"), about, "sleep 600")
    try:
        found = status_of(machine, "the project")
    finally:
        jobs.stop(at(machine, "the project"), job.id)
    assert found.has_project
    assert [(one.id, one.state) for one in found.jobs] == [(job.id, "running")]


@pytest.mark.slow
def test_command_reports_in_one_round_trip(ready_project: ReadyProject) -> None:
    done = ready_project.lab("status")
    assert done.returncode == 0, done.stderr
    sessions = [line for line in ready_project.server.log if line.startswith("Starting session:")]
    assert len(sessions) == 1
    assert f"machine ({os.uname().nodename})" in done.stdout
    assert "This project has nothing running on the machine." in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lab run labs/mnistlab.py"
    found = json.loads(ready_project.lab("status", "--json").stdout)
    assert found["format"] == FORMAT
    assert (found["alias"], found["host"]) == ("machine", os.uname().nodename)
    assert (found["has_project"], found["has_environment"]) == (True, True)
    assert (found["cores"], found["jobs"]) == (os.cpu_count(), [])
    (ready_project.folder / ".venv").unlink()
    assert ready_project.lab("status").stdout.splitlines()[-1] == "Next: lab setup"
    ready_project.folder.rename(ready_project.folder.with_name("elsewhere"))
    done = ready_project.lab("status")
    assert "This project is not on the machine yet" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lab up"
