"""A setup has the proxies, certificates and indexes that start-up files set for a login."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_remote.scripts import script

SCRIPT = 'printf "%s|%s|%s\\n" "$HTTPS_PROXY" "$PIP_CERT" "${PATH%%:*}"\n'
FIRST = "/usr/bin"
HERE = {"PATH": f"{FIRST}:/bin", "SHELL": "/bin/sh"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home directory of somebody whose project is in it."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup-environment.sh").write_text(SCRIPT)
    return tmp_path


def setup(home: Path, **variables: str) -> list[str]:
    """Return what a setup finds in HTTPS_PROXY, PIP_CERT and first on PATH."""
    done = subprocess.run(
        ["sh", "-c", script("make-environment")],
        cwd=home,
        env={**HERE, "HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1].split("|")


def test_setup_has_what_start_up_files_say_of_the_network(home: Path) -> None:
    (home / ".profile").write_text(
        "echo Welcome\nexport HTTPS_PROXY='http://proxy:8080'\n"
        "export PIP_CERT='/a path/$x.pem' PATH=/no:$PATH\n"
    )
    assert setup(home) == ["http://proxy:8080", "/a path/$x.pem", FIRST]


def test_what_a_setup_has_already_stays(home: Path) -> None:
    (home / ".profile").write_text("export HTTPS_PROXY=http://proxy:8080\n")
    assert setup(home, HTTPS_PROXY="http://other:1")[0] == "http://other:1"


def test_setup_needs_no_start_up_files(home: Path) -> None:
    assert setup(home) == ["", "", FIRST]
    (home / ".profile").write_text("exit 3\n")
    assert setup(home) == ["", "", FIRST]
