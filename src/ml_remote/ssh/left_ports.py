"""Ports of this computer that a killed program has left open on the shared connection.

VS Code has ssh listen for it (`-D`). Over a shared connection the port belongs to that, and stays
when VS Code's ssh is killed: every program of this computer reaches the machine's network by it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from .shared_connection import control_command, control_socket

if TYPE_CHECKING:
    from .client import Client

__all__ = ["close_left_ports", "left_ports"]

_SECONDS = 5.0
_MASTER = re.compile(r"Master running \(pid=(\d+)\)")
_LISTENS = "0A"  # in /proc/net/tcp
_CONFIGURED = re.compile(r"^(?:\S*:)?(\d{1,5})(?= |$)")
_NAMED = re.compile(r"-[DLR] ?(?:[^\s:]*:)?(\d{1,5})\b")


def left_ports(client: Client) -> list[int]:
    """Return the ports that the shared connection holds open and that nobody has named.

    Neither a running ssh, nor the person's SSH configuration, for every connection.
    """
    control = control_socket(client)
    if control is None or not control.exists():
        return []
    try:
        said = processes.run(control_command(control, "check"), timeout=_SECONDS).stderr
        master = _MASTER.search(said)
        if master is None:
            return []
        ports = _listening(int(master[1]))
        return sorted(ports - _named_by_programs() - _configured(client)) if ports else []
    except (subprocess.TimeoutExpired, OSError):
        return []


def close_left_ports(client: Client) -> list[int]:
    """Close those of `left_ports` that VS Code has left; return them."""
    control = control_socket(client)
    if control is None:
        return []
    closed = []
    for port in left_ports(client):
        with suppress(subprocess.TimeoutExpired):
            command = control_command(control, "cancel", "-D", str(port))
            if processes.run(command, timeout=_SECONDS).returncode == 0:
                closed.append(port)
    return closed


def _listening(process: int) -> set[int]:
    """Return the TCP ports on which a process of this user listens."""
    folder = Path(f"/proc/{process}/fd")
    if not folder.is_dir():
        return _listening_by_lsof(process)
    held = set()
    for link in folder.iterdir():
        with suppress(OSError):
            held.add(str(link.readlink()))
    ports = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and f"socket:[{fields[9]}]" in held:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def _listening_by_lsof(process: int) -> set[int]:
    """Return the same on macOS, which has no /proc; none without lsof."""
    if shutil.which("lsof") is None:
        return set()
    command = ["lsof", "-nP", "-a", "-p", str(process), "-iTCP", "-sTCP:LISTEN", "-Fn"]
    printed = processes.run(command, timeout=_SECONDS).stdout
    return {int(port) for port in re.findall(r"(?m)^n.*:(\d+)$", printed)}


def _configured(client: Client) -> set[int]:
    """Return the ports that DynamicForward and LocalForward name for the machine."""
    resolved = client.resolve()
    values = [*resolved.get("dynamicforward", []), *resolved.get("localforward", [])]
    return {int(port) for value in values for port in _CONFIGURED.findall(value)}


def _named_by_programs() -> set[int]:
    """Return the ports that a running ssh was told to listen on."""
    printed = processes.run(["ps", "-A", "-ww", "-o", "args="], timeout=_SECONDS).stdout
    lines = [line for line in printed.splitlines() if "ssh" in line.partition(" ")[0]]
    return {int(port) for line in lines for port in _NAMED.findall(line)}
