"""What a person waits for on a slow network: how often a command asks the machine, and logs in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from remote_project import RemoteProject
from tool_helpers import LocalProject, ReadyProject

from ml_remote import jobs
from ml_remote.context import Context
from ml_remote.jobs import finding
from ml_remote.jobs.about import About
from ml_remote.machine import Machine
from ml_remote.processes import Result
from ml_remote.project import Project
from ml_remote.ssh.client import Client
from ml_remote.transfer import fetch_report
from ml_remote.transfer.fetching import Fetched
from ml_remote.ui.console import Console


class Asked:
    """How often commands here start ssh: a program of that name comes before the real one."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "asked"
        self._programs = folder / "programs"
        self._programs.mkdir()
        ssh = self._programs / "ssh"
        ssh.write_text(
            f"#!/bin/sh\n"
            'case " $* " in *" -G "* | *" -O "[a-z]* | *" -V "*) ;; '
            f'*) echo >>"{self._log}" ;; esac\n'
            f'exec "{shutil.which("ssh")}" "$@"\n'
        )
        ssh.chmod(0o755)

    def by(self, where: LocalProject, *command: str) -> int:
        """Return how often a `lab` command that must succeed asks the machine."""
        self._log.write_text("")
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        done = where.lab(*command, PATH=path)
        assert done.returncode == 0, done.stderr
        return len(self._log.read_text().splitlines())


@pytest.mark.slow
def test_commands_ask_the_machine_no_more_often_than_they_need(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    asked = Asked(tmp_path)
    remote_project.lab("push").check_returncode()
    logins = remote_project.server.logins
    # What is there, the commits and their checkout, all by one git.
    remote_project.commit("note.txt", "new\n")
    assert asked.by(remote_project, "push") == 1
    assert asked.by(remote_project, "push") == 1
    assert asked.by(remote_project, "pull") == 1  # the commits, and the results
    assert asked.by(remote_project, "status") == 1
    assert asked.by(remote_project, "runs") == 1
    assert remote_project.server.logins == logins


@pytest.mark.slow
def test_run_logs_in_once_and_asks_five_times(ready_project: ReadyProject, tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    asked.by(ready_project, "run", "--", "true")  # brings the far half
    logins = ready_project.server.logins
    # The runs, the code and the environment; start; follow to its end, by a login of its own that
    # notices a lost network; which results there are, and their copy.
    assert asked.by(ready_project, "run", "--again", "--", "true") == 5
    assert ready_project.server.logins == logins + 1


@pytest.mark.parametrize("number", [1999, 2000])
def test_many_jobs_are_said_to_take_time(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about = About(kind="setup", title="environment", far=".lab/far/0123456789abcdef").to_json()
    lines = (f"job\t{2000 + one}\t5\tgone\t0\t9\t-\tgpu\t-\tjson\t{about}" for one in range(number))
    text = "\n".join(["now\t5\tgpu", *lines])
    monkeypatch.setattr(
        finding, "run_script", lambda *_: Result(returncode=0, stdout=text, stderr="")
    )
    machine = Machine(client=Client(alias="gpu"), folder="lab")
    assert len(jobs.list_jobs(machine, console=Console())) == number
    assert ("gpu keeps 2,000 jobs" in capsys.readouterr().err) == (number == 2000)


@pytest.mark.parametrize("number", [9999, 10_000])
def test_many_results_are_said_to_take_time(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(fetch_report, "fetch_outputs", lambda *_, **__: Fetched(same=number))
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "x"\n')
    context = Context(project=Project(root=tmp_path))
    fetch_report.fetch_and_report(context, context.machine())
    assert ("outputs/ has 10,000 files" in capsys.readouterr().err) == (number == 10_000)
