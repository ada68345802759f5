"""The SSH entry and its key with this system's own programs; run on Windows in CI too."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path

import pytest
from baking import BakedProject
from conftest import Bake

from ml_remote.login.keys import create_key, read_key

ON_WINDOWS = sys.platform == "win32"
# On Linux, hooks/test_ssh_entry.py and the tests of remote/ are quick tests of the same.
pytestmark = [pytest.mark.slow] if sys.platform == "linux" else []


@pytest.fixture
def project(bake: Bake) -> BakedProject:
    """Return a project whose SSH entry was written while it was generated."""
    return bake(remote="ada@gpu.example.net:2222")


def lab(project: BakedProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "-B", "lab.py", *arguments, check=False)


def test_ssh_understands_the_entry(project: BakedProject, home: Path) -> None:
    config = home / ".ssh" / "config"
    printed = subprocess.check_output(
        ["ssh", "-F", str(config), "-G", "handwriting-lab"], text=True
    ).splitlines()
    assert "hostname gpu.example.net" in printed
    assert "user ada" in printed
    assert "port 2222" in printed
    shared = any(line.startswith("controlpath") for line in printed)
    assert shared is (not ON_WINDOWS and len(str(home)) < 30)


def test_entry_names_a_key_whose_path_has_a_blank_in_it(project: BakedProject, home: Path) -> None:
    folder = home / "two words"
    folder.mkdir()
    key = create_key(folder / "key", key_type="ed25519", comment="lab", ask_passphrase=False)
    done = lab(project, "connect", "--offline", "--yes", "--identity", str(key.path))
    assert done.returncode == 0, done.stderr
    printed = subprocess.check_output(
        ["ssh", "-F", str(home / ".ssh" / "config"), "-G", "handwriting-lab"], text=True
    )
    (line,) = (line for line in printed.splitlines() if line.startswith("identityfile "))
    assert Path(line.removeprefix("identityfile ")) == key.path


def test_disconnect_gives_the_configuration_back(bake: Bake, home: Path) -> None:
    config = home / ".ssh" / "config"
    config.parent.mkdir(mode=0o700)
    before = b"Host a\r\n    Port 2200\r\n"
    config.write_bytes(before)
    project = bake(remote="ada@gpu.example.net:2222")
    assert config.read_bytes().endswith(b"\r\n" + before)
    done = lab(project, "disconnect", "--yes")
    assert done.returncode == 0, done.stderr
    assert config.read_bytes() == before
    assert [path.name for path in config.parent.iterdir()] == ["config"]


def test_new_key_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    key = create_key(tmp_path / "key", key_type="ed25519", comment="lab", ask_passphrase=False)
    assert read_key(key.path) == key  # ssh-keygen refuses a key that others may read
    if ON_WINDOWS:
        listed = subprocess.check_output(["icacls", str(key.path)], text=True)
        (entry,) = (line for line in listed.splitlines() if ":(" in line)
        assert getpass.getuser().lower() in entry.lower()
    else:
        assert key.path.stat().st_mode & 0o777 == 0o600
