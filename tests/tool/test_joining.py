"""What `lab setup` asks, and what it does with a setup that somebody else began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_remote import environment, packages
from ml_remote.context import Context
from ml_remote.environment import SetupRequest, StartedSetup, finish_setup, setup
from ml_remote.errors import LabError
from ml_remote.project import Project
from ml_remote.ui.console import Console

# Stands in for the real script, on a disk without room for a second environment.
SCRIPT = """\
if [ "${LAB_CHANGE_IN_PLACE:-}" != 1 ]; then
    echo 'Error: A new environment beside the working one needs 8 GB of disk.'
    echo '  To change the working one in place: LAB_CHANGE_IN_PLACE=1 before lab setup.'
    exit 1
fi
echo 'The environment is complete: all of it'
"""


class Person(Console):
    """Somebody at a terminal, or nobody, who answers every question with the same."""

    def __init__(self, answer: bool | None) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    def has_terminal(self) -> bool:
        return self.answer is not None

    def confirm(self, question: str, *, yes: bool, default: bool = True) -> bool:
        self.asked.append(question)
        return bool(self.answer)


@pytest.mark.parametrize("answer", [None, False, True])
def test_where_there_is_no_room_for_both_it_asks(
    answer: bool | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup-environment.sh").write_text(SCRIPT)
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "lab"\n')
    person = Person(answer)
    context = Context(project=Project(root=tmp_path), console=person)
    if answer:
        setup(context, local=True)
        assert "The environment is complete: all of it" in capsys.readouterr().out
    else:
        with pytest.raises(LabError, match="LAB_CHANGE_IN_PLACE=1"):
            setup(context, local=True)
    assert len(person.asked) == (answer is not None)


@pytest.mark.parametrize(
    ("state", "is_ours", "answer", "again"),
    [
        ("done", True, None, None),
        ("done", False, None, SetupRequest()),
        ("failed", False, None, SetupRequest()),  # of lists that are not those of this laptop
        ("failed", True, None, None),
        ("failed", True, False, None),
        ("failed", True, True, SetupRequest(yes=True, in_place=True)),
    ],
)
def test_setup_is_begun_again_where_that_was_not_what_was_asked(
    state: str,
    is_ours: bool,
    answer: bool | None,
    again: SetupRequest | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[SetupRequest] = []

    def follow(*_: object, on_line: Callable[[str], None], **__: object) -> object:
        for line in SCRIPT.replace("echo '", "").replace("'", "").splitlines()[1:3]:
            on_line(line[4:])
        return SimpleNamespace(state=state, slurm=None, exit_code=1)

    def begin(_: object, __: object, asked: SetupRequest) -> None:
        begun.append(asked)

    monkeypatch.setattr(environment, "follow", follow)
    monkeypatch.setattr(environment, "begin_setup", begin)
    monkeypatch.setattr(environment, "fetch_conda_lock", lambda *_: None)
    monkeypatch.setattr(environment, "tell_after_setup", lambda *_: None)
    monkeypatch.setattr(environment, "_tell_of_editor", lambda *_: None)
    monkeypatch.setattr(environment, "_log_command", lambda *_: "cat log")
    context: Any = SimpleNamespace(console=Person(answer), project=SimpleNamespace(root=tmp_path))
    machine: Any = SimpleNamespace(alias="gpu")
    job: Any = SimpleNamespace(id="1")
    beginning = StartedSetup(job=job, asked=SetupRequest(), is_ours=is_ours)
    if state == "failed" and again is None:
        with pytest.raises(LabError, match="needs 8 GB"):
            finish_setup(context, machine, beginning)
    else:
        finish_setup(context, machine, beginning)
    assert begun == ([] if again is None else [again])


@pytest.mark.parametrize("has_conda", [True, False])
def test_upgrade_reaches_conda_where_requirements_lock_is_the_newest(
    has_conda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup-environment.sh").touch()  # lists of ours
    if has_conda:
        (tmp_path / "conda-osx-arm64.lock").write_text("@EXPLICIT\n")
    done: list[dict[str, Any]] = []
    monkeypatch.setattr(packages, "locked", lambda *_, **__: "")
    monkeypatch.setattr(packages, "setup", lambda _, **options: done.append(options))
    packages.renew(Context(project=Project(root=tmp_path)), upgrade=True)
    assert done == ([{"alias": None, "local": False, "upgrade": True}] if has_conda else [])
