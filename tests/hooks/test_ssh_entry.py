"""The SSH entry that generating writes, and that nothing personal stays in the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, contents
from conftest import Bake
from hooks_as_modules import load_hook
from needs import need_program
from tool_helpers import wait_until

REMOTE = "charles@number-cruncher.example.net:50022"
PERSONAL = ("charles", "number-cruncher", "50022")
ENTRY = "ml-remote.d/handwriting-lab.conf"
WANTED = {"remote": REMOTE, "ssh_alias": "handwriting-lab", "write_ssh_entry": True}


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True)
    return done.stdout


def test_entry_is_written_and_said(
    bake: Bake, ssh: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (ssh / "config").read_text()
    project = bake(remote=REMOTE).path
    entry = (ssh / ENTRY).read_text()
    assert "HostName number-cruncher.example.net" in entry
    assert "User charles" in entry
    assert "Port 50022" in entry
    assert "Identit" not in entry  # a login that works today keeps working
    include, _, rest = (ssh / "config").read_text().partition("\n")
    assert include == f"Include {ssh}/ml-remote.d/*.conf"
    assert rest == before

    printed = capfd.readouterr().out
    assert f"Written: {ssh / ENTRY}" in printed
    assert f"Written: {ssh / 'config'}" in printed
    assert "vscode://" not in printed  # without a key it would ask for a password
    assert printed.count("Next:") == 1
    assert not list(project.rglob("__pycache__"))


@pytest.mark.parametrize(
    "answers", [{}, {"remote": REMOTE, "write_ssh_entry": False}], ids=["no machine", "no entry"]
)
def test_nothing_is_written_unasked(bake: Bake, ssh: Path, answers: dict[str, object]) -> None:
    before = contents(ssh)
    bake(**answers)
    assert contents(ssh) == before


def test_nothing_personal_is_in_a_tracked_file(bake: Bake, ssh: Path) -> None:
    project = bake(remote=REMOTE).path
    for word in PERSONAL:
        assert git(project, "grep", "--fixed-strings", "--ignore-case", word, "HEAD") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"\xef\xbb\xbfHost a\n", "byte-order mark"),
        (b"Host handwriting-lab\n    HostName elsewhere\n", "handwriting-lab"),
        (b"Host a\n    Nonsense yes\n", "nonsense"),
    ],
    ids=["byte-order mark", "alias taken", "ssh cannot read it"],
)
def test_difficulty_is_a_warning_with_the_command_for_later(
    bake: Bake, ssh: Path, capfd: pytest.CaptureFixture[str], config: bytes, words: str
) -> None:
    (ssh / "config").write_bytes(config)
    before = contents(ssh)
    project = bake(remote=REMOTE).path
    assert (project / "lab.py").is_file()
    assert git(project, "log", "--format=%s") != ""
    said = capfd.readouterr()
    assert words in said.err
    assert f"uv run lab.py connect {REMOTE}" in said.err
    assert "Next:" not in said.err
    # The alias may mean another machine, so nothing that uses it is proposed.
    assert said.out.splitlines()[-1].strip() == f"uv run lab.py connect {REMOTE}"
    assert "lab.py up" not in said.out
    assert contents(ssh) == before


@pytest.mark.slow
def test_machine_of_another_project_is_not_replaced(
    bake: Bake, ssh: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bake(remote=REMOTE)
    before = contents(ssh)
    bake(tmp_path / "other", remote="ada@another.example.net")
    assert "already means" in capfd.readouterr().err
    assert contents(ssh) == before


def test_python_that_is_too_old_for_the_tool_leaves_it_to_uv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = load_hook("post_gen_project")
    monkeypatch.setattr(hook.sys, "version_info", (3, 10, 4))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    answers = {**WANTED, "_repo_dir": str(TEMPLATE_ROOT)}
    refused, note = hook.start_ssh_entry(answers)
    assert refused == "uv: No such file or directory"
    assert f"uv run lab.py connect {REMOTE}" in note


def test_tool_that_does_not_end_is_ended_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = load_hook("post_gen_project")
    monkeypatch.setattr(hook, "SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "uv").write_text("#!/bin/sh\nsleep 1000 &\necho $! >child\nwait\n")
    (tmp_path / "uv").chmod(0o755)
    entry = hook.start_ssh_entry(WANTED)
    wait_until((tmp_path / "child").exists)
    late, note = hook.finish_ssh_entry(entry, {"remote": REMOTE})
    assert "did not finish within 0.5 seconds" in late
    assert f"uv run lab.py connect {REMOTE}" in note
    child = (tmp_path / "child").read_text().strip()
    wait_until(lambda: not is_running(child))


def is_running(process: str) -> bool:
    """Return whether a process exists and has not ended."""
    done = subprocess.run(
        [need_program("ps"), "-o", "stat=", "-p", process], capture_output=True, text=True
    )
    return done.stdout.strip()[:1] not in ("", "Z")
