"""`lab forward`: ports of this computer that lead to programs on the machine."""

from __future__ import annotations

import http.server
import json
import re
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openssh_server import free_port
from remote_project import RemoteProject
from started import read_until, start_in_session
from tool_helpers import wait_until

from ml_remote.errors import UsageError
from ml_remote.machine import Machine
from ml_remote.sessions import forward
from ml_remote.sessions.forward import Wanted, parse
from ml_remote.ssh.client import Client


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7860", Wanted(here=7860, to="7860", is_exact=False)),
        ("8080:7860", Wanted(here=8080, to="7860", is_exact=True)),
        ("8080:db.internal:5432", Wanted(here=8080, to="db.internal:5432", is_exact=True)),
        ("8080:[::1]:5432", Wanted(here=8080, to="[::1]:5432", is_exact=True)),
        ("8080:./app.sock", Wanted(here=8080, to="./app.sock", is_exact=True)),
        ("8080:/run/a b/app.sock", Wanted(here=8080, to="/run/a b/app.sock", is_exact=True)),
    ],
)
def test_ports_are_read_as_ssh_reads_them(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0", "is not a port"),
        ("65536", "is not a port"),
        ("x", "is not a port"),
        ("-L", "is not a port"),
        ("8080:", "neither a port"),
        ("8080:70000", "neither a port"),
        ("8080:a:b:80", "neither a port"),
        ("8080:app.sock", "neither a port"),
        ("8080:-oProxyCommand=x:80", "neither a port"),
        ("8080:/tmp/%h/$HOME", "neither a port"),
        ("8080:./" + "x" * 100, "neither a port"),
        ("0.0.0.0:8080:80", "127.0.0.1 only"),
        ("*:8080:80", "127.0.0.1 only"),
        (":8080:80", "127.0.0.1 only"),
        ("[::]:8080:80", "127.0.0.1 only"),
        ("localhost:8080:80", "127.0.0.1 only"),
        ("", "is not a port"),
    ],
)
def test_other_words_are_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        parse(text)


def test_folder_whose_name_ssh_would_change_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(client=Client(alias="gpu", directory=tmp_path), folder="own")
    for folder in ("/home/ada/100%h", "/home/ada/a:b", "/home/ada/${HOME}"):
        monkeypatch.setattr(forward, "absolute_folder", lambda _, folder=folder: folder)
        with pytest.raises(UsageError, match="which ssh would change"):
            forward._targets(machine, [parse("8080:./app.sock")])


class Echo(socketserver.BaseRequestHandler):
    """Answers each connection with what it says."""

    def handle(self) -> None:
        while piece := self.request.recv(2**16):
            self.request.sendall(piece)


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """Listens on a socket, and ends with the test."""

    daemon_threads = True


class TcpServer(socketserver.ThreadingTCPServer):
    """Listens on a port, and ends with the test."""

    daemon_threads = True


@contextmanager
def listening(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def echoed(port: int) -> bool:
    """Return whether what is sent to this port comes back."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"ping")
            return connection.recv(4) == b"ping"
    except OSError:
        return False


def is_open(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@pytest.mark.slow
def test_ports_lead_to_ports_and_sockets_until_the_command_ends(
    remote_project: RemoteProject,
) -> None:
    remote_project.lab("push")
    first, second, third = free_port(), free_port(), free_port()
    path = remote_project.folder / "app.sock"
    tcp, unix = TcpServer(("127.0.0.1", 0), Echo), UnixServer(str(path), Echo)
    path.chmod(0o666)  # another account has sshd connect to it
    with listening(tcp), listening(unix):
        there = tcp.server_address[1]
        ports = [f"{first}:{there}", f"{second}:./app.sock", f"{third}:1"]
        process = remote_project.start_lab("forward", *ports)
        read_until(process, "Ctrl-C closes the tunnel")
        assert (echoed(first), echoed(second), echoed(third)) == (True, True, False)
        assert "Connection refused" in read_until(process, "could not connect to")
        host = socket.gethostbyname(socket.gethostname())
        assert host == "127.0.0.1" or not is_open(first, host)
        listed = json.loads(remote_project.lab("status", "--json").stdout)["forwards"]
        assert [one["port"] for one in listed] == sorted((first, second, third))
        assert (
            f"http://127.0.0.1:{first} leads to {there} on machine"
            in remote_project.lab("status").stdout
        )

        taken = remote_project.lab("forward", f"{first}:{there}")
        assert f"Port {first} of this computer is in use" in taken.stderr
        assert (taken.returncode, "Traceback" in taken.stderr) == (1, False)

        remote_project.server.stop()
        read_until(process, "Connecting again")
        assert not echoed(first)
        remote_project.server.start()
        read_until(process, "again")
        assert (echoed(first), echoed(second)) == (True, True)

        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0
        assert not is_open(first)

        process = remote_project.start_lab("forward", f"{first}:{there}")
        read_until(process, "Ctrl-C closes the tunnel")
        assert echoed(first)
        process.kill()
        process.wait()
        assert not is_open(first)
        wait_until(lambda: not ssh_with(str(there)))
        assert json.loads(remote_project.lab("status", "--json").stdout)["forwards"] == []


class Page(http.server.BaseHTTPRequestHandler):
    """Answers each request with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.slow
def test_page_is_opened_once_it_answers_and_nohup_keeps_the_way(
    remote_project: RemoteProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote_project.lab("push")
    (remote_project.project.path / ".gitignore").write_text("*.code-workspace\n")
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >>"{opened}"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    first, second, there = free_port(), free_port(), free_port()
    command = ["nohup", sys.executable, "-B", "lab.py", "forward", "--open"]
    command += [f"{first}:{there}", f"{second}:{there}"]
    process = start_in_session(command, remote_project.project.path)
    read_until(process, "Ctrl-C closes the tunnel")
    assert ".lab" not in remote_project.git("status", "--porcelain")
    process.send_signal(signal.SIGHUP)
    assert "refused" in read_until(process, "could not connect to")  # the browser waits for it
    assert not opened.exists()
    with listening(http.server.ThreadingHTTPServer(("127.0.0.1", there), Page)):
        wait_until(opened.exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    assert opened.read_text() == f"http://127.0.0.1:{first}/\n"


def ssh_with(text: str) -> list[str]:
    """Return the command lines of the ssh processes that have this text in an argument."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if Path(words[0]).name == "ssh" and any(f":localhost:{text}" in word for word in words):
            lines.append(" ".join(words))
    return lines
