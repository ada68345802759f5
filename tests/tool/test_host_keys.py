"""Pinning a host key: only where the machine has none, and without touching other lines."""

from __future__ import annotations

from pathlib import Path

import openssh_server
import pytest
from openssh_server import Laptop

from ml_remote.errors import ConfigurationError, HostKeyChangedError
from ml_remote.login.host_keys import HostKey, pin
from ml_remote.login.keys import read_key
from ml_remote.ssh.client import Client


@pytest.fixture
def host_key(laptop: Laptop) -> HostKey:
    """Return a host key that a machine has shown."""
    key = read_key(laptop.make_key("shown")).public
    return HostKey(line=f"[gpu]:2222 {key.type} {key.blob}", key=key)


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_second_key_is_never_pinned_beside_the_first(
    laptop: Laptop, host_key: HostKey, hashed: bool
) -> None:
    other = read_key(laptop.make_key("other")).public
    laptop.known_hosts.write_text(f"[gpu]:2222 {other.type} {other.blob}\n")
    if hashed:
        openssh_server.run("ssh-keygen", "-q", "-H", "-f", str(laptop.known_hosts))
    before = laptop.known_hosts.read_bytes()
    with pytest.raises(HostKeyChangedError, match="another host key"):
        pin(host_key, {"userknownhostsfile": [str(laptop.known_hosts)]})
    assert laptop.known_hosts.read_bytes() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "{line}\n"),
        ("other ssh-ed25519 AAAA\n", "other ssh-ed25519 AAAA\n{line}\n"),
        ("other ssh-ed25519 AAAA", "other ssh-ed25519 AAAA\n{line}\n"),
        ("# comment\r\n", "# comment\r\n{line}\n"),
    ],
    ids=["missing", "another host", "no final newline", "CRLF"],
)
def test_host_key_is_added_and_other_lines_stay(
    laptop: Laptop, host_key: HostKey, before: str | None, after: str
) -> None:
    path = laptop.home / "new folder" / "known_hosts"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before.encode())
    # As `ssh -G` lists them: two files, blanks within a path not quoted.
    resolved = {"userknownhostsfile": [f"{path} {path}2"], "hashknownhosts": ["no"]}
    assert pin(host_key, resolved) == path
    assert path.read_bytes() == after.format(line=host_key.line).encode()


@pytest.mark.parametrize(
    "names",
    [
        ("known_hosts_work", "known_hosts"),
        ("work.hosts", "known_hosts"),
        ("my hosts", "known_hosts"),
        ("%n.hosts",),
    ],
)
def test_host_key_goes_into_the_first_file_that_ssh_names(
    laptop: Laptop, host_key: HostKey, names: tuple[str, ...]
) -> None:
    files = " ".join(f'"{laptop.ssh}/{name}"' for name in names)
    laptop.config.write_text(f"UserKnownHostsFile {files}\n")
    resolved = Client(alias="gpu", directory=laptop.ssh).resolve()
    assert pin(host_key, resolved) == laptop.ssh / names[0].replace("%n", "gpu")
    assert not laptop.known_hosts.exists()


@pytest.mark.parametrize("files", ["none", "/dev/null", ""])
def test_person_without_known_hosts_is_told(host_key: HostKey, files: str) -> None:
    with pytest.raises(ConfigurationError, match="keeps no known hosts"):
        pin(host_key, {"userknownhostsfile": [files]})


def test_file_that_cannot_be_written_is_told_with_the_line(
    laptop: Laptop, host_key: HostKey
) -> None:
    laptop.known_hosts.mkdir()
    with pytest.raises(ConfigurationError) as raised:
        pin(host_key, {"userknownhostsfile": [str(laptop.known_hosts)]})
    assert host_key.line in (raised.value.hint or "")


def test_place_to_compare_the_key_with_is_named(host_key: HostKey) -> None:
    assert Path(host_key.usual_path) == Path("/etc/ssh/ssh_host_ed25519_key.pub")
