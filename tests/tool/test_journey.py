"""The whole way from a bare bake to figures at home, on both kinds of server."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from baking import TEMPLATE_ROOT, THIS_PYTHON, bake_project
from fresh_machine import Kind, fresh_machine
from openssh_server import Laptop

pytestmark = pytest.mark.slow


@pytest.fixture(params=get_args(Kind))
def address(request: pytest.FixtureRequest, laptop: Laptop) -> Iterator[str]:
    """Yield a machine that `lab` has never seen: what a person types after ssh."""
    with fresh_machine(request.param, laptop) as made:
        yield made


def test_bare_bake_to_figures_at_home_twice(laptop: Laptop, address: str, tmp_path: Path) -> None:
    project = bake_project(
        tmp_path,
        home=laptop.home,
        remote=address,
        environment_manager="uv",
        python_version=THIS_PYTHON,
    )

    def lab(*arguments: str) -> str:
        done = project.run(sys.executable, "-B", "lab.py", *arguments, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        first = lab("up", "--no-code", "--yes")
        assert "logs in without a password" in first
        assert "Pushed 1 commit" in first
        assert "The environment is complete" in first
        lab("run", "labs/mnistlab.py", "-p", "epochs", "1")
        (figures,) = (project.path / "outputs" / "mnistlab").iterdir()
        assert (figures / "confusion-matrix.png").read_bytes().startswith(b"\x89PNG")
        assert (figures / "mnistlab.html").is_file()

        assert lab("up", "--no-code").splitlines() == [
            "Connected: `ssh handwriting-lab` logs in without a password.",
            first_line_with("Nothing to push", lab("push")),
            first_line_with("The environment is up to date", lab("setup")),
            "Next: lab run labs/mnistlab.py",
        ]
        lab("run", "labs/mnistlab.py", "-p", "epochs", "1")
        assert len(list((project.path / "outputs" / "mnistlab").iterdir())) == 2
        assert "outputs/ is already up to date" in lab("pull")
    finally:
        project.run("ssh", "-F", f"{os.environ['LAB_SSH_DIR']}/config", "-O", "exit",
                    "handwriting-lab", check=False)  # fmt: skip


def first_line_with(text: str, printed: str) -> str:
    (line,) = [line for line in printed.splitlines() if text in line]
    return line


def test_demo_shows_its_figures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def own_files() -> list[tuple[str, int]]:
        folder = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"  # HOME is another one here
        return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))

    before = own_files()
    temporary = tmp_path / "t"
    temporary.mkdir()
    variables = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(TEMPLATE_ROOT / "src"),
    }
    done = subprocess.run(
        [sys.executable, TEMPLATE_ROOT / "tests" / "demo.py"],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Done in \d+ s\..* \d{2,3}\.\d\d% of the test digits", done.stdout)
    for name in re.findall(r"build/demo/\S+\.(?:html|png)", done.stdout):
        assert (TEMPLATE_ROOT / name).is_file()
    assert list(temporary.iterdir()) == []
    assert own_files() == before
    # Every process that was started for it, here or there, has the temporary folder in its
    # environment.
    mark = f"TMPDIR={temporary}".encode()
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended, or another user's
        return b""
