"""Following a job over connections that break: no line is lost, and nobody tries for ever."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from baking import TOOL
from openssh_server import Account, OpenSSHServer
from tool.jobs.following import FOLLOWING, Follower, follow, is_alive, scripts_in, send, started
from tool_helpers import at, wait_until

from ml_remote import jobs, scripts
from ml_remote.errors import LabError, MissingFolderError, UnreachableError
from ml_remote.jobs.outage import Outage
from ml_remote.sessions import tunnel
from ml_remote.sessions.port import KeptPort
from ml_remote.sessions.tunnel import Forward, Route, keep_open
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console


@pytest.mark.slow
def test_no_line_is_lost_or_repeated_when_the_server_is_killed(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(
        machine,
        "for i in $(seq 1000); do echo first $i; done; printf 'half a '\n"
        "until [ -e go ]; do sleep 0.1; done\n"
        "echo line; for i in $(seq 1000); do echo second $i; done",
    )
    follower = Follower(machine, job)
    follower.wait_for("first 1000")
    server.stop()
    server.account.write(f"{folder}/go", "")
    server.start()
    follower.join()
    assert follower.ended is not None
    assert follower.ended.state == "done"
    expected = [f"first {i}" for i in range(1, 1001)]
    expected += ["half a line"] + [f"second {i}" for i in range(1, 1001)]
    assert follower.lines == expected


@pytest.mark.slow
def test_connection_that_falls_silent_is_given_up_for_another(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    follower = Follower(machine, job)
    follower.wait_for("one")
    stopped = server.connections()
    send(signal.SIGSTOP, stopped)
    try:
        server.account.write(f"{folder}/go", "")
        follower.join()
    finally:
        send(signal.SIGCONT, stopped)
    assert follower.lines == ["one", "two"]


@pytest.mark.slow
def test_nobody_is_left_following_when_the_laptop_is_gone(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; until [ -e go ]; do sleep 0.1; done")
    follower = subprocess.Popen(
        [sys.executable, "-c", FOLLOWING, str(machine.directory), folder, job.id],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "one\n"
    project = server.account.home / folder
    runner = int((project / ".lab" / "jobs" / job.id / "pid").read_text().split()[0])
    assert scripts_in(project, but=runner)
    os.killpg(follower.pid, signal.SIGKILL)
    follower.communicate()
    # Its ssh is gone; the script there that wrote to it notices that by itself.
    while scripts_in(project, but=runner):
        time.sleep(0.1)
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"


@pytest.mark.slow
def test_session_that_takes_no_connections_is_given_up(
    machine: Client, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_OPEN_PATIENCE", 0.5)
    job = started(machine, "sleep 600")
    there = at(machine, folder)
    with KeptPort(0) as port:
        route = Route(
            machine=there,
            forwards=(Forward(port=port, to="/tmp/none/socket"),),
            script=scripts.script("watch-session"),
            arguments=(there.folder, job.id, "/tmp/none", "2"),
            job_id=job.id,
        )
        with pytest.raises(LabError, match="without accepting connections"):
            keep_open(route, console=Console(), opened=pytest.fail)
    jobs.stop(there, job.id)


@pytest.mark.slow
def test_folder_that_is_removed_ends_following_in_words(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "echo one; sleep 600")
    pid = (account.home / folder / ".lab" / "jobs" / job.id / "pid").read_text().split()[0]
    follower = Follower(machine, job)
    follower.wait_for("one")
    shutil.rmtree(account.home / folder)
    follower.join()
    machine.run("kill", pid, check=False)
    machine.run_script('kill -- "-$1"', pid, check=False)
    assert isinstance(follower.error, MissingFolderError)
    assert follower.error.hint == "Send the project to the machine: lab up"


@pytest.mark.slow
def test_nobody_tries_to_reach_the_machine_for_somebody_who_is_gone(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; sleep 600")
    following = (sys.executable, "-c", FOLLOWING, str(machine.directory), folder, job.id)
    # As a shell that a person has started it from, and whose window is closed.
    shell = subprocess.Popen(
        ["sh", "-c", '"$@" & echo $!; wait', "sh", *following],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    follower = shell.stdout.readline().strip()
    assert shell.stdout.readline() == "one\n"
    shell.kill()
    shell.wait()
    assert is_alive(follower)  # as long as the machine can be reached, it follows the job
    server.stop()
    wait_until(lambda: not is_alive(follower))
    shell.stdout.close()
    server.start()
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"


def test_time_in_which_this_computer_sleeps_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lost = UnreachableError("The connection to gpu was lost.")
    outage = Outage("gpu", again="lab attach 14-05", patience=600)

    def attempts(*seconds: float) -> None:
        nonlocal now
        for passed in seconds:
            now += passed
            outage.wait(lost)

    attempts(0, 30, 9000, 30)
    assert outage.lasts
    with pytest.raises(UnreachableError) as raised:
        attempts(*[30] * 20)
    assert raised.value.message == (
        "gpu could not be reached for 10 minutes: The connection to gpu was lost. Work on gpu "
        "continues."
    )
    assert raised.value.hint == "When it is back, follow it again: lab attach 14-05"


def test_machine_that_takes_connections_and_drops_them_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lost = UnreachableError("The connection to gpu was lost.")
    outage = Outage("gpu", again="lab attach 14-05", patience=600)

    def try_again(*, times: int, progress: int) -> None:
        for _ in range(times):
            seen = iter((0, progress))
            with outage.proof(lambda seen=seen: next(seen)):  # type: ignore[misc]
                pass
            outage.wait(lost)
            outage.end()

    try_again(times=100, progress=1)
    with pytest.raises(UnreachableError, match="gpu could not be reached"):
        try_again(times=100, progress=0)


def test_unreachable_machine_is_told_at_once(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "exit 0")
    machine.close()
    server.stop()
    for attempt in (
        lambda: started(machine, "exit 0"),
        lambda: jobs.list_jobs(at(machine, folder), console=Console()),
        lambda: follow(machine, folder, job.id, on_line=print),
        lambda: jobs.stop(at(machine, folder), job.id),
    ):
        with pytest.raises(UnreachableError, match="nothing listens on port"):
            attempt()


@pytest.mark.slow
def test_machine_that_does_not_come_back_is_given_up(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; sleep 600")

    def lose_it(line: str) -> None:
        server.stop()

    with pytest.raises(
        UnreachableError, match=r"could not be reached: .* Work on machine continues"
    ):
        follow(machine, folder, job.id, on_line=lose_it, patience=0)
    server.start()
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"
