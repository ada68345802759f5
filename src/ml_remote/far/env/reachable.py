"""Find out which hosts of a run reach each other, and at which addresses.

    .venv/bin/python .lab/far/current reachable

`lab run --hosts` starts this on every host and talks to it in lines of JSON. It says which
addresses this host has and on which port it waits; it is told the same of the other hosts, tries
all of them, and says which of them answered. It ends when nobody talks to it any more.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import torch.distributed.run  # what a run loads first: that it can be loaded is worth knowing

TIMEOUT = 5.0  # seconds for a connection; a firewall that drops packets takes all of it


def main(_arguments: list[str]) -> int:
    """Answer until standard input ends."""
    token = secrets.token_hex(16)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        threading.Thread(target=answer, args=(listener, token), daemon=True).start()
        say(
            {
                "host": socket.gethostname(),
                "torch": torch.__version__,
                "addresses": addresses(),
                "port": listener.getsockname()[1],
                "token": token,
            }
        )
        for line in sys.stdin:
            others = json.loads(line)
            say({"reached": {name: reached(**other) for name, other in others.items()}})
    return 0


def say(message: dict[str, Any]) -> None:
    """Write one line; the mark tells it from what a login shell may print."""
    print(f"reachable {json.dumps(message)}", flush=True)


def answer(listener: socket.socket, token: str) -> None:
    """Send everybody who connects the token, which tells this host from one with its address."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(token.encode())


def addresses() -> dict[str, str]:
    """Return the interface of every address that others may reach, the one of ssh's first."""
    found = {
        entry.address: interface
        for interface, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET and _may_be_reached(entry.address)
    }
    # "client-address client-port server-address server-port": the way ssh came is one that works.
    preferred = os.environ.get("SSH_CONNECTION", "").split()[2:3]
    return dict(sorted(found.items(), key=lambda item: item[0] not in preferred))


def _may_be_reached(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local)


def reached(*, addresses: list[str], port: int, token: str) -> list[str]:
    """Return those of another host's addresses at which that very host answers."""

    def answers(address: str) -> bool:
        try:
            with socket.create_connection((address, port), timeout=TIMEOUT) as connection:
                connection.settimeout(TIMEOUT)
                return connection.recv(len(token), socket.MSG_WAITALL) == token.encode()
        except OSError:
            return False

    with ThreadPoolExecutor(max_workers=max(1, len(addresses))) as pool:
        answered = list(pool.map(answers, addresses))
    return [address for address, yes in zip(addresses, answered, strict=True) if yes]
