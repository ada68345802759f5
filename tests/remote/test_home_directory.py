"""`lab connect` in a home directory as people have it: `~/.ssh`, no LAB_SSH_DIR, no configuration.

ssh takes the home directory from the password database, so this needs an account of its own for the
person at the laptop, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import BakedProject
from needs import need_root
from openssh_server import Account, Laptop, OpenSSHServer

ALIAS = "handwriting-lab"


@pytest.fixture
def person() -> Iterator[Account]:
    """Somebody with an account on this computer, and nothing in the home directory."""
    need_root("make an account")
    with openssh_server.account() as made:
        yield made


def run_as(
    person: Account, project: BakedProject, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as `person`, who may read all files: the interpreter may lie in root's home."""
    become = ["setpriv", f"--reuid={person.user}", f"--regid={person.user}", "--clear-groups"]
    capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LAB_SSH_DIR", "SSH_AUTH_SOCK")
    }
    return subprocess.run(
        [*become, *capability, *command],
        cwd=project.path,
        env={**environment, "HOME": str(person.home), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_connect_and_disconnect_in_an_empty_home_directory(
    person: Account, default_project: BakedProject, server: OpenSSHServer
) -> None:
    password = Laptop(person.home).askpass(server.account.password or "")
    Path(password["SSH_ASKPASS"]).chmod(0o755)
    lab = (sys.executable, "-B", "lab.py")
    done = run_as(person, default_project, *lab, "connect", server.address, "--yes", **password)
    assert done.returncode == 0, done.stderr
    assert "remote.SSH.configFile" not in done.stdout
    folder = person.home / ".ssh"
    assert (folder / "config").read_text() == "Include ml-remote.d/*.conf\n"
    public = Path(f"{server.host_key}.pub").read_text().split()[1]
    assert public in (folder / "known_hosts").read_text()
    for path, mode in (("", 0o700), ("config", 0o600), ("ml-remote.d", 0o700)):
        assert (folder / path).stat().st_mode & 0o777 == mode

    login = run_as(person, default_project, "ssh", "-o", "BatchMode=yes", ALIAS, "pwd")
    assert login.stdout.strip() == str(server.account.home), login.stderr
    doctor = run_as(person, default_project, *lab, "doctor")
    failures = [line for line in doctor.stdout.splitlines() if line.startswith("failed")]
    assert [line.split()[1] for line in failures] == ["folder"], doctor.stdout

    done = run_as(person, default_project, *lab, "disconnect", "--yes", "--remove-key")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["known_hosts"]


@pytest.mark.slow
def test_with_another_directory_nothing_in_the_home_directory_is_read_or_written(
    person: Account, default_project: BakedProject, server: OpenSSHServer
) -> None:
    # ssh ends at this configuration, and would take this key and these known hosts.
    person.write(".ssh/config", "NoSuchOption yes\n")
    person.write(".ssh/id_ed25519", "no key\n")
    host_key = Path(f"{server.host_key}.pub").read_text()
    person.write(".ssh/known_hosts", f"[127.0.0.1]:{server.port} {host_key}")
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (person.home / ".ssh").iterdir()
    }
    other = person.write("other/empty", "").parent
    password = Laptop(person.home).askpass(server.account.password or "")
    Path(password["SSH_ASKPASS"]).chmod(0o755)
    command = (sys.executable, "-B", "lab.py", "connect", server.address, "--yes")
    variables = {**password, "LAB_SSH_DIR": str(other)}
    done = run_as(person, default_project, *command, **variables)
    assert done.returncode == 0, done.stderr
    after = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (person.home / ".ssh").iterdir()
    }
    assert after == before
    assert f"[127.0.0.1]:{server.port} " in (other / "known_hosts").read_text()
