"""Jobs of another host, of another container, and of a machine that has a new name."""

from __future__ import annotations

import os
import signal

import click
import openssh_server
import pytest
from needs import need_program, need_root
from openssh_server import Account, Laptop
from remote_project import RemoteProject
from tool.jobs.following import ABOUT, is_alive, make_silent, send, started, wait_for
from tool_helpers import at, wait_until

from ml_remote import jobs
from ml_remote.errors import LabError
from ml_remote.jobs.about import About
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console


@pytest.mark.slow
def test_machine_that_changed_its_name_still_knows_its_jobs(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "sleep 600")
    kept = account.home / folder / ".lab" / "jobs" / job.id
    for file in (kept / "pid", kept / "boot"):
        file.write_text(file.read_text().replace(job.host, "name-of-yesterday"))
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"
    other = started(machine, "sleep 600")
    pid = account.home / folder / ".lab" / "jobs" / other.id / "pid"
    number, host, began = pid.read_text().split()
    # Two containers may have one name and one home directory; process numbers differ.
    boot, sign = pid.with_name("boot"), pid.with_name("sign")
    noted = boot.read_text()
    pid.write_text(f"1 {host} {began}\n")
    boot.write_text(f"1 {host} {began} {noted.split()[3]} pid:[1]\n")
    wait_until(sign.exists)
    assert jobs.find_job(at(machine, folder), other.id).state == "running"
    with pytest.raises(LabError, match=f"or run in another container called {host}"):
        jobs.stop(at(machine, folder), other.id)
    signed = sign.stat().st_mtime
    os.utime(sign, (signed - 300, signed - 300))  # or the machine was restarted since
    assert jobs.find_job(at(machine, folder), other.id).state == "lost"
    boot.write_text(noted)
    pid.write_text(f"{number} name-of-yesterday {int(began) - 1}\n")
    pid.with_name("boot").unlink()  # as of a version that kept neither, nor gave signs
    with pytest.raises(LabError, match="runs on name-of-yesterday") as raised:
        jobs.stop(at(machine, folder), other.id)
    assert f"lab stop --forget {other.id}" in str(raised.value.hint)
    assert jobs.forget(at(machine, folder), other.id).state == "stopped"
    pid.write_text(f"{number} {host} {began}\n")
    assert jobs.stop(at(machine, folder), other.id).state == "stopped"


