"""Keys: reading, checking and making them, asking the agent, copying one to the machine.

Private keys are only ever read and written by OpenSSH's own programs; an existing one is never
written to. A passphrase is asked for by ssh-keygen itself and never passes through here.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .. import processes
from ..errors import KeyFileError, LoginRefusedError
from ..scripts import ExitCode, script
from ..ssh.agents import agent_variables
from ..ssh.client import Client
from .key_faults import fault_of_format, is_open_to_others
from .permissions import make_private

__all__ = [
    "KEY_TYPES",
    "SIGNATURES",
    "Key",
    "PublicKey",
    "add_to_agent",
    "agent_keys",
    "can_make",
    "copy_to",
    "create_key",
    "parse_public_key",
    "public_path",
    "read_key",
    "write_public_key",
]

KEY_TYPES = {
    "ed25519": ("-t", "ed25519"),
    "ecdsa-521": ("-t", "ecdsa", "-b", "521"),
    "rsa-4096": ("-t", "rsa", "-b", "4096"),
}
"""What `--key-type` takes, the best first, and the arguments of ssh-keygen that make it."""

SIGNATURES = {
    "ed25519": frozenset({"ssh-ed25519"}),
    "ecdsa-521": frozenset({"ecdsa-sha2-nistp521"}),
    "rsa-4096": frozenset({"rsa-sha2-256", "rsa-sha2-512"}),
}
"""The algorithms that a key of each type signs with, as servers name them."""

_PUBLIC_LINE = re.compile(r"(?P<type>[a-z0-9@.-]+) (?P<blob>[A-Za-z0-9+/]+=*)(?: (?P<comment>.*))?")

_COPY_FAILURES: dict[int, str] = {
    ExitCode.NO_HOME: "there is no home directory",
    ExitCode.NO_SSH_FOLDER: "~/.ssh could not be made there, or is not yours",
    ExitCode.NOT_WRITABLE: "~/.ssh/authorized_keys could not be written (is the disk full, or "
    "your quota used up?)",
    ExitCode.READ_ONLY: "~/.ssh/authorized_keys there is read-only, or not yours",
}


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A public key, as one line of a .pub file holds it."""

    type: str
    blob: str
    """The key itself, in base64: what tells two keys apart."""
    comment: str = ""

    @property
    def line(self) -> str:
        """The line for authorized_keys; its comment holds only letters, digits and @ . _ -"""
        return f"{self.type} {self.blob} {re.sub(r'[^A-Za-z0-9@._-]+', '-', self.comment)}".rstrip()

    @property
    def is_certificate(self) -> bool:
        """Whether it is a certificate; its fingerprint is that of the key it is for."""
        return "-cert-v01@" in self.type

    @property
    def signatures(self) -> frozenset[str]:
        """The algorithms that the key signs with, as servers name them, without SHA-1."""
        if self.type.startswith("ssh-rsa"):
            return frozenset(
                self.type.replace("ssh-rsa", f"rsa-sha2-{bits}") for bits in (256, 512)
            )
        return frozenset({self.type})

    @property
    def made_as(self) -> str | None:
        """Which of KEY_TYPES it is, None if it is none of them."""
        for name, signatures in SIGNATURES.items():
            if self.signatures <= signatures:
                return name
        return None

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint, by ssh-keygen: SHA256:..., or nothing where it cannot read the key."""
        return _fingerprint("-", text=f"{self.line}\n")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key on this computer, checked."""

    path: Path
    """What IdentityFile names: the private key, or a lone .pub of a key that is in the agent."""
    public: PublicKey
    encrypted: bool
    """Whether a passphrase protects it."""


def parse_public_key(text: str) -> PublicKey | None:
    """Return the public key that the one line `text` describes, or None when it describes none."""
    found = _PUBLIC_LINE.fullmatch(text.strip())
    if found is None:
        return None
    try:
        blob = base64.b64decode(found["blob"], validate=True)
    except binascii.Error:
        return None
    name = found["type"].encode()
    if blob[: 4 + len(name)] != struct.pack(">I", len(name)) + name:  # it names its type once more
        return None
    return PublicKey(type=found["type"], blob=found["blob"], comment=found["comment"] or "")


