"""`lab jupyter` through lost networks and restarted servers: the tunnel comes back by itself."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import session_fixtures
from environment import LabEnvironment
from needs import need_root
from session_fixtures import Command, Desk
from session_kernel import Kernel
from session_watch import processes_below

pytestmark = pytest.mark.slow

CLONE_NEWNET = 0x40000000  # linux/sched.h
SILENCE = 30.0  # seconds that a network stays away
NOTICED = 10.0  # seconds until a silent network must have been noticed
BACK = 10.0  # seconds for the tunnel to be back: 5 on a computer that does nothing else
FAULTS = ["restart", "restart", "silence", "restart", "restart"] * 2


@pytest.fixture
def own_network() -> Iterator[None]:
    """Yield a network namespace of the test's own, with nothing in it but loopback."""
    need_root("drop packets")
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 - a file descriptor is wanted
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


@pytest.fixture
def desk(own_network: None, environment: LabEnvironment) -> Iterator[Desk]:
    """Yield a laptop and a server in that network."""
    with session_fixtures.desk(environment) as made:
        yield made


def drop_packets(action: str, desk: Desk) -> None:
    """Add (-A) or delete (-D) the rules that drop every packet from and to the server, silently."""
    for direction in ("--sport", "--dport"):
        rule = ["INPUT", "-p", "tcp", direction, str(desk.server.port), "-j", "DROP"]
        subprocess.run(["iptables", action, *rule], check=True)


def opened(desk: Desk) -> tuple[Command, Kernel]:
    """Open JupyterLab and return the command that keeps the tunnel, and a kernel there."""
    command = desk.start("jupyter", "--no-browser")
    return command, Kernel(command.read_page())


def assert_kept(port: int) -> None:
    """Check that, without the network, the port stays taken and answers nobody."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
    address = ("127.0.0.1", port)
    with socket.create_connection(address, timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(b"GET /login HTTP/1.0\r\n\r\n")
        assert connection.recv(1) == b""


def test_kernel_survives_lost_networks_and_restarted_servers(
    desk: Desk, environment: LabEnvironment
) -> None:
    command, kernel = opened(desk)
    # Another project on the same server at the same time, which nobody uses.
    unused_desk = desk.second_project(environment, idle_hours=0.001)
    unused, unused_kernel = opened(unused_desk)
    unused_kernel.run("kept = 1")
    shown = re.search(r"open-jupyter-(\d+)\.html", command.said)
    assert shown is not None
    port = int(shown[1])
    secret = kernel.run("import os, uuid; kept = uuid.uuid4().hex; print(kept, os.getpid())")
    for fault in FAULTS:
        if fault == "restart":
            desk.server.stop()
            command.read_until("connecting again")
            desk.server.start()
        else:
            began = time.monotonic()
            drop_packets("-A", desk)
            command.read_until("connecting again")  # it is noticed while nothing comes through
            assert time.monotonic() - began < NOTICED
            assert_kept(port)
            time.sleep(max(0, began + SILENCE - time.monotonic()))
            drop_packets("-D", desk)
        back = time.monotonic()
        command.read_until("Connected to .* again")
        assert time.monotonic() - back < BACK
        assert kernel.run("print(kept, os.getpid())") == secret
    assert len(processes_below(desk.there)) >= 2
    assert command.interrupt() == 0

    assert unused.wait() == 0, unused.said
    assert "has ended" in unused.said
    assert processes_below(unused_desk.there) == {}
