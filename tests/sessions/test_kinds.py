"""A new kind of session is one new file and one line in a table."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from baking import TOOL

from ml_remote.far.env.sessions import KINDS, find_kind

NOTES = '''"""A notebook of paper."""

from .kind import Kind

KIND = Kind(
    title="Notes",
    description="They are on paper.",
    port=9999,
    start_page="/",
    what_next="write.",
    serve=lambda directory, seconds: print(f"in {directory.name} for {seconds}"),
)
'''


def test_new_kind_is_a_command_and_is_served(tmp_path: Path) -> None:
    tool = tmp_path / "src"
    shutil.copytree(TOOL, tool, ignore=shutil.ignore_patterns("__pycache__"))
    sessions = tool / "ml_remote" / "far" / "env" / "sessions"
    (sessions / "notes.py").write_text(NOTES)
    table = sessions / "__init__.py"
    text = table.read_text()
    before = "KINDS = {\n"
    assert before in text
    line = '    "notes": "Notes on the machine, in the browser here.",\n'
    table.write_text(text.replace(before, before + line))
    (tmp_path / "lab.toml").touch()

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-B", "-m", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tool), "LAB_JOB_FOLDER": f"{tmp_path}/"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "Notes on the machine" in run("ml_remote", "--help")
    assert "--no-browser" in run("ml_remote", "notes", "--help")
    assert run("ml_remote.far", "serve", "notes", "--idle-hours", "2") == (
        f"in {Path((tmp_path / 'session').read_text().strip()).name} for 7200.0\n"
    )


def test_every_kind_says_what_the_laptop_needs() -> None:
    ports = set()
    for name, summary in KINDS.items():
        kind = find_kind(name)
        assert kind.title in summary
        assert summary.endswith(".")
        assert kind.description.strip().endswith(".")
        assert kind.start_page.startswith("/")
        ports.add(kind.port)
    assert len(ports) == len(KINDS)
