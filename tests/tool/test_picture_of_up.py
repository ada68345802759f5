"""`lab up` at a terminal, on a machine it has never seen; the picture of it for the README."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from baking import TEMPLATE_ROOT, THIS_PYTHON, bake_project
from fresh_machine import fresh_machine
from openssh_server import Laptop
from terminal_picture import COLUMNS, draw_terminal
from tool_helpers import at_terminal

PICTURE = TEMPLATE_ROOT / "build" / "screenshots" / "lab-up.svg"


@pytest.mark.slow
def test_up_at_a_terminal_is_a_picture(laptop: Laptop, tmp_path: Path) -> None:
    with fresh_machine("openssh", laptop) as address:
        project = bake_project(
            tmp_path,
            home=laptop.home,
            remote=address,
            environment_manager="uv",
            python_version=THIS_PYTHON,
        )
        code, written = at_terminal(
            [sys.executable, "-B", "lab.py", "up", "--no-code"],
            answers={"host key? [y/N]:": "y", "Continue? [Y/n]:": "y"},
            folder=project.path,
            variables={"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "50"},
        )
        config = f"{os.environ['LAB_SSH_DIR']}/config"
        project.run("ssh", "-F", config, "-O", "exit", "handwriting-lab", check=False)
    assert code == 0, written
    for words in ("key added", "logs in without", "Pushed 1", "[4/4]", "environment is complete"):
        assert words in written
    draw_terminal("$ lab up\r\n" + as_at_home(written, laptop, address), PICTURE, title="lab up")
    picture = "".join(ElementTree.parse(PICTURE).getroot().itertext()).replace("\xa0", " ")
    assert "$ lab up" in picture
    assert "Next: lab run labs/mnistlab.py" in picture
    assert "/tmp" not in picture


def as_at_home(written: str, laptop: Laptop, address: str) -> str:
    """Replace the test's own names by those that people have."""
    user, _, host = address.partition("@")
    # Said only because LAB_SSH_DIR names the test's own directory.
    written = re.sub(r"VS Code needs this in your user settings: [^\r]*\r\n", "", written)
    for ours, theirs in {
        rf"{laptop.home}|/tmp/lab-home-\w+/home": "/home/ada",
        re.escape(f"'[{host.partition(':')[0]}]:{host.partition(':')[2]}'"): "gpu.example.com",
        re.escape(host.partition(":")[0]): "gpu.example.com",
        rf"(?<=User ){user}\b": "ada",
        rf"(?<=Port ){host.partition(':')[2]}\b": "22",
    }.items():
        written = re.sub(ours, theirs, written)
    return written
