"""What starts on the machine needs no more than Python 3.6."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TOOL

PACKAGE = TOOL / "ml_remote"


def files_for_any_python() -> list[Path]:
    """Return the files that the machine's own Python runs, before there is an environment."""
    files = [PACKAGE / "__init__.py", *(PACKAGE / "far").glob("*.py")]
    files += (PACKAGE / "far" / "login").rglob("*.py")
    return [path for path in files if path.parent.name != "probes"]


@pytest.mark.parametrize("path", files_for_any_python(), ids=lambda path: path.stem)
def test_far_half_is_python_3_6(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
    newer = {"capture_output", "missing_ok", "removeprefix", "removesuffix", "dirs_exist_ok"}
    for node in ast.walk(tree):
        names = {getattr(node, "attr", ""), getattr(node, "arg", "")}
        assert not names & newer, f"line {getattr(node, 'lineno', 0)}: {names & newer}"
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level:
            continue
        for module in modules:
            assert module != "__future__"
            assert module.partition(".")[0] in {*sys.stdlib_module_names, "ml_remote"}


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.10"])
def test_old_python_says_what_is_to_be_done(tmp_path: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"python{version} is not here")
    command = [python, "-B", str(PACKAGE.parent), "environment", "--check"]
    command[2:3] = ["-m", "ml_remote.far"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "The environment is not up to date: there is none.\n", done.stderr
    assert done.returncode == 1