@pytest.mark.slow
def test_two_containers_with_one_name_and_one_home_tell_their_jobs_apart(
    machine: Client, folder: str, account: Account, laptop: Laptop
) -> None:
    need_root("make a PID namespace")
    prefix = (need_program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")
    command = "sleep 600 & echo $! >child-$LAB_JOB; wait"
    kept = account.home / folder / ".lab" / "jobs"
    with openssh_server.openssh_server(account, prefix) as inner:
        laptop.pin_host_key(inner)
        container = machine.with_options(f"Port={inner.port}")
        ours, theirs = started(machine, command), started(container, command)
        child = account.home / folder / f"child-{ours.id}"
        wait_until(lambda: child.exists() and child.read_text() != "")
        assert ours.host == theirs.host
        spaces = {(kept / one.id / "boot").read_text().split()[-1] for one in (ours, theirs)}
        assert len(spaces) == 2
        for client, own, other in ((machine, ours, theirs), (container, theirs, ours)):
            there = at(client, folder)
            found = {job.id: job for job in jobs.list_jobs(there, console=Console())}
            assert {job.state for job in found.values()} == {"running"}
            assert all(job.silent_since is None for job in found.values())
            with pytest.raises(LabError, match="or run in another container called"):
                jobs.stop(there, other.id)
            assert jobs.find_job(there, other.id).state == "running"
            with pytest.raises(LabError, match="cannot be forgotten"):
                jobs.forget(there, own.id)
        # A runner that is killed is lost where it can be seen, and elsewhere after two minutes.
        third = started(container, command)
        kill = 'read -r runner rest <"$1/.lab/jobs/$2/pid"; kill -9 "$runner"'
        container.run_script(kill, folder, third.id)
        assert jobs.find_job(at(container, folder), third.id).state == "lost"
        assert jobs.find_job(at(machine, folder), third.id).state == "running"
        make_silent(kept / third.id)
        assert jobs.find_job(at(machine, folder), third.id).state == "lost"
        # Forgotten in the other container, it ends in its own.
        assert jobs.forget(at(container, folder), ours.id).state == "stopped"
        wait_until(lambda: not is_alive(child.read_text().strip()))
        assert jobs.find_job(at(machine, folder), ours.id).state == "stopped"
        container.close()
    # The container is gone, and comes back under its name: what ran in it is lost.
    make_silent(kept / theirs.id)
    assert jobs.find_job(at(machine, folder), theirs.id).state == "lost"


@pytest.mark.slow
def test_job_is_forgotten_by_command(remote_project: RemoteProject) -> None:
    remote_project.push()
    there = at(remote_project.client, remote_project.name)
    session = About(kind="tensorboard", title="TensorBoard")
    for about in (ABOUT, session):
        job = jobs.start(there, about, "sleep 600")
        refused = remote_project.lab("stop", "--forget", job.id)
        assert refused.returncode == 1
        assert f"{job.id} is running on machine, so it cannot be forgotten" in refused.stderr
        pid = remote_project.folder / ".lab" / "jobs" / job.id / "pid"
        number, host, began = pid.read_text().split()
        pid.write_text(f"{number} name-of-yesterday {began}\n")
        kept = pid.with_name("boot").read_text()
        pid.with_name("boot").unlink()
        done = remote_project.lab("stop", "--forget", job.id)
        assert done.returncode == 0, done.stderr
        assert (
            "is marked as ended. If it still runs on name-of-yesterday, it will end" in done.stdout
        )
        assert jobs.find_job(there, job.id).state == "stopped"
        pid.write_text(f"{number} {host} {began}\n")
        pid.with_name("boot").write_text(kept)
        jobs.stop(there, job.id)
    unnamed = remote_project.lab("stop", "--forget")
    assert unnamed.returncode == 2
    assert "`--forget` needs a job" in unnamed.stderr


@pytest.mark.slow
def test_job_of_another_host_is_judged_by_its_signs(
    machine: Client, folder: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started(machine, "trap '' TERM; sleep 600 & echo $! >child; wait; wait")
    wait_for(machine, "[ -s child ]")
    there = at(machine, folder)
    with pytest.raises(LabError, match="cannot be forgotten"):
        jobs.forget(there, job.id)
    kept = account.home / folder / ".lab" / "jobs" / job.id
    number, _, began = (kept / "pid").read_text().split()
    (kept / "pid").write_text(f"{number} another-host {began}\n")
    assert jobs.find_job(there, job.id).silent_since is None
    listed = openssh_server.run(need_program("ps"), "-A", "-o", "pid=,sid=").splitlines()
    its_own = [int(line.split()[0]) for line in listed if line.split()[1] == number]
    send(signal.SIGSTOP, its_own)
    try:
        make_silent(kept)
        silent = jobs.find_job(there, job.id)
    finally:
        send(signal.SIGCONT, its_own)
    assert silent.silent_since is not None
    assert not silent.is_over
    assert jobs.no_sign(silent).startswith("no sign since ")
    with pytest.raises(LabError, match=r"no sign since .*nothing was started") as raised:
        jobs.replaces(there, silent, console=Console())
    assert raised.value.hint == f"If another-host is gone: lab stop --forget {job.id}"
    wait_until(lambda: jobs.find_job(there, job.id).silent_since is None)
    # At a terminal the person decides; of a job that gives signs nothing is asked.
    asked: list[str] = []
    answers = [False, True]
    monkeypatch.setattr(Console, "has_terminal", lambda _: True)

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(click, "confirm", confirm)
    assert not jobs.replaces(there, jobs.find_job(there, job.id), console=Console())
    assert not asked
    assert not jobs.replaces(there, silent, console=Console())
    assert jobs.find_job(there, job.id).state == "running"
    assert jobs.replaces(there, silent, console=Console())
    assert "has given no sign since" in asked[0]
    assert "If it is still running, it will be ended" in asked[0]
    assert jobs.find_job(there, job.id).state == "stopped"
    # The runner finds that its place is taken, and ends what it runs.
    child = (account.home / folder / "child").read_text().strip()
    wait_until(lambda: not is_alive(number) and not is_alive(child))
    assert jobs.find_job(there, job.id).state == "stopped"
