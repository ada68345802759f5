"""Long commands on the machine: started, followed, listed and stopped; damage, full disks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openssh_server
import pytest
from needs import need_root
from openssh_server import Account, OpenSSHServer, run
from tool.jobs.following import ABOUT, FOLDER, follow, is_alive, started, wait_for
from tool_helpers import at

from ml_remote import jobs
from ml_remote.errors import (
    LabError,
    MissingFolderError,
    RemoteCommandError,
    WrongFolderError,
)
from ml_remote.far.installed import install
from ml_remote.far.login.environment.users import users_of
from ml_remote.far_half import ensure_far
from ml_remote.ssh.client import Client
from ml_remote.transfer.outputs import list_outputs
from ml_remote.ui.console import Console


def test_job_is_followed_to_its_end(machine: Client, folder: str) -> None:
    job = started(machine, "pwd; printf 'one\\rtwo\\r\\nthrée'; echo oops >&2; exit 7")
    lines: list[str] = []
    ended = follow(machine, folder, job.id, on_line=lines.append)
    assert lines[0].endswith(FOLDER)
    assert lines[1:] == ["one", "two", "thréeoops"]
    assert (ended.state, ended.exit_code, ended.title) == ("failed", 7, "labs/a b.py")
    assert ended.ended is not None
    assert jobs.list_jobs(at(machine, folder), console=Console()) == [ended]
    assert jobs.list_jobs(at(machine, folder), console=Console(), kind="setup") == []


@pytest.mark.slow
def test_what_a_job_keeps_is_private_and_known_to_it(machine: Client, folder: str) -> None:
    job = started(machine, 'stat -c %a "$LAB_JOB_FOLDER"; echo "$LAB_JOB"')
    lines: list[str] = []
    assert follow(machine, folder, job.id, on_line=lines.append).state == "done"
    assert lines == ["700", job.id]


@pytest.mark.slow
def test_stopping_ends_every_process_of_the_job(machine: Client, folder: str) -> None:
    # A child that left the job's session, whose parent is gone, and that ignores polite signals.
    stubborn = "trap '' TERM; echo $$ >orphan; while :; do sleep 1; done"
    job = started(machine, f'(setsid sh -c "{stubborn}" &) ; sleep 600')
    wait_for(machine, "[ -s orphan ]")
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    orphan = machine.run("cat", f"{folder}/orphan").stdout.strip()
    ended = jobs.stop(at(machine, folder), job.id, grace=1)
    assert ended.state == "stopped"
    assert not is_alive(orphan)
    assert jobs.stop(at(machine, folder), job.id) == ended
    polite = started(machine, "trap 'exit 0' TERM; echo >ready; while :; do sleep 0.1; done")
    wait_for(machine, "[ -e ready ]")
    ended = jobs.stop(at(machine, folder), polite.id)
    assert (ended.state, ended.exit_code) == ("stopped", 0)


@pytest.mark.slow
def test_stopping_leaves_the_other_project_alone(machine: Client, account: Account) -> None:
    folders = ["one", "the other"]
    for folder in folders:
        account.write(f"{folder}/lab.toml", "")
    first, second = (started(machine, "sleep 600", folder=folder) for folder in folders)
    assert jobs.stop(at(machine, "one"), first.id).state == "stopped"
    assert jobs.find_job(at(machine, "the other"), second.id).state == "running"
    assert jobs.stop(at(machine, "the other"), second.id).state == "stopped"


@pytest.mark.slow
def test_two_users_of_one_server_do_not_meet(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    need_root("make an account for somebody else")
    with openssh_server.account() as somebody_else:
        somebody_else.write(f"{folder}/lab.toml", "")
        somebody_else.authorize(server.account.authorized_keys.read_text())
        server.stop()
        server.start(AuthorizedKeysFile=".ssh/authorized_keys")
        other = machine.with_options(f"User={somebody_else.user}")
        first, second = (started(client, "sleep 600") for client in (machine, other))
        assert [job.id for job in jobs.list_jobs(at(other, folder), console=Console())] == [
            second.id
        ]
        assert jobs.stop(at(machine, folder), first.id).state == "stopped"
        assert jobs.find_job(at(other, folder), second.id).state == "running"
        assert jobs.stop(at(other, folder), second.id).state == "stopped"
        other.close()


@pytest.mark.slow
def test_two_jobs_of_one_second_are_two(machine: Client, folder: str) -> None:
    made = [started(machine, "exit 0").id for _ in range(4)]
    assert len(set(made)) == 4
    assert {job.id for job in jobs.list_jobs(at(machine, folder), console=Console())} == set(made)


def test_missing_folder_and_missing_job_are_told(machine: Client, folder: str) -> None:
    with pytest.raises(MissingFolderError, match="no folder elsewhere on machine"):
        jobs.list_jobs(at(machine, "elsewhere"), console=Console())
    with pytest.raises(LabError, match="no job 2001"):
        follow(machine, folder, "2001", on_line=print)
    with pytest.raises(LabError, match="no job 2001"):
        jobs.stop(at(machine, folder), "2001")


@pytest.mark.slow
def test_killed_job_is_lost_and_what_it_left_can_be_stopped(machine: Client, folder: str) -> None:
    job = started(machine, "sleep 600 & echo $! >child; wait")
    wait_for(machine, "[ -s child ]")
    machine.run_script('cd "$1/.lab/jobs/$2"; read -r p rest <pid; kill -9 "$p"', folder, job.id)
    lines: list[str] = []
    ended = follow(machine, folder, job.id, on_line=lines.append)
    assert (ended.state, ended.exit_code) == ("lost", None)
    child = machine.run("cat", f"{folder}/child").stdout.strip()
    assert is_alive(child)
    jobs.stop(at(machine, folder), job.id)
    assert not is_alive(child)


@pytest.mark.slow
def test_process_that_got_the_number_of_a_dead_runner_is_not_it(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "sleep 600")
    kept = account.home / folder / ".lab" / "jobs" / job.id / "pid"
    number, host, began = kept.read_text().split()
    jobs.stop(at(machine, folder), job.id)
    other = started(machine, "sleep 600")
    again = account.home / folder / ".lab" / "jobs" / other.id / "pid"
    boot = again.with_name("boot")
    before, noted = again.read_text(), boot.read_text()
    dead = f"{before.split()[0]} {host} {int(began) - 1}"
    again.write_text(f"{dead}\n")
    boot.write_text(noted.replace(before.strip(), dead))
    assert jobs.find_job(at(machine, folder), other.id).state == "lost"
    boot.write_text(noted)
    again.write_text(f"{number} another-host {began}\n")
    with pytest.raises(LabError, match="runs on another-host, but machine now leads to"):
        jobs.stop(at(machine, folder), other.id)
    again.write_text(before)
    assert jobs.stop(at(machine, folder), other.id).state == "stopped"


DAMAGE = {
    "empty": b"",
    "zeros": b"\0" * 512,
    "bytes": b"\xff\xfe\t\x1b[31m\n",
    "text": b"what is this\tand that\n",
    "number": b"9" * 400 + b"\n",
    "sh": b"1|//;s/.*/$(touch hacked)/e\n",
    "huge": b"a" * 3_000_000,
    "a folder": None,
    "a link": "nowhere",
    "no end": "/dev/zero",
    "a pipe": None,
}


@pytest.mark.slow
def test_damaged_jobs_are_named_and_skipped(
    machine: Client, folder: str, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = account.home / folder / ".lab" / "jobs"
    damaged: list[tuple[str, str, str]] = []
    for name in ("about", "about.json", "started", "exit", "pid", "slurm"):
        for kind, content in DAMAGE.items():
            job = kept / f"2026-01-01_10-00-00_{len(damaged)}"
            job.mkdir(parents=True)
            if name != "about":
                (job / "about.json").write_text(ABOUT.to_json())
                (job / "started").write_text("1767261600\n")
            path = job / name
            path.unlink(missing_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif kind == "a pipe":
                os.mkfifo(path, 0o666)
            elif content is None:
                path.mkdir()
            else:
                path.symlink_to(content)
            damaged.append((job.name, name, kind))
    closed = kept / "2026-01-03_10-00-00"
    closed.mkdir(mode=0o000)
    for odd in ("with a\ttab", "with a\nline", "-rf", "..."):
        (kept / odd).mkdir()
        (kept / odd / "about.json").write_text(ABOUT.to_json())
    whole = kept / "2026-02-02_10-00-00"
    whole.mkdir()
    (whole / "about.json").write_text(ABOUT.to_json())
    (whole / "started").write_text("1770026400\n")
    found = {job.id for job in jobs.list_jobs(at(machine, folder), console=Console())}
    said = capsys.readouterr().err
    assert whole.name in found
    for name, file, kind in damaged:
        is_skipped = f"Job {name} on machine was skipped" in said
        assert (name in found) != is_skipped, (file, kind)
        if file.startswith(("about", "started")):
            assert is_skipped, (file, kind)
    assert "Job with?a?tab on machine was skipped" in said
    if account.password is not None:  # root reads everything
        assert f"Job {closed.name} on machine was skipped: its folder cannot be read" in said
    closed.chmod(0o700)
    # Neither what is kept of old versions, nor what uses an environment, waits for such a file.
    run("chown", "-Rh", account.user, str(kept.parent))
    install(kept.parent / "far")
    list(users_of(account.home / "none", account.home / folder))
    there = at(machine, folder)
    ensure_far(there)
    list_outputs(there)
    assert started(machine, "exit 0").id not in found
    assert not (account.home / folder / "hacked").exists()
    with pytest.raises(LabError, match="cannot be read"):
        jobs.find_job(at(machine, folder), damaged[0][0])
    with pytest.raises(LabError, match="cannot be read"):
        jobs.stop(at(machine, folder), damaged[1][0])


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of one megabyte."""
    need_root("mount a small disk")
    options = f"size=1m,mode=777,nr_inodes=100,uid={folder.stat().st_uid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_full_disk_keeps_a_job_from_starting_but_not_from_noting_its_end(
    machine: Client, folder: str, account: Account
) -> None:
    with small_disk(account.home / folder):
        fill = "dd if=/dev/zero of=filler bs=64k 2>/dev/null"
        job = started(machine, f"{fill}; echo lost words; exit 3")
        ended = follow(machine, folder, job.id, on_line=print)
        assert (ended.state, ended.exit_code) == ("failed", 3)
        with pytest.raises(RemoteCommandError, match=r"Nothing can be written.*: 0 MiB") as raised:
            started(machine, "exit 0")
        assert "lab status" in str(raised.value.hint)
        assert [one.id for one in jobs.list_jobs(at(machine, folder), console=Console())] == [
            job.id
        ]


def test_what_another_user_has_put_into_the_folder_is_not_run(
    machine: Client, folder: str, account: Account
) -> None:
    need_root("give files away")
    there, ran = at(machine, folder), account.home / "run-by-another"
    job = account.home / folder / ".lab" / "jobs" / "2026-01-01_10-00-00"
    job.mkdir(parents=True)
    job.chmod(0o755)
    for name, text in {
        "about.json": ABOUT.to_json(), "started": "1767261600\n", "finish": f"touch {ran}\n",
    }.items():  # fmt: skip
        (job / name).write_text(text)
    os.chown(job, 12345, 12345)
    list_outputs(there)
    with pytest.raises(LabError, match="There is no job"):
        jobs.stop(there, job.name)
    assert not ran.exists()
    os.chown(job, account.home.stat().st_uid, -1)
    list_outputs(there)
    assert ran.exists()
    for name in (".lab/far", ".lab/far/0123", ".lab/jobs", ".lab/secrets", ".lab/nodes"):
        place = account.home / folder / name
        place.mkdir(exist_ok=True)
        os.chown(place, 12345, 12345)
        with pytest.raises(WrongFolderError, match="belongs to another user"):
            list_outputs(there)
        os.chown(place, 0, 0)
