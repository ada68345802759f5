"""Hosts with addresses of their own: network namespaces on a bridge, each with an OpenSSH server.

The bridge is in the namespace of the laptop, where the `lab` command runs, so several such
networks never meet, nor the one of this machine.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openssh_server
from baking import BakedProject
from openssh_server import Laptop, OpenSSHServer
from started import start_in_session

__all__ = ["Host", "LabCommand", "Network", "network"]

PREFIX = "10.77.0"
LIMIT = 180.0  # seconds that anything may take on a busy machine


@dataclass(frozen=True)
class Host:
    """A machine that the laptop reaches under an alias."""

    alias: str
    address: str
    namespace: str
    server: OpenSSHServer
    folder: Path
    """The project's folder there."""

    def run(self, *command: str) -> str:
        """Run a command there and return what it printed."""
        return openssh_server.run("ip", "netns", "exec", self.namespace, *command)

    def cut_off(self) -> None:
        """Pull the cable out."""
        self.run("ip", "link", "set", "dev", "eth0", "down")

    def come_back(self) -> None:
        """Put it in again."""
        self.run("ip", "link", "set", "dev", "eth0", "up")

    def processes(self) -> list[int]:
        """Return all that runs there for the project."""
        mark = f"LAB_JOB_FOLDER={self.folder}/".encode()
        return [process for process in _all_processes() if mark in _read(process, "environ")]

    def find(self, word: str) -> list[int]:
        """Return those of its processes that have this word in their command lines."""
        return [one for one in self.processes() if word.encode() in _read(one, "cmdline")]


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _read(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:  # it has ended
        return b""


class LabCommand:
    """A `lab` command that runs, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        """What it has printed."""
        return "".join(self._lines)

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until it has printed the text so many times."""
        deadline = time.monotonic() + LIMIT
        while self.output.count(text) < times:
            assert self._reader.is_alive(), f"it ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.output}"
            time.sleep(0.1)

    def finish(self, *, limit: float = LIMIT) -> tuple[int, str]:
        """Wait for its end; return its exit code and all it printed."""
        try:
            code = self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it still runs after {limit} s:\n{self.output}") from None
        self._reader.join()
        return code, self.output

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.append(line)


@dataclass(frozen=True)
class Network:
    """The laptop and the hosts that it reaches."""

    namespace: str
    project: BakedProject
    hosts: dict[str, Host]

    def start_lab(self, *arguments: str) -> LabCommand:
        """Start the `lab` command on the laptop and return without waiting for it."""
        laptop = ["ip", "netns", "exec", self.namespace]
        command = [*laptop, sys.executable, "-B", "lab.py", *arguments]
        return LabCommand(start_in_session(command, self.project.path))

    def lab(self, *arguments: str) -> tuple[int, str]:
        """Run the `lab` command on the laptop; return its exit code and all it printed."""
        return self.start_lab(*arguments).finish()

    def results(self) -> list[Path]:
        """Return the folders that were fetched."""
        return sorted((self.project.path / "outputs").glob("[!.]*/*"))


@contextmanager
def network(
    aliases: Sequence[str], *, laptop: Laptop, project: BakedProject, **variables: str
) -> Iterator[Network]:
    """Yield hosts with these aliases; `variables` is what is set in every session on them."""
    mark = uuid.uuid4().hex[:6]
    with ExitStack() as stack:
        here = stack.enter_context(_namespace(f"lab{mark}"))
        _in(here, "ip", "link", "add", "name", "bridge", "type", "bridge")
        _in(here, "ip", "address", "add", f"{PREFIX}.1/24", "dev", "bridge")
        _in(here, "ip", "link", "set", "dev", "bridge", "up")
        laptop.make_key("id_ed25519")
        hosts = {
            alias: stack.enter_context(
                _host(alias, number, here, laptop=laptop, project=project, **variables)
            )
            for number, alias in enumerate(aliases, start=2)
        }
        yield Network(namespace=here, project=project, hosts=hosts)


@contextmanager
def _host(
    alias: str,
    number: int,
    here: str,
    *,
    laptop: Laptop,
    project: BakedProject,
    **variables: str,
) -> Iterator[Host]:
    address = f"{PREFIX}.{number}"
    with (
        _namespace(f"{here}-{number}") as namespace,
        openssh_server.account(own=True) as account,
    ):
        _in(here, "ip", "link", "add", f"host{number}", "type", "veth",
            "peer", "name", "eth0", "netns", namespace)  # fmt: skip
        _in(here, "ip", "link", "set", "dev", f"host{number}", "master", "bridge", "up")
        _in(namespace, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        _in(namespace, "ip", "link", "set", "dev", "eth0", "up")
        settings = {"HOME": str(account.home), **variables}
        words = " ".join(f'"{name}={value}"' for name, value in settings.items())
        named = ("ip", "netns", "exec", namespace, "unshare", "--uts",
                 "sh", "-c", f'hostname {alias} && exec "$@"', "sh")  # fmt: skip
        with openssh_server.openssh_server(
            account, named, ListenAddress=address, SetEnv=words
        ) as server:
            account.authorize((laptop.ssh / "id_ed25519.pub").read_text())
            public = Path(f"{server.host_key}.pub").read_text()
            with laptop.known_hosts.open("a") as known:
                known.write(f"[{address}]:{server.port} {public}")
            laptop.config.write_text(
                f"Host {alias}\n  HostName {address}\n  Port {server.port}\n"
                f"  User {account.user}\n  ControlMaster auto\n  ControlPersist 1m\n"
                f"  ControlPath {laptop.ssh}/%C\n" + laptop.config.read_text()
            )
            folder = account.home / project.path.name
            yield Host(alias, address, namespace, server, folder)


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    openssh_server.run("ip", "netns", "add", name)
    try:
        _in(name, "ip", "link", "set", "dev", "lo", "up")
        yield name
    finally:
        openssh_server.run("ip", "netns", "delete", name)


def _in(namespace: str, *command: str) -> str:
    return openssh_server.run("ip", "netns", "exec", namespace, *command)
