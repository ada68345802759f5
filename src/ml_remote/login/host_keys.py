"""The remote machine's host key: fetched, shown, and pinned at the first contact."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError, HostKeyChangedError, HostKeyUnknownError, LabError
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.explaining import explain
from .keys import PublicKey, parse_public_key

__all__ = ["HostKey", "ask_for_host_key", "known_hosts_file", "pin", "whom_to_ask"]


@dataclass(frozen=True, kw_only=True)
class HostKey:
    """A host key that a machine has shown."""

    line: str
    """The line for a known_hosts file, with the name that ssh will look for."""
    key: PublicKey

    @property
    def usual_path(self) -> str:
        """Where its public half usually is on the machine itself."""
        kind = self.key.type.removeprefix("ssh-").partition("-")[0]  # ed25519, ecdsa or rsa
        return f"/etc/ssh/ssh_host_{kind}_key.pub"


def ask_for_host_key(client: Client) -> HostKey:
    """Return the host key that the machine shows, without trusting it and without logging in.

    ssh itself connects, by the configuration and its jump hosts, so it is the key that ssh will ask
    about. Raises HostKeyUnknownError when a jump host's own key is not known, UnreachableError.
    """
    with tempfile.TemporaryDirectory(prefix="lab-host-key-") as folder:
        seen = Path(folder) / "known_hosts"
        looking = client.with_options(
            f'UserKnownHostsFile="{seen.as_posix()}"',
            f'GlobalKnownHostsFile="{(Path(folder) / "none").as_posix()}"',
            "StrictHostKeyChecking=accept-new",  # into the file above, which nobody else reads
            "HashKnownHosts=no",
            "UpdateHostKeys=no",
            "CheckHostIP=no",
            "VerifyHostKeyDNS=no",
            "PreferredAuthentications=none",
            "ControlPath=none",
        )
        result = looking.attempt("exit")
        lines = seen.read_text(encoding="utf-8").splitlines() if seen.exists() else []
    for line in lines:
        _, _, public = line.partition(" ")
        key = parse_public_key(public)
        if key is not None:
            return HostKey(line=line, key=key)
    error = explain(result.stderr, alias=client.alias, others=result.others)
    if isinstance(error, HostKeyUnknownError):
        raise HostKeyUnknownError(
            f"The host key of a jump host to {client.alias} is not known yet.",
            hint="Log in to it once, and check its fingerprint: ssh JUMP-HOST",
        )
    raise error


def whom_to_ask(host_key: HostKey) -> str:
    """Return, in several lines, who knows the machine's host key, and where it is shown."""
    name = shlex.quote(host_key.line.partition(" ")[0])
    return (
        "Compare it with one of these:\n- what the machine's administrator or hosting company "
        f"says\n- on the computer of a team mate who connected before: ssh-keygen -lF {name}\n- "
        f"in a terminal on the machine itself: ssh-keygen -lf {host_key.usual_path}\n- the "
        "command in the README, run on the machine"
    )


def pin(host_key: HostKey, resolved: Mapping[str, Sequence[str]]) -> Path:
    """Add the host key to the first known_hosts file of the configuration, and return that file.

    `resolved` is what `Client.resolve` returned. The names are hashed where the person wants that.
    Raises ConfigurationError when there is no such file, or it cannot be written.
    """
    path = known_hosts_file(resolved)
    if path is None:
        raise ConfigurationError(
            "Your SSH configuration keeps no known hosts (UserKnownHostsFile), so nobody would "
            "notice if another machine took its place.",
            hint="Remove UserKnownHostsFile from it, at least for this machine",
        )
    _check_is_new(host_key, path)
    line = host_key.line
    if resolved.get("hashknownhosts") == ["yes"]:
        line = _hashed(line)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        gap = "\n" if before and not before.endswith(b"\n") else ""
        # One write at the end of the file: other lines are not touched, whoever else writes to it.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            file.write(f"{gap}{line}\n".encode())
    except OSError as error:
        raise ConfigurationError(
            f"The host key could not be added to {path}: {error.strerror}.",
            hint=f"Add this line to it: {line}",
        ) from None
    return path


def _check_is_new(host_key: HostKey, path: Path) -> None:
    """Raise HostKeyChangedError when `path` has another key of this type for the same machine.

    ssh would have said so before; but a second key beside the first would let both in for good.
    """
    name = host_key.line.partition(" ")[0]
    found = processes.run(["ssh-keygen", "-F", name, "-f", str(path)])
    for line in found.stdout.splitlines():
        known = parse_public_key(line.partition(" ")[2])
        if known is not None and (known.type, known.blob) != (host_key.key.type, host_key.key.blob):
            raise HostKeyChangedError(
                f"{path} already has another host key for {name}: {known.fingerprint}",
                hint=f"Ask whoever runs the machine. Only if the change is explained: "
                f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(path))}",
            )


def known_hosts_file(resolved: Mapping[str, Sequence[str]]) -> Path | None:
    """Return the file that ssh would add a host key to, or None when there is none."""
    (files, *_) = resolved.get("userknownhostsfile", [""])
    # ssh lists them with spaces in between and does not quote those within a path.
    first = re.split(r" (?=[/~]|[A-Za-z]:[\\/])", files)[0]
    return None if first in ("", "none", os.devnull) else expanded(first)


def _hashed(line: str) -> str:
    """Return a known_hosts line with its names hashed, by ssh-keygen."""
    with tempfile.TemporaryDirectory(prefix="lab-host-key-") as folder:
        file = Path(folder) / "known_hosts"
        file.write_text(f"{line}\n", encoding="utf-8")
        result = processes.run(["ssh-keygen", "-q", "-H", "-f", str(file)])
        if result.returncode != 0:
            raise LabError(f"ssh-keygen could not hash the host name: {result.stderr.strip()}")
        return file.read_text(encoding="utf-8").strip()
