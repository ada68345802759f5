"""`lab connect` in a home directory as people have it: `~/.ssh`, no LAB_SSH_DIR, no configuration.

ssh takes the home directory from the password database, so this needs an account of its own for the
person at the laptop, too.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import BakedProject
from needs import need_root
from openssh_server import Account, Laptop, OpenSSHServer

ALIAS = "handwriting-lab"


@pytest.fixture
def person() -> Iterator[Account]:
    """Yield a person with an account on this computer, and an empty home directory."""
    need_root("make an account")
    with openssh_server.account() as made:
        yield made


def run_as(
    person: Account, project: BakedProject, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as `person`, who may read all files: the interpreter may be in root's home."""
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


class Watch:
    """What is opened or changed in a folder, as the kernel tells it (inotify(7))."""

    _ALL_BUT_CLOSE = 0xFE7

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_NONBLOCK)
        path = os.fsencode(folder)
        assert self._libc.inotify_add_watch(self._events, path, self._ALL_BUT_CLOSE) >= 0

    def names(self) -> set[str]:
        """Return the names of the files, "" for the folder itself."""
        names = set[str]()
        while True:
            try:
                data = os.read(self._events, 65536)
            except BlockingIOError:
                return names
            while data:
                (length,) = struct.unpack_from("12xI", data)
                names.add(data[16 : 16 + length].rstrip(b"\0").decode())
                data = data[16 + length :]

    def close(self) -> None:
        """Stop watching."""
        os.close(self._events)


@pytest.mark.slow
def test_with_another_directory_nothing_in_the_home_directory_is_read_or_written(
    person: Account, bake: Callable[..., BakedProject], server: OpenSSHServer
) -> None:
    # ssh ends at this configuration, and would take this key and these known hosts.
    person.write(".ssh/config", "NoSuchOption yes\n")
    person.write(".ssh/id_ed25519", "no key\n")
    host_key = Path(f"{server.host_key}.pub").read_text()
    person.write(".ssh/known_hosts", f"[127.0.0.1]:{server.port} {host_key}")
    other = person.write("other/empty", "").parent
    editor = person.write("code", "#!/bin/sh\n", mode=0o755)  # a stand-in without extensions
    password = Laptop(person.home).askpass(server.account.password or "")
    Path(password["SSH_ASKPASS"]).chmod(0o755)
    project = bake(destination=person.home / "work", copied=True)
    subprocess.run(["chown", "-R", person.user, project.path.parent], check=True)
    variables = {"LAB_SSH_DIR": str(other), "LAB_EDITOR": str(editor), "GIT_CONFIG_COUNT": "0"}
    watch = Watch(person.home / ".ssh")
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    try:
        for words in (
            "connect {} --yes", "push", "pull", "status", "shell -- true", "secret list",
            "run --name x -- true", "doctor", "code", "jupyter --no-browser", "forward 9",
            "disconnect --yes",
        ):  # fmt: skip
            command = words.format(server.address).split()
            given = variables | (password if command[0] == "connect" else {})
            limited = (
                ("timeout", "--preserve-status", "--signal=INT", "9")
                if command[0] == "forward"
                else ()
            )
            lab = (*limited, sys.executable, "-B", "lab.py", *command)
            done[words] = run_as(person, project, *lab, **given)
            assert watch.names() == set(), words
            assert "NoSuchOption" not in done[words].stderr, words
        (person.home / ".ssh" / "config").read_bytes()
        assert watch.names() == {"config"}  # it would have been seen
    finally:
        watch.close()
    codes = {words.split()[0]: result.returncode for words, result in done.items()}
    # There is no environment for a run and a session.
    missing = {"run": 125, "doctor": 1, "jupyter": 1}
    assert codes == dict.fromkeys(codes, 0) | missing, done
    assert f"[127.0.0.1]:{server.port} " in (other / "known_hosts").read_text()
