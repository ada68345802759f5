"""The far half in a project: complete, found again by its contents, never changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_remote.far import installed
from ml_remote.far.installed import content_hash, far_files, install, make_current


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project that is a lab.toml and a lab."""
    (tmp_path / "lab.toml").touch()
    return tmp_path


def start(project: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a part of an installed far half in the project."""
    return subprocess.run(
        [sys.executable, "-I", str(folder), *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_installed_far_half_is_the_one_of_the_tool_and_starts(project: Path) -> None:
    folder = install(project / ".lab/far")
    assert folder.name == content_hash(far_files())
    for name, text in far_files().items():
        assert (folder / name).read_text() == text
    done = start(project, folder, "headless", "labs/no.py")
    assert done.returncode == 2
    assert "There is no lab 'labs/no.py'" in done.stderr


def test_installing_again_changes_nothing(project: Path) -> None:
    folder = install(project / ".lab/far")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert install(project / ".lab/far") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_installed_far_half_installs_itself_elsewhere(project: Path, tmp_path: Path) -> None:
    folder = install(project / ".lab/far")
    done = start(project, folder, "install", str(tmp_path / "other"), "abc")
    assert done.returncode == 0, done.stderr
    current = tmp_path / "other" / "current"
    assert current.readlink() == Path(folder.name)
    assert current.with_name("current.commit").read_text() == "abc\n"
    assert content_hash(far_files()) == current.resolve().name


def test_others_go_unless_they_may_be_in_use(project: Path) -> None:
    far = project / ".lab/far"
    unused, current, of_a_job, fresh = (far / (letter * 16) for letter in "abcd")
    for other in (unused, current, of_a_job, fresh):
        (other / "ml_remote").mkdir(parents=True)
        if other != fresh:
            os.utime(other, (0, 0))
    make_current(current)
    job = project / ".lab/jobs/one"
    job.mkdir(parents=True)
    (job / "command").write_text(f"exec .venv/bin/python .lab/far/{of_a_job.name} headless x\n")
    folder = install(far)
    names = {path.name for path in far.iterdir()}
    assert names == {"current", folder.name, current.name, of_a_job.name, fresh.name}


@pytest.mark.parametrize("kept", [True, False])
def test_job_that_cannot_be_read_may_use_any(project: Path, kept: bool) -> None:
    far = project / ".lab/far"
    unused = far / ("a" * 16)
    unused.mkdir(parents=True)
    os.utime(unused, (0, 0))
    command = project / ".lab/jobs/one/command"
    command.parent.mkdir(parents=True)
    if kept:
        command.mkdir()  # also for root, this cannot be read
    else:
        command.symlink_to("removed meanwhile")
    install(far)
    assert unused.exists() is kept


def test_current_is_replaced_also_where_there_are_no_links(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install(project / ".lab/far")
    other = folder.with_name("other")
    other.mkdir()
    make_current(other, "abc")
    make_current(folder)
    assert folder.with_name("current").resolve() == folder
    assert not folder.with_name("current.commit").exists()

    def refuse(*_: object) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    current = folder.with_name("current")
    current.unlink()
    for _ in range(2):
        make_current(folder)
        assert not current.is_symlink()
        assert "There is no lab 'x'" in start(project, current, "headless", "x").stderr


def test_every_file_is_named_once_and_by_its_contents() -> None:
    files = far_files()
    assert "ml_remote/far/env/headless.py" in files
    assert "ml_remote/far/login/find_far.sh" in files
    assert content_hash(files) != content_hash({**files, "__main__.py": "pass\n"})
    assert content_hash({"ab": "c"}) != content_hash({"a": "bc"})
    assert installed.FAR == ".lab/far"
