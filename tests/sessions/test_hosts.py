"""Sessions of hosts that share a home directory: each host has its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_remote import jobs
from ml_remote.context import Context
from ml_remote.errors import LabError
from ml_remote.machine import Machine
from ml_remote.project import Project
from ml_remote.sessions.session import Sessions, _Session
from ml_remote.ssh.client import Client
from ml_remote.ssh.sibling_hosts import sibling_alias


def sessions(
    monkeypatch: pytest.MonkeyPatch, folder: Path, known: dict[str, str]
) -> tuple[Sessions, list[str]]:
    """Return the sessions of a machine; `known` are hosts by the ids of jobs that run.

    What is started is in the list, and runs on the host that the alias leads to.
    """
    machine = Machine(client=Client(alias="gpu", directory=folder), folder="my-lab")
    made = Sessions(Context(project=Project(root=folder)), machine, "jupyter")
    started: list[str] = []

    def start() -> SimpleNamespace:
        started.append("new")
        return SimpleNamespace(id="new")

    def session_of(job: jobs.Job) -> object:
        host = known.get(job.id, "login2")
        own = _Session(job=job, directory="/tmp/x", token="t" * 9)
        return own if host == "login2" else host

    listed = [SimpleNamespace(id=one, is_over=False, host=host) for one, host in known.items()]
    monkeypatch.setattr(made, "_jobs", lambda: listed)
    monkeypatch.setattr(made, "_start", start)
    monkeypatch.setattr(made, "_session_of", session_of)
    return made, started


def test_session_on_another_host_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, started = sessions(monkeypatch, tmp_path, {"a": "login1", "b": "n11"})
    assert made._find_or_start().job.id == "new"
    assert started == ["new"]
    said = capsys.readouterr().err
    assert "JupyterLab also runs on login1, which was left alone." in said
    made, started = sessions(monkeypatch, tmp_path, {"a": "login2", "b": "n11"})
    assert made._find_or_start().job.id == "a"
    assert started == []


def test_hint_names_an_alias_that_works_from_this_computer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, _ = sessions(monkeypatch, tmp_path, {"new": "login1.site"})
    with pytest.raises(LabError) as raised:
        made._find_or_start()
    assert raised.value.hint == (
        "lab connect YOU@login1.site --jump gpu --alias gpu-login1; then: "
        "lab jupyter --alias gpu-login1"
    )
    assert sibling_alias(Client(alias="gpu", directory=tmp_path), "n11")[0] == "gpu-n11"
