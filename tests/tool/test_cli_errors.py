"""Errors on the command line: a sentence in each case, and a traceback only on request."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from baking import TOOL, BakedProject
from openssh_server import Laptop
from tool_helpers import Lab

from ml_remote import cli
from ml_remote.errors import UnsafeEditError
from ml_remote.runs.launchers.launcher import RunRequest


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["connect", "--nonsense"],
        ["connect", "--key-type", "dsa", "ada@gpu.example.com"],
        ["connect", "one", "two"],
        ["connect", "ada@-oProxyCommand=x", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--alias", "Big Machine", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--jump", "a b", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--identity", "/none/key", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--identity", "/none.pub", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--offline"],
        ["disconnect", "--alias", "../x"],
        ["doctor", "--alias", ""],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_exit_code_two_and_a_sentence(
    default_project: BakedProject,
    laptop: Laptop,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = laptop.config.read_bytes()
    monkeypatch.chdir(default_project.path)
    code, printed = cli.main(arguments), capsys.readouterr()
    assert code == 2, printed
    assert "Traceback" not in printed.err
    assert printed.err.strip()
    assert laptop.config.read_bytes() == before


def test_traceback_is_only_shown_on_request(lab: Lab, laptop: Laptop) -> None:
    laptop.config.write_bytes(b"\xff\xfeH")
    quiet = lab("connect", "ada@gpu.example.com", "--offline", "--yes")
    assert quiet.returncode == 1
    assert "Traceback" not in quiet.stderr
    loud = lab("connect", "ada@gpu.example.com", "--offline", "--yes", LAB_DEBUG="1")
    assert loud.returncode == 1
    assert "Traceback" in loud.stderr


def test_error_that_nobody_foresaw_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    def fail_to_read() -> None:
        Path("/none/such").read_text()

    for broken, words in ((fail, "by zero"), (fail_to_read, "/none/such")):
        monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=broken))
        assert cli.main(["doctor"]) == 1
        printed = capsys.readouterr().err
        assert words in printed
        assert "LAB_DEBUG=1" in printed
        assert "Traceback" not in printed
        (log,) = home.rglob("last-error.log")
        assert str(log) in printed
        assert log.stat().st_mode & 0o777 == 0o600
        kept = log.read_text()
        assert "Traceback" in kept
        assert words in kept
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/x")  # there is no place for the file
    assert cli.main(["doctor"]) == 1
    assert "LAB_DEBUG=1" in capsys.readouterr().err


def test_error_has_none_of_the_values_that_a_run_was_given(
    default_project: BakedProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
) -> None:
    def fail(_: object, request: RunRequest) -> int:
        raise ValueError(
            f"cannot use {dict(request.variables.secret)} {request.variables.recorded}"
        )

    values = ["given-4711-value", "passed-4712-secret", "of-file-4713 'quoted'"]
    (tmp_path / "vars").write_text(f'OF_FILE="{values[2]}"\n')
    monkeypatch.setenv("PASSED", values[1])
    monkeypatch.setattr("ml_remote.run._run", fail)
    given = ["--env", f"ONE={values[0]}", f"--env=TWO={values[0]}", "--env", "PASSED"]
    words = ["run", *given, "--env-file", str(tmp_path / "vars"), "--", "env", "A=b"]
    for debug in ("0", "1"):
        monkeypatch.setenv("LAB_DEBUG", debug)
        monkeypatch.setattr(sys, "argv", ["lab", *words])
        assert cli.main(words, root=default_project.path) == 125
        said = capsys.readouterr().err
        (log,) = home.rglob("last-error.log")
        kept = log.read_text()
        assert kept.splitlines()[0].startswith(
            "lab run --env 'ONE=***' '--env=TWO=***' --env PASSED"
        )
        assert "env A=b" in kept
        assert "cannot use" in kept
        for value in (*values, "4713"):
            assert value not in kept + said


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk of this computer is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not read or change"),
        (errno.EMFILE, "limit of open files"),
    ],
)
def test_what_the_system_refuses_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, words: str
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/the/file")

    monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=fail))
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert "/the/file" in printed
    assert "Next: " in printed
    assert "did not expect" not in printed


def test_text_to_add_by_hand_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise UnsafeEditError("It is read-only.", instructions="Add:\n    Include x", hint="Do so.")

    monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=refuse))
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "Error: It is read-only.\nAdd:\n    Include x\nNext: Do so.\n"
    )


def test_broken_lab_toml_is_told(default_project: BakedProject, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(default_project.path, project)
    (project / "lab.toml").write_text("[remote\n")
    done = subprocess.run(
        [sys.executable, "-B", "lab.py", "doctor"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "lab.toml is not valid TOML" in done.stderr
