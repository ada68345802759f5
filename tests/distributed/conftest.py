"""Two hosts in networks of their own, and a project on the laptop that is sent to them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import bake_project
from environment import LabEnvironment
from needs import need_root
from network_of_hosts import Network, network

COUNTING = Path(__file__).with_name("counting_lab.py")

# What takes the place of making an environment of several gigabytes on either host.
SETUP = """\
#!/bin/sh
if [ ! -e .venv ]; then
    [ "${1:-}" != --check ] || exit 1
    ln -s "$LAB_TEST_ENVIRONMENT" .venv
fi
echo "The environment is up to date."
"""


@pytest.fixture
def hosts(
    environment: LabEnvironment, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Network]:
    """Yield the hosts `anna` and `bert`, and a project that is on neither of them yet."""
    need_root("make networks")
    project = bake_project(tmp_path / "here", home=home, ssh_alias="anna")
    (project.path / "scripts" / "setup-environment.sh").write_text(SETUP)
    (project.path / "labs" / "counting.py").write_text(COUNTING.read_text())
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Stand in for the environment")
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder:
        laptop = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        settings = {
            "LAB_TEST_ENVIRONMENT": str(environment.project.path / ".venv"),
            "LAB_DATA_DIR": os.environ.get("LAB_DATA_DIR", ""),
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        with network(["anna", "bert"], laptop=laptop, project=project, **settings) as made:
            yield made
