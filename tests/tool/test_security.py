"""What must never happen, shown by a real OpenSSH server: one quick test of each kind of hazard.

docs/security.md has the whole list. The person's own configuration is set against us here, as far
as it can be: what the tool needs, it must ask for itself.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import TOOL
from openssh_server import Laptop, OpenSSHServer, free_port
from remote_project import RemoteProject
from session_fixtures import Command
from session_watch import LISTENING, arguments_of_all_processes
from tool_helpers import Lab, files_in

from ml_remote.errors import (
    HostKeyChangedError,
    HostKeyUnknownError,
    LoginRefusedError,
    UnreachableError,
)
from ml_remote.ssh.client import Client


def set_for_every_host(laptop: Laptop, *lines: str) -> None:
    """Put these lines at the top of the person's own configuration."""
    laptop.config.write_text("".join(f"{line}\n" for line in lines) + laptop.config.read_text())


def tcp_addresses(port: int) -> list[str]:
    """Return the addresses on which some program of this computer listens at a port."""
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    found = [fields[1].split(":") for fields in lines if fields[3] == LISTENING]
    return [
        socket.inet_ntoa(bytes.fromhex(address)[::-1]) if len(address) == 8 else address
        for address, number in found
        if int(number, 16) == port
    ]


# --- who answers


def test_unknown_host_key_is_refused_whatever_the_person_has_set(
    machine: Client, laptop: Laptop, server: OpenSSHServer
) -> None:
    set_for_every_host(laptop, "StrictHostKeyChecking accept-new")
    laptop.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknownError):
        machine.run("true")
    assert server.logins == 0
    assert laptop.known_hosts.read_text() == ""


def test_changed_host_key_is_refused_whatever_the_person_has_set(
    machine: Client, laptop: Laptop, server: OpenSSHServer
) -> None:
    set_for_every_host(laptop, "StrictHostKeyChecking no")
    known = laptop.known_hosts.read_bytes()
    server.stop()
    server.new_host_key()
    server.start()
    with pytest.raises(HostKeyChangedError):
        machine.run("true")
    assert server.logins == 0
    assert laptop.known_hosts.read_bytes() == known


# --- what is asked for


@pytest.mark.usefixtures("told_password")
def test_command_in_the_background_asks_for_no_password(
    machine: Client, laptop: Laptop, server: OpenSSHServer
) -> None:
    server.account.authorize()
    with pytest.raises(LoginRefusedError):
        machine.run("true")
    assert laptop.questions == []
    # With the person at the keyboard the same password is asked for, and lets them in.
    machine.run("true", interactive=True)
    assert len(laptop.questions) == 1


# --- what is lent to the machine, or opened


def test_no_port_of_the_persons_configuration_is_opened(machine: Client, laptop: Laptop) -> None:
    ours, theirs = free_port(), free_port()
    set_for_every_host(
        laptop,
        f"LocalForward 127.0.0.1:{ours} 127.0.0.1:1",
        f"RemoteForward 127.0.0.1:{theirs} 127.0.0.1:1",
        f"DynamicForward 127.0.0.1:{free_port()}",
    )
    knock = 'for port; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && echo "$port"; done'
    done = machine.run("bash", "-c", f"{knock}; echo end", "bash", str(ours), str(theirs))
    assert done.stdout == "end\n"


def test_no_command_of_the_persons_configuration_runs(machine: Client, laptop: Laptop) -> None:
    canary = laptop.home / "canary"
    set_for_every_host(laptop, "PermitLocalCommand yes", f"LocalCommand touch {canary}")
    own = "ControlPath=none"  # over a shared connection ssh would not run it
    machine.with_options(own).run("true")
    assert not canary.exists()
    assert laptop.run_ssh("-o", own, "machine", "true").returncode == 0
    assert canary.exists()  # it would have run


def test_keys_of_the_person_are_not_lent_to_the_machine(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, tmp_path: Path
) -> None:
    set_for_every_host(laptop, "ForwardAgent yes")
    key = laptop.make_key("id_ed25519")
    server.account.authorize(key.with_suffix(".pub").read_text())
    laptop.pin_host_key(server)
    with openssh_server.agent(tmp_path) as variables:
        openssh_server.run("ssh-add", "-q", str(key), **variables)
        done = lab("connect", server.address, "--yes", **variables)
        assert done.returncode == 0, done.stderr
        agent = 'echo "<$SSH_AUTH_SOCK>"'
        said = laptop.run_ssh("handwriting-lab", agent, **variables).stdout
        by_hand = laptop.run_ssh("-p", str(server.port), server.address.partition(":")[0], agent,
                                 **variables).stdout  # fmt: skip
    assert said == "<>\n"
    assert by_hand != "<>\n"  # it would have been lent


def test_names_do_not_become_commands_or_options(machine: Client, laptop: Laptop) -> None:
    canary = laptop.home / "canary"
    name = f"$(touch {canary}); `touch {canary}` && touch {canary} '"
    assert machine.run("printf", "%s", name).stdout == name
    assert machine.run_script('printf %s "$1"', f"{name}\n{name}").stdout == f"{name}\n{name}"
    hostile = Client(alias=f"-oProxyCommand=touch {canary}", directory=laptop.ssh)
    assert hostile.command("true")[-3:-1] == ["--", hostile.alias]
    with pytest.raises(UnreachableError):
        hostile.run("true")
    assert not canary.exists()


# --- what is written


