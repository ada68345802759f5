"""`lab.py`: a sentence where it cannot start `lab`; nothing beside it is taken for the tool."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from template_copy import TEMPLATE_FOLDER

LAB = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "lab.py").read_text(encoding="utf-8")
NO_TOOL = "lab.py does not say which version of the tool to use."


class Script:
    """lab.py alone in a folder, with programs that stand in for uv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "lab.py").write_text(LAB)
        (folder / "lab.toml").touch()

    def write_uv(self, *lines: str) -> None:
        """Replace `uv` by a shell script of these lines."""
        uv = self.folder / "bin" / "uv"
        uv.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        uv.chmod(0o755)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python lab.py`, or another command, where nothing but these programs is."""
        inherited = {k: v for k, v in os.environ.items() if k not in ("LAB_TOOL", "PYTHONPATH")}
        return subprocess.run(
            [sys.executable, *(words or ("lab.py", "status", "a b"))],
            cwd=self.folder,
            env={**inherited, "PATH": str(self.folder / "bin"), **variables},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_missing_uv_is_one_sentence(script: Script) -> None:
    done = script.run()
    assert done.returncode == 1
    assert done.stderr.startswith("lab needs uv. Install it")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("version", [(3, 6), (3, 7), (3, 8), (3, 9), (3, 10)])
def test_old_python_is_one_sentence(script: Script, version: tuple[int, int]) -> None:
    ast.parse(LAB, feature_version=version)
    run = "runpy.run_path('lab.py', None, '__main__')"
    done = script.run("-c", f"import runpy, sys; sys.version_info = {version}; {run}")
    assert done.returncode == 1
    found = ".".join(map(str, version))
    assert done.stderr == (f"lab needs Python 3.11 or newer; this is {found}. Run: uv run lab.py\n")


def test_nothing_beside_the_script_is_taken_for_the_tool(script: Script) -> None:
    for name in ("ml_remote/__init__.py", "pathlib.py", "shutil.py", "subprocess.py"):
        path = script.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('taken from the project')\n")
    assert script.run().stderr.startswith("lab needs uv. Install it")


def test_script_starts_itself_again_once_at_most(script: Script) -> None:
    script.write_uv(f'echo "$@"; exec {sys.executable} lab.py')
    done = script.run()
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"run --quiet --script {script.folder}/lab.py status a b"]
    assert done.stderr.startswith(NO_TOOL)


def test_marks_of_a_restart_are_not_left_to_what_the_tool_starts(script: Script) -> None:
    script.write_uv('echo "restarted"')
    tool = script.folder / "tool" / "ml_remote"
    tool.mkdir(parents=True)
    (tool / "__init__.py").touch()
    (tool / "cli.py").write_text(
        "import os\ndef main(root): print(root, 'LAB_RESTARTED' in os.environ); return 7\n"
    )
    done = script.run(LAB_RESTARTED="1", PYTHONPATH=str(tool.parent))
    assert done.stdout == f"{script.folder} False\n"
    assert done.returncode == 7


@pytest.mark.parametrize(
    ("local", "variables", "options"),
    [
        ("", {}, ""),
        ('[tool]\npath = "/srv/tool"', {}, "--with-editable /srv/tool "),
        ('[tool]\npath = "tool"', {}, "--with-editable {folder}/tool "),
        ('[tool]\npath = "/srv/tool"', {"LAB_TOOL": "/other"}, "--with-editable /other "),
        ('[remote]\nalias = "mine"', {}, ""),
    ],
)
def test_folder_of_the_tool_and_a_lock_are_passed_on(
    script: Script, local: str, variables: dict[str, str], options: str
) -> None:
    script.write_uv('echo "$@"')
    (script.folder / "lab.local.toml").write_text(local)
    rest = f"{options.format(folder=script.folder)}--script {script.folder}/lab.py status a b\n"
    assert script.run(**variables).stdout == f"run --quiet {rest}"
    (script.folder / "lab.py.lock").touch()
    assert script.run(**variables).stdout == f"run --quiet --frozen {rest}"


@pytest.mark.parametrize("local", ["[tool", "tool = 3", "[tool]\npath = 3", b"\xff"])
def test_local_settings_that_cannot_be_used_are_one_sentence(
    script: Script, local: str | bytes
) -> None:
    content = local if isinstance(local, bytes) else local.encode()
    (script.folder / "lab.local.toml").write_bytes(content)
    done = script.run()
    assert done.returncode == 1
    error, step = done.stderr.splitlines()
    assert error.startswith(f"Error: {script.folder}/lab.local.toml cannot be used: ")
    assert step.startswith("Next: ")


@pytest.mark.slow
def test_python_older_than_the_tool_needs_says_so_itself(script: Script) -> None:
    names = [f"3.{minor}" for minor in (6, 7, 8, 9, 10)]
    beside = [path for name in names for path in Path(sys.base_prefix).parent.glob(f"{name}.*")]
    programs = [*(f"/usr/bin/python{name}" for name in names), *(f"{p}/bin/python" for p in beside)]
    found = [program for program in programs if Path(program).exists()]
    if not found:
        pytest.skip("there is no Python older than 3.11 here")
    for program in found:
        done = subprocess.run([program, script.folder / "lab.py"], capture_output=True, text=True)
        assert done.stderr.startswith("lab needs Python 3.11 or newer; this is 3.")
