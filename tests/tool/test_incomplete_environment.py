"""An environment that is missing or lacks a package: a sentence, and the command that makes it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import pytest
from baking import BakedProject

from ml_remote.far import __main__ as far
from ml_remote.far.exit_codes import ExitCode


@pytest.mark.parametrize("missing", ["nbformat", "notebook_of_nobody.part"])
def test_missing_package_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    def fail(_: object) -> object:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(importlib, "import_module", fail)
    assert far.main(["serve", "jupyter"]) == ExitCode.NO_ENVIRONMENT
    name = missing.partition(".")[0]
    assert capsys.readouterr().err == f"Error: The environment is incomplete: it has no {name}.\n"


def test_fault_of_our_own_is_no_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(far.PARTS, "headless", "ml_remote.far.gone")
    with pytest.raises(ModuleNotFoundError):
        far.main(["headless"])


@pytest.mark.slow
def test_run_here_says_what_to_do(bake: Callable[..., BakedProject]) -> None:
    project = bake(copied=True)
    run = (sys.executable, "-B", "lab.py", "run", "--local", "labs/mnistlab.py")
    first = project.run(*run, check=False)
    assert "The environment on this computer is missing." in first.stderr
    python = project.path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    second = project.run(*run, check=False)
    assert "The environment on this computer is incomplete." in second.stderr
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    third = project.run(*run, check=False)
    assert "Error: The environment is incomplete: it has no " in third.stderr
    for done in (first, second, third):
        assert done.returncode != 0
        assert "lab setup --local" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
