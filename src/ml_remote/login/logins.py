"""Trying to log in without a password, and finding the key that does it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..errors import InteractiveLoginError, LoginRefusedError, UnreachableError
from ..ssh.agents import fault_of_agent
from ..ssh.client import CONNECT_TIMEOUT, PROOF, Client
from ..ssh.explaining import explain
from ..ssh.ssh_log import ssh_log
from ..ssh.waiting import told_of_waiting
from .certificates import doubt_of_certificates, fault_of_certificates
from .keys import PublicKey

__all__ = ["Login", "log_in", "log_in_one_by_one", "log_in_with_any", "with_key_alone"]

_OFFERED_KEY = re.compile(r"Offering public key: .* (SHA256:\S+)")
_ACCEPTED = re.compile(r"Server accepts key: .* (\S+) (SHA256:\S+)")
_SIGNATURES = re.compile(r"server-sig-algs=<([^>\n]*)>")
_NO_SIGNATURE = "no mutual signature algorithm"
_METHOD = re.compile(r'(?:Authenticated to .* using "|Authentication succeeded \()([a-z-]+)')
_PARTIAL = re.compile(r'Authenticated using "publickey" with partial success')
# What a server that takes no connection sends in the place of its version.
_BANNER_LINE = re.compile(r"^debug1: (?=kex_exchange_identification: banner line )")
_UNSIGNED = re.compile(r"(?m)^(?:sign_and_send_pubkey: )?signing failed for ")
_THROUGH_ANOTHER = "Executing proxy command"
_METHODS = re.compile(r"Authentications that can continue: (\S+)")

# A server gives up after six failed keys unless told otherwise (MaxAuthTries), and the person's own
# configuration may name one or two more.
_KEYS_AT_ONCE = 4
_LOOK_EVERY = 0.1  # seconds between two looks at what ssh reports


@dataclass(frozen=True, kw_only=True)
class Login:
    """How an attempt to log in ended, when the machine answered and its host key is known."""

    succeeded: bool
    fingerprint: str | None = None
    """The fingerprint of the key that the machine takes; None where no key was needed or taken."""
    methods: frozenset[str] = frozenset()
    """What the machine would still have taken, such as `password`, when it failed."""
    certificate: bool = False
    """Whether the machine takes a certificate for that key, and maybe not the key alone."""
    offered: frozenset[str] = frozenset()
    """The fingerprints of the keys that were refused."""
    second_factor: bool = False
    """Whether the key was let in but the machine wants something else as well."""
    refusal: LoginRefusedError | None = None
    fault: LoginRefusedError | None = None
    """Why a certificate was refused, or a key did not sign, where that is known."""
    doubt: LoginRefusedError | None = None
    """Why a certificate was probably refused: what it says of itself, which the machine judges."""
    signatures: frozenset[str] = frozenset()
    """The algorithms that the machine says its keys may sign with; none where it says nothing."""
    only_sha1: bool = False
    """Whether it takes RSA keys with SHA-1 only, which this ssh does not use."""

    @property
    def asks(self) -> bool:
        """Whether every login asks a person: after the key, or because no key counts."""
        return isinstance(self.refusal, InteractiveLoginError)

    @property
    def takes_password(self) -> bool:
        """Whether the machine asks for a password, or for what takes its place there."""
        return not self.methods.isdisjoint({"password", "keyboard-interactive"})


def log_in(client: Client, *, alone: bool = False) -> Login:
    """Log in over a connection of its own, asking nothing, and say how it went.

    A jump host may ask at the terminal, unless it is done `alone`.

    Raises HostKeyUnknownError, HostKeyChangedError or another UnreachableError when it came to no
    login.
    """
    proving = client.with_options(*PROOF, "LogLevel=DEBUG1")
    said, reason, others = _attempt(proving, alone=alone)
    taken = _ACCEPTED.findall(said)
    kind, fingerprint = taken[-1] if taken else ("", None)
    told = _SIGNATURES.findall(said)
    signatures = frozenset(told[-1].split(",")) if told else frozenset()
    certificate = kind.endswith("-CERT")
    if _METHOD.search(said):
        return Login(
            succeeded=True,
            fingerprint=fingerprint,
            certificate=certificate,
            signatures=signatures,
        )
    error = explain(_telling(reason), alias=client.alias, others=others)
    if not isinstance(error, LoginRefusedError):
        raise error
    lists = _METHODS.findall(said)
    methods = frozenset(lists[0].split(",")) if lists else frozenset()
    fault = doubt = None
    if "-CERT SHA256:" in said:
        resolved = client.resolve()
        fault = fault_of_certificates(said, resolved)
        doubt = doubt_of_certificates(said, resolved, alias=client.alias)
    if fault is None and _UNSIGNED.search(said):  # the machine takes the key
        fault = error
    only_sha1 = _NO_SIGNATURE in said
    return Login(
        succeeded=False,
        fingerprint=fingerprint,
        certificate=certificate,
        methods=methods,
        offered=frozenset(_OFFERED_KEY.findall(said)),
        second_factor=_PARTIAL.search(said) is not None,
        refusal=fault or (_too_old(client.alias) if only_sha1 else error),
        fault=fault,
        doubt=doubt,
        signatures=signatures,
        only_sha1=only_sha1,
    )


def _too_old(alias: str) -> LoginRefusedError:
    """Return the error for a machine that takes RSA keys only with SHA-1."""
    return LoginRefusedError(
        f"{alias} accepts RSA keys only with SHA-1, which this ssh no longer uses.",
        hint="Use a key of another type: lab disconnect; then: lab connect --key-type ed25519",
    )


def log_in_one_by_one(client: Client, files: Sequence[Path]) -> Login | None:
    """Try keys one at a time, each over a connection of its own; return the login that succeeded.

    A server that ends a login after the first failed key (MaxAuthTries) sees each of them.
    """
    for file in files:
        login = log_in(with_key_alone(client, file))
        if login.succeeded or login.second_factor:
            return login
    return None


def with_key_alone(client: Client, file: Path) -> Client:
    """Return the client with one key to offer, and no other."""
    name = str(file).replace("%", "%%")
    return client.with_options("IdentitiesOnly=yes", f'IdentityFile="{name}"')


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


def _attempt(client: Client, *, alone: bool) -> tuple[str, str, str]:
    """Return what ssh reports of a login, why it failed, and what others say, such as the server.

    What the login shell does then is not waited for. Raises UnreachableError when nothing comes of
    it within a minute.
    """
    limit = 4 * CONNECT_TIMEOUT
    end = time.monotonic() + limit
    with (
        ssh_log(client.proxy_error) as own,
        processes.running(
            client.command("exit", flags=own.flags),
            input="",
            variables={"SSH_ASKPASS_REQUIRE": "never"} if alone else None,
            discard_output=True,
            own_session=alone,
        ) as program,
        told_of_waiting(client, answered=lambda: _has_answered(own.read(), alone=alone)),
    ):
        while not program.ends_within(_LOOK_EVERY):
            if _METHOD.search(own.read()):
                break
            if time.monotonic() > end:
                fault = fault_of_agent(client.resolve(), alias=client.alias)
                raise fault or UnreachableError(
                    f"{client.alias} did not answer within {limit} seconds.",
                    hint="To find the cause: lab doctor",
                )
        others = program.errors()
        return own.read() or others, own.reason(others), others


def _has_answered(said: str, *, alone: bool) -> bool:
    """Return whether the machine has answered, or another one may be asking at the terminal."""
    return "Remote protocol version" in said or (not alone and _THROUGH_ANOTHER in said)


def _telling(said: str) -> str:
    """Return ssh's messages without the steps it reports along the way."""
    lines = (_BANNER_LINE.sub("", line) for line in said.splitlines())
    return "\n".join(line for line in lines if not line.startswith("debug1: "))
