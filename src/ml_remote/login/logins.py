"""Trying to log in without a password, and finding the key that does it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LoginRefusedError
from ..ssh.client import CONNECT_TIMEOUT, PROOF, Client
from ..ssh.explaining import explain
from .keys import PublicKey

__all__ = ["Login", "log_in", "log_in_with_any"]

_OFFERED_KEY = re.compile(r"Offering public key: .* (SHA256:\S+)")
_ACCEPTED = re.compile(r"Server accepts key: .* (SHA256:\S+)")
_METHOD = re.compile(r'(?:Authenticated to .* using "|Authentication succeeded \()([a-z-]+)')
_PARTIAL = re.compile(r'Authenticated using "publickey" with partial success')
_METHODS = re.compile(r"Authentications that can continue: (\S+)")

# A server gives up after six failed keys unless told otherwise (MaxAuthTries), and the person's own
# configuration may name one or two more.
_KEYS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Login:
    """How an attempt to log in ended, when the machine answered and its host key is known."""

    succeeded: bool
    fingerprint: str | None = None
    """The fingerprint of the key that the machine takes; None where no key was needed or taken."""
    methods: frozenset[str] = frozenset()
    """What the machine would still have taken, such as `password`, when it failed."""
    offered: frozenset[str] = frozenset()
    """The fingerprints of the keys that were refused."""
    second_factor: bool = False
    """Whether the key was let in but the machine wants something else as well."""
    refusal: LoginRefusedError | None = None

    @property
    def takes_password(self) -> bool:
        """Whether the machine asks for a password, or for what stands in its place there."""
        return not self.methods.isdisjoint({"password", "keyboard-interactive"})


def log_in(client: Client) -> Login:
    """Log in over a connection of its own, asking nothing, and say how it went.

    Raises HostKeyUnknownError, HostKeyChangedError or another UnreachableError when it came to no
    login.
    """
    proving = client.with_options(*PROOF, "LogLevel=DEBUG1")
    result = proving.attempt("exit", timeout=4 * CONNECT_TIMEOUT)
    taken = _ACCEPTED.findall(result.stderr)
    fingerprint = taken[-1] if taken else None
    if _METHOD.search(result.stderr):
        return Login(succeeded=True, fingerprint=fingerprint)
    error = explain(_without_debugging(result.stderr), alias=client.alias)
    if not isinstance(error, LoginRefusedError):
        raise error
    lists = _METHODS.findall(result.stderr)
    methods = frozenset(lists[0].split(",")) if lists else frozenset()
    keys = frozenset(_OFFERED_KEY.findall(result.stderr))
    return Login(
        succeeded=False,
        fingerprint=fingerprint,
        methods=methods,
        offered=keys,
        second_factor=_PARTIAL.search(result.stderr) is not None,
        refusal=error,
    )


def log_in_with_any(client: Client, keys: Sequence[PublicKey]) -> Login | None:
    """Try the agent's keys a few at a time; return the login that succeeded, if any.

    With many keys in the agent, ssh by itself gets no further than the server's patience.
    """
    with tempfile.TemporaryDirectory(prefix="lab-keys-") as folder:
        files = []
        for number, key in enumerate(keys):
            file = Path(folder) / f"{number}.pub"
            file.write_text(f"{key.line}\n", encoding="ascii")
            file.chmod(0o600)
            files.append(file)
        for start in range(0, len(files), _KEYS_AT_ONCE):
            names = [
                f'IdentityFile="{file.as_posix()}"' for file in files[start : start + _KEYS_AT_ONCE]
            ]
            login = log_in(client.with_options("IdentitiesOnly=yes", *names))
            if login.succeeded:
                return login
    return None


def _without_debugging(stderr: str) -> str:
    """Return ssh's messages without the steps it reports along the way."""
    return "\n".join(line for line in stderr.splitlines() if not line.startswith("debug1: "))
