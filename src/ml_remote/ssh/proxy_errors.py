"""Why the way to the machine failed, in the words of the jump host's or ProxyCommand's own ssh.

Its words go where the banners of its host go, too, so that both cannot be told apart. Where the
way has failed, it is tried once more by itself, with its own words in a file.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import processes
from ..far.exit_codes import ExitCode
from ..kept_output import text_of

__all__ = ["is_proxy_error", "proxy_error"]

_PATIENCE = 20  # seconds for one try
_MOST_HOPS = 4
# What ssh says where a jump host, or a ProxyCommand, has said before what went wrong.
_OF_THE_WAY = re.compile(r"\bUNKNOWN port 65535\b|exchange_identification: ")
_FOR_A_SHELL = re.compile(r"[;&|<>()`$\n]")


def is_proxy_error(said: str) -> bool:
    """Return whether ssh's own words leave the reason to what leads to the machine."""
    return _OF_THE_WAY.search(said) is not None


def proxy_error(resolved: Mapping[str, Sequence[str]], configuration: Sequence[str]) -> str | None:
    """Return what the ssh on the way says of its failure, empty if it does not fail by itself.

    None if another program is on the way, or none. `resolved` is what `ssh -G` says of the
    machine, `configuration` the arguments that name the configuration.
    """
    (jumps, *_) = resolved.get("proxyjump", ["none"])
    (command, *_) = resolved.get("proxycommand", ["none"])
    target = _target(resolved)
    if jumps != "none":
        return _words_of_hops(jumps.split(",")[:_MOST_HOPS], target, configuration)
    if command == "none" or _FOR_A_SHELL.search(command):
        return None
    try:
        program, *words = shlex.split(_expanded(command, resolved))
    except ValueError:
        return None
    if program == "exec" and words:
        program, *words = words
    if Path(program).name != "ssh":
        return None
    return _words(program, words)


def _words_of_hops(hops: Sequence[str], target: str, configuration: Sequence[str]) -> str:
    """Return the words of the hop that fails: the last one, else the one that leads to it."""
    said = ""
    for number in range(len(hops) - 1, -1, -1):
        before = ["-J", ",".join(hops[:number])] if number else []
        said = _words("ssh", [*configuration, *before, "-W", target, "--", _address(hops[number])])
        if not is_proxy_error(said):
            break
        target = _next_target(hops[number])
    return said


def _words(program: str, arguments: Sequence[str]) -> str:
    """Return what ssh says itself of its failure; empty if it does not fail, or not in time."""
    options = ["-o", "BatchMode=yes", "-o", "LogLevel=INFO", "-o", "ControlMaster=no"]
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "ssh"
        try:
            done = processes.run(
                [program, "-E", str(file), *options, *arguments], timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired:
            return ""
        failed = done.returncode == ExitCode.SSH and file.exists()
        return text_of(file).strip() if failed else ""


def _target(resolved: Mapping[str, Sequence[str]]) -> str:
    """Return where the way leads, as -W takes it."""
    return f"[{resolved['hostname'][0]}]:{resolved['port'][0]}"


def _address(hop: str) -> str:
    """Return a hop of ProxyJump as ssh takes it for a host."""
    return hop if hop.startswith("ssh://") or ":" not in hop else f"ssh://{hop}"


def _next_target(hop: str) -> str:
    """Return where the hop before this one leads; its name and port, as -W takes them."""
    place = hop.removeprefix("ssh://").rpartition("@")[2]
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, port = place, "22"
    return f"[{host.strip('[]')}]:{port}"


def _expanded(command: str, resolved: Mapping[str, Sequence[str]]) -> str:
    """Return a ProxyCommand with what ssh puts in the place of %h, %p and %r."""
    values = {"h": resolved["hostname"][0], "p": resolved["port"][0], "r": resolved["user"][0]}
    values |= {"n": resolved.get("host", resolved["hostname"])[0], "%": "%"}
    return re.sub("%(.)", lambda one: shlex.quote(values.get(one[1], one[0])), command)