def test_everything_in_the_ssh_directory_is_for_its_owner_alone(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    mask = os.umask(0)
    try:
        done = lab("connect", server.address, "--yes", **password)
    finally:
        os.umask(mask)
    assert done.returncode == 0, done.stderr
    made = {path.name: path for path in laptop.ssh.rglob("*")}
    assert {"ml-remote.d", "handwriting-lab.conf", "handwriting-lab.key", "known_hosts"} < set(made)
    for path in made.values():
        allowed = 0o700 if path.is_dir() else 0o644 if path.suffix == ".pub" else 0o600
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path
    there = server.account.home / ".ssh"
    assert stat.S_IMODE(there.stat().st_mode) == 0o700
    assert stat.S_IMODE((there / "authorized_keys").stat().st_mode) == 0o600


def test_files_of_the_person_are_as_they_were(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    key = laptop.ssh / "ml-remote.d" / "handwriting-lab.key"
    key.parent.mkdir(mode=0o700)
    key.write_text("what the person keeps under this name\n")
    laptop.known_hosts.write_text("other.example.com ssh-ed25519 AAAA\n")
    before = files_in(laptop)
    lab("connect", server.address, "--yes", **password)
    after = files_in(laptop)
    assert after.keys() >= before.keys()
    for name, content in before.items():
        assert content in after[name], name  # at most a line of ours before it or behind it


# --- sessions

SESSION = '''\
#!/usr/bin/env python3
"""Stands in for JupyterLab: it answers on its socket, and says nothing of interest."""
import http.server
import os
import pathlib
import socketserver
import tempfile

os.umask(0o077)
directory = pathlib.Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
(directory / "token").write_text("SECRET-5ec4e7")


class Server(socketserver.UnixStreamServer):
    def get_request(self):
        return super().get_request()[0], ("", 0)


server = Server(str(directory / "socket"), http.server.BaseHTTPRequestHandler)
(pathlib.Path(os.environ["LAB_JOB_FOLDER"]) / "session").write_text(f"{directory}\\n")
server.serve_forever()
'''


@pytest.fixture
def session(remote_project: RemoteProject, laptop: Laptop) -> Iterator[Command]:
    """Yield a `lab jupyter` whose tunnel is open, to a session that only answers."""
    set_for_every_host(laptop, "GatewayPorts yes")  # whoever has this shares their own tunnels
    remote_project.push()
    remote_project.server.account.write(
        f"{remote_project.name}/.venv/bin/python", SESSION, mode=0o700
    )
    command = Command(remote_project.project, "jupyter", "--no-browser")
    try:
        yield command
    finally:
        command.kill()
        remote_project.lab("jupyter", "--stop")
        for announced in remote_project.folder.glob(".lab/jobs/*/session"):
            shutil.rmtree(announced.read_text().strip())


def test_tunnel_is_for_this_computer_and_its_token_for_one_person(session: Command) -> None:
    with arguments_of_all_processes() as seen:
        page = session.read_page()
        text = page.read_text()
    port = re.search(r"http://127\.0\.0\.1:(\d+)/", text)
    assert port is not None
    assert tcp_addresses(int(port[1])) == ["127.0.0.1"]
    assert "SECRET-5ec4e7" in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "SECRET-5ec4e7" not in session.said
    assert not [words for words in seen if b"SECRET-5ec4e7" in words]


# Stands in for TensorBoard: it is imported when everything is in its place, and looks at that.
BOARD = """\
import os, pathlib, stat, sys
directory = pathlib.Path((pathlib.Path(os.environ["LAB_JOB_FOLDER"]) / "session").read_text()[:-1])
for path in (directory, directory / "token"):
    print(f"{stat.S_IMODE(path.stat().st_mode):o}", path.stat().st_size > 40)
sys.exit()
"""


def test_directory_and_token_of_a_session_are_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("")
    (tmp_path / "job").mkdir()
    (tmp_path / "modules" / "tensorboard").mkdir(parents=True)
    (tmp_path / "modules" / "tensorboard" / "__init__.py").write_text(BOARD)
    done = subprocess.run(
        ["sh", "-c", 'umask 000; exec "$@"', "sh", sys.executable, "-B", "-m",
         "ml_remote.far", "serve", "tensorboard"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path / 'modules'}{os.pathsep}{TOOL}",
            "LAB_JOB_FOLDER": str(tmp_path / "job"),
        },
        capture_output=True,
        text=True,
    )  # fmt: skip
    directory, token = done.stdout.splitlines()
    assert directory.split()[0] == "700", done.stderr
    assert token.split() == ["600", "True"]


# --- several machines

RENDEZVOUS = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


class Kept:
    def __init__(self, store, run_id):
        self.kept = None

    def get_state(self):
        return self.kept, 1

    def set_state(self, state, token=None):
        self.kept = state
        return state, 1, True


class Module(ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Kept if name == "C10dRendezvousBackend" else type(name, (Exception,), {})


class Loader:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "psutil"):
            return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Loader())
from ml_remote.far.env.launch import SignedBackend

backend = SignedBackend(None, "run", secret=b"secret")
print(backend.set_state(b"state")[0], backend.get_state()[0])
signed = backend.kept
for forged in (b"state", bytes(32) + b"state", signed[:-1] + b"!", signed[32:] + signed[:32]):
    backend.kept = forged
    try:
        print("taken:", backend.get_state())
    except Exception:
        print("refused")
"""


def test_what_others_write_to_the_rendezvous_is_refused() -> None:
    # torch is several gigabytes; a module in its place keeps what it is given.
    done = subprocess.run([sys.executable, "-B", "-c", RENDEZVOUS], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["b'state' b'state'", *["refused"] * 4], done.stderr