def public_path(path: Path) -> Path:
    """Return where the public half of the key `path` is; a .pub file is its own."""
    return path if path.suffix == ".pub" else path.with_name(path.name + ".pub")


def read_key(path: Path) -> Key:
    """Read and check the key `path`, which may also be a lone .pub file.

    Raises KeyFileError when it is missing, open to others, damaged, or when the .pub beside it is
    missing or belongs to another key: that one would be copied to the machine.
    """
    if not path.is_file():
        raise KeyFileError(f"There is no key {path}.", hint="Make one: lab connect")
    beside = public_path(path)
    private = path.with_suffix("")
    if path == beside and private.is_file() and is_open_to_others(path):
        raise KeyFileError(
            f"{path} is a public key; ssh needs the private key, {private}.",
            hint=f"lab connect --identity {shlex.quote(str(private))}, with the address",
        )
    fingerprint, encrypted = ("", False) if path == beside else _read_private(path)
    remedy = f'Write it again: ssh-keygen -y -f "{path}" > "{beside}"'
    if not beside.is_file():
        raise KeyFileError(f"The public key of {path} is missing: {beside}.", hint=remedy)
    public = parse_public_key(beside.read_text(encoding="utf-8", errors="replace"))
    if public is None:
        raise KeyFileError(f"{beside} does not hold a public key.", hint=remedy)
    if fingerprint and fingerprint != public.fingerprint:
        raise KeyFileError(
            f"{beside} is not the public key of {path}. Copying it to the machine would authorize "
            "another key, not yours.",
            hint=remedy,
        )
    return Key(path=path, public=public, encrypted=encrypted)


def _read_private(path: Path) -> tuple[str, bool]:
    """Return the fingerprint that the private key tells, if it does, and if it is encrypted.

    In the old PEM format an encrypted key tells nothing about itself.
    """
    if is_open_to_others(path):
        raise KeyFileError(
            f"Other users of this computer can read the key {path}, so ssh does not use it.",
            hint=f"chmod 600 {shlex.quote(str(path))}",
        )
    result = processes.run(["ssh-keygen", "-y", "-P", "", "-f", str(path)])
    encrypted = result.returncode != 0
    if encrypted and "passphrase" not in result.stderr:
        raise fault_of_format(path) or KeyFileError(
            f"{path} is not a private key that ssh can read: {result.stderr.strip()}",
            hint="Name another one with --identity, or omit --identity to have one made",
        )
    if not encrypted:
        public = parse_public_key(result.stdout)
        return "" if public is None else public.fingerprint, False
    # A copy, which is as encrypted: beside the key itself, ssh-keygen would look at its .pub.
    with tempfile.TemporaryDirectory(prefix="lab-key-") as folder:
        return _fingerprint(shutil.copyfile(path, Path(folder) / "key")), True


def _fingerprint(file: str | Path, *, text: str = "") -> str:
    """Return the fingerprint that ssh-keygen tells of a key: SHA256:..., nothing if it tells none.

    `file` holds the key; `-` stands for `text`.
    """
    found = processes.run(["ssh-keygen", "-l", "-E", "sha256", "-f", str(file)], input=text)
    return found.stdout.split()[1] if found.returncode == 0 else ""


def can_make(key_type: str) -> bool:
    """Return whether the ssh-keygen of this computer makes keys of a type: in FIPS mode not of all.

    An RSA key, which takes seconds to make, is taken for granted.
    """
    if key_type.startswith("rsa"):
        return True
    with tempfile.TemporaryDirectory(prefix="lab-key-") as folder:
        made = str(Path(folder) / "key")
        command = ["ssh-keygen", "-q", *KEY_TYPES[key_type], "-N", "", "-C", "", "-f", made]
        return processes.run(command).returncode == 0


