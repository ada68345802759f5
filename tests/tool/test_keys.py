"""Reading and making keys, and what is done about them on Windows, told without one."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import openssh_server
import pytest
from openssh_server import Laptop

from ml_remote.errors import ConfigurationError, KeyFileError
from ml_remote.login import keys, permissions
from ml_remote.login.keys import create_key, parse_public_key, read_key


@pytest.mark.parametrize(
    "key_type", ["ed25519", "ecdsa", pytest.param("rsa", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("passphrase", ["", "open sesame"], ids=["plain", "encrypted"])
def test_key_is_read_with_its_public_half(laptop: Laptop, key_type: str, passphrase: str) -> None:
    path = laptop.make_key("key", passphrase=passphrase, key_type=key_type)
    key = read_key(path)
    assert key.encrypted is bool(passphrase)
    printed = openssh_server.run("ssh-keygen", "-lf", f"{path}.pub")
    assert key.public.fingerprint == printed.split()[1]
    assert key.public.comment == "key"


def test_public_half_of_another_key_is_noticed_behind_a_passphrase(laptop: Laptop) -> None:
    path = laptop.make_key("key", passphrase="open sesame")
    other = laptop.make_key("other")
    Path(f"{path}.pub").write_text(Path(f"{other}.pub").read_text())
    with pytest.raises(KeyFileError, match="not the public key"):
        read_key(path)


@pytest.mark.slow
def test_old_encrypted_key_is_taken_at_its_word(laptop: Laptop) -> None:
    path = laptop.ssh / "old"
    options = ["-q", "-t", "rsa", "-m", "PEM", "-N", "open sesame", "-C", "old", "-f", str(path)]
    openssh_server.run("ssh-keygen", *options)
    assert "Proc-Type: 4,ENCRYPTED" in path.read_text()
    assert read_key(path).encrypted


def test_public_key_alone_stands_for_one_in_the_agent(laptop: Laptop) -> None:
    path = laptop.make_key("key")
    path.unlink()
    assert read_key(Path(f"{path}.pub")).path == Path(f"{path}.pub")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda key: key.unlink(), "There is no key"),
        (lambda key: key.write_text("nonsense"), "not a private key"),
        (lambda key: key.chmod(0o640), "can read the key"),
        (lambda key: Path(f"{key}.pub").unlink(), "is missing"),
        (lambda key: Path(f"{key}.pub").write_text("nonsense"), "does not hold a public key"),
    ],
)
def test_key_that_cannot_be_used_is_told_with_a_remedy(
    laptop: Laptop, fault: object, words: str
) -> None:
    path = laptop.make_key("key")
    assert callable(fault)
    fault(path)
    with pytest.raises(KeyFileError, match=words) as raised:
        read_key(path)
    assert raised.value.hint is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ",  # its blob says ssh-ed25519
        'command="rm -rf /" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ== x\nssh-ed25519 AAAA",
    ],
)
def test_line_that_is_no_public_key_is_not_read_as_one(line: str) -> None:
    assert parse_public_key(line) is None


def test_comment_cannot_bring_anything_into_authorized_keys(laptop: Laptop) -> None:
    public = read_key(laptop.make_key("key")).public
    hostile = parse_public_key(f"{public.type} {public.blob} $(touch x) `id` \\n ' ; é")
    assert hostile is not None
    assert hostile.line == f"{public.type} {public.blob} -touch-x-id-n-"


@pytest.mark.parametrize(
    "key_type",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "rsa-4096" else ())
        for name in keys.KEY_TYPES
    ],
)
def test_key_is_made_private_and_of_its_type(tmp_path: Path, key_type: str) -> None:
    key = create_key(tmp_path / "key", key_type=key_type, comment="lab-x", ask_passphrase=False)
    assert key.path.stat().st_mode & 0o777 == 0o600
    bits = {"ed25519": "256", "ecdsa-521": "521", "rsa-4096": "4096"}[key_type]
    assert key.public.made_as == key_type
    assert openssh_server.run("ssh-keygen", "-lf", str(key.path)).startswith(f"{bits} SHA256:")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.pub"]


@pytest.mark.parametrize("name", ["key", "key.pub"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_key_never_takes_the_place_of_a_file(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "file":
        (tmp_path / name).write_text("precious")
    else:
        (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_key(tmp_path / "key", key_type="ed25519", comment="", ask_passphrase=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if kind == "file":
        assert (tmp_path / name).read_text() == "precious"


def test_key_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_else(made: Path) -> None:
        (tmp_path / "key").write_text("precious")

    monkeypatch.setattr(keys, "make_private", somebody_else)
    with pytest.raises(KeyFileError, match="could not be written"):
        create_key(tmp_path / "key", key_type="ed25519", comment="", ask_passphrase=False)
    assert (tmp_path / "key").read_text() == "precious"


def test_windows_gives_a_key_to_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    program = tmp_path / "icacls"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{calls}"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setenv("USERDOMAIN", "LAB")
    permissions.make_private(tmp_path / "key")
    assert calls.read_text().splitlines() == [
        str(tmp_path / "key"),
        "/inheritance:r",
        "/grant:r",
        "LAB\\ada:F",
    ]
    program.write_text("#!/bin/sh\necho Access is denied. >&2\nexit 5\n")
    with pytest.raises(ConfigurationError, match=r"Access is denied\.") as raised:
        permissions.make_private(tmp_path / "key")
    assert "icacls" in (raised.value.hint or "")
