"""Long commands on the remote machine: over real connections."""

from __future__ import annotations

import pytest
from openssh_server import Account
from remote import jobs
from remote.client import Client
from remote.errors import LabError

FOLDER = "Projekte/mein Labor ü"


@pytest.fixture
def folder(account: Account) -> str:
    """The project's folder on the machine, relative to the home directory."""
    account.write(f"{FOLDER}/lab.toml", "")
    return FOLDER


def started(client: Client, command: str, *, name: str = "labs/a b.py") -> jobs.Job:
    return jobs.start(client, FOLDER, kind="run", name=name, command=command)


def test_job_is_followed_to_its_end(machine: Client, folder: str) -> None:
    job = started(machine, "pwd; printf 'one\\rtwo\\r\\nthrée'; echo oops >&2; exit 7")
    lines: list[str] = []
    ended = jobs.follow(machine, folder, job.id, on_line=lines.append)
    assert lines[0].endswith(FOLDER)
    assert lines[1:] == ["one", "two", "thréeoops"]
    assert (ended.state, ended.exit_code, ended.name) == ("failed", 7, "labs/a b.py")
    assert ended.ended is not None
    assert jobs.list_jobs(machine, folder) == [ended]
    assert jobs.list_jobs(machine, folder, kind="setup") == []


def test_stopping_ends_every_process_of_the_job(machine: Client, folder: str) -> None:
    # A child that left the job's session, whose parent is gone, and that ignores polite signals.
    stubborn = "trap '' TERM; echo $$ >orphan; while :; do sleep 1; done"
    job = started(machine, f'(setsid sh -c "{stubborn}" &) ; mkfifo ready; sleep 600')
    machine.run_script('cd "$1"; until [ -s orphan ]; do sleep 0.1; done', folder)
    assert jobs.find_job(machine, folder, job.id).state == "running"
    orphan = machine.run("cat", f"{folder}/orphan").stdout.strip()
    ended = jobs.stop(machine, folder, job.id, grace=1)
    assert ended.state == "stopped"
    assert machine.run("kill", "-0", orphan, check=False).returncode != 0
    assert jobs.stop(machine, folder, job.id) == ended


def test_missing_folder_and_missing_job_are_told(machine: Client, folder: str) -> None:
    with pytest.raises(jobs.MissingFolderError, match="no folder elsewhere on machine"):
        jobs.list_jobs(machine, "elsewhere")
    with pytest.raises(LabError, match="no job 2001"):
        jobs.follow(machine, folder, "2001", on_line=print)
    with pytest.raises(LabError, match="no job 2001"):
        jobs.stop(machine, folder, "2001")