def create_key(path: Path, *, key_type: str, comment: str, ask_passphrase: bool) -> Key:
    """Make a new key at `path`, of one of KEY_TYPES; never over an existing file.

    With `ask_passphrase` ssh-keygen asks for one itself, on the terminal. Raises KeyFileError.
    """
    for existing in (path, public_path(path)):
        if existing.exists() or existing.is_symlink():
            raise KeyFileError(
                f"{existing} already exists, and a key is never overwritten.",
                hint="Use that key with --identity, or move it away first",
            )
    # Made aside and then linked into place: os.link fails where ssh-keygen would ask to overwrite.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".key-") as folder:
        made = Path(folder) / "key"
        command = ["ssh-keygen", "-q", *KEY_TYPES[key_type], "-C", comment, "-f", str(made)]
        if not ask_passphrase:
            command += ["-N", ""]
        if processes.converse(command) != 0:
            raise KeyFileError("ssh-keygen made no key; see its message above.", hint="lab connect")
        make_private(made)
        try:
            os.link(public_path(made), public_path(path))
            os.link(made, path)
        except OSError as error:
            raise KeyFileError(
                f"The new key could not be written to {path}: {error.strerror}."
            ) from None
    return read_key(path)


def write_public_key(path: Path, public: PublicKey) -> None:
    """Write the public half of a key that only the agent has: IdentityFile can name it."""
    path.write_text(f"{public.line}\n", encoding="ascii")
    make_private(path)  # ssh looks at the mode as if it were the private key


def agent_keys(resolved: Mapping[str, Sequence[str]]) -> list[PublicKey] | None:
    """Return the keys that the agent holds, or None when no agent answers.

    `resolved` is what `Client.resolve` returned: the configuration may name an agent of its own.
    """
    try:
        result = processes.run(["ssh-add", "-L"], timeout=10, variables=agent_variables(resolved))
    except subprocess.TimeoutExpired:  # one that hangs is of no use to ssh either
        return None
    if result.returncode not in (0, 1):  # 1: it holds none; 2: there is no agent
        return None
    keys = (parse_public_key(line) for line in result.stdout.splitlines())
    return [key for key in keys if key is not None]


def add_to_agent(path: Path, resolved: Mapping[str, Sequence[str]]) -> bool:
    """Load `path` with ssh-add, which asks for its passphrase; return whether it was loaded."""
    return processes.converse(["ssh-add", str(path)], variables=agent_variables(resolved)) == 0


def copy_to(
    client: Client, public: PublicKey, *, connection: Sequence[str] = ("ControlPath=none",)
) -> str:
    """Authorize `public` on the machine; return `added`, `present` or `restricted`.

    The last two if it already was, `restricted` by a line with options, which may refuse it.
    ssh asks for the password itself, once; `connection` are the options by which copies share one.
    Raises KeyFileError when the machine does not take it, and the errors of `Client.run`.
    """
    asking = client.with_options(
        *connection,
        "BatchMode=no",
        "NumberOfPasswordPrompts=3",
        # Keys were tried before; offering them again could use up the server's patience.
        "PubkeyAuthentication=no",
        "PreferredAuthentications=password,keyboard-interactive",
        "PasswordAuthentication=yes",
        "KbdInteractiveAuthentication=yes",
    )
    try:
        result = asking.run_script(
            script("copy-key"), public.line, timeout=None, interactive=True, check=False
        )
    except LoginRefusedError as error:
        if "refused the login" not in error.message:
            raise
        raise LoginRefusedError(
            f"The key could not be copied: {error.message}",
            hint="Check the user name and the password. ssh needs a terminal to ask for the "
            "password. Then: lab connect user@address",
        ) from None
    said = result.stdout.split()
    if result.returncode != 0 or not said or said[-1] not in ("added", "present", "restricted"):
        why = _COPY_FAILURES.get(result.returncode) or result.stderr.strip() or "it printed nothing"
        raise KeyFileError(
            f"The key could not be copied to {client.alias}: {why}.",
            hint=f"Check it on the machine: ssh {client.alias} ls -la .ssh",
        )
    return said[-1]
