"""A real second factor: PAM with libpam-google-authenticator, in front of a real OpenSSH server.

PAM's service has the name of the program, so the server runs under a name of its own, with rules
of its own, and those of this computer stay as they are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import accounts
import openssh_server
import pytest
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer

__all__ = [
    "CODE_ALONE",
    "STEP",
    "Site",
    "answering",
    "code_now",
    "code_of",
    "need_second_factor",
    "pam_service",
    "secret_file",
    "site",
]

_SECRET = "JBSWY3DPEHPK3PXP"  # base32
STEP = 30
"""Seconds that a code is for."""
_WINDOW = 21  # codes that are taken, those before and after the present one
_MODULE = "pam_google_authenticator.so"
_PAM = Path("/etc/pam.d")
_RULES = """\
auth [success=1 default=ignore] pam_succeed_if.so quiet user in {with_key}
auth required pam_unix.so
auth required {module}
account required pam_unix.so
session required pam_permit.so
"""
CODE_ALONE = f"""\
auth required {_MODULE} secret={{secret}} user=root no_strict_owner
account required pam_permit.so
session required pam_permit.so
"""
"""PAM's rules for one that asks any account for a code, after the key; `secret` is a file."""


@dataclass(frozen=True)
class Site:
    """A server with two accounts: one takes a key, then a code; one a password, then a code."""

    server: OpenSSHServer
    key_and_code: Account
    password_and_code: Account

    def address(self, account: Account) -> str:
        """Return what a person would type after `ssh`."""
        return f"{account.user}@127.0.0.1:{self.server.port}"

    def log_of(self, start: int) -> str:
        """Return what the server has logged since its log had so many lines."""
        return "\n".join(self.server.log[start:])


def code_now() -> str:
    """Return the code of this moment; it is good for some minutes, and more than once."""
    return code_of(base64.b32decode(_SECRET), int(time.time() // STEP))


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a step, counted since 1970 (RFC 6238)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def need_second_factor() -> None:
    """Skip the test where PAM has no codes, or this is not root."""
    need_root("set PAM up")
    found = [*Path("/lib").glob(f"*/security/{_MODULE}"), *Path("/usr").glob(f"lib*/*/{_MODULE}")]
    if not found:
        pytest.skip(f"needs: {_MODULE} (libpam-google-authenticator)")


def _secret_text() -> str:
    return f'{_SECRET}\n" WINDOW_SIZE {_WINDOW}\n" TOTP_AUTH\n'


def secret_file(folder: Path) -> Path:
    """Write what CODE_ALONE needs into a folder of root's, and return the file."""
    file = folder / "secret"
    file.write_text(_secret_text())
    file.chmod(0o400)
    return file


def ask_for_codes(account: Account) -> None:
    """Make the account be asked for codes."""
    account.write(".google_authenticator", _secret_text(), mode=0o400)


@contextmanager
def pam_service(rules: str) -> Iterator[tuple[str, ...]]:
    """Yield the command that starts a server with its own PAM rules, for `openssh_server`."""
    name = f"sshd-lab{uuid.uuid4().hex[:8]}"
    file = _PAM / name
    with accounts.folder_of_its_own() as folder:
        program = folder / name
        program.symlink_to(need_program("sshd"))
        file.write_text(rules)
        try:
            yield ("sh", "-c", f'shift; exec {program} "$@"', "sh")
        finally:
            file.unlink()


@contextmanager
def site(**options: str) -> Iterator[Site]:
    """Yield a server of both kinds; `options` are further lines of its sshd_config."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(openssh_server.account()) for _ in range(2))
        for account in (first, second):
            ask_for_codes(account)
        rules = _RULES.format(with_key=first.user, module=_MODULE)
        server = stack.enter_context(
            openssh_server.openssh_server(
                first,
                stack.enter_context(pam_service(rules)),
                UsePAM="yes",
                PasswordAuthentication="no",
                KbdInteractiveAuthentication="yes",
                AuthorizedKeysFile=".ssh/authorized_keys",
                AuthenticationMethods="publickey,keyboard-interactive",
                **options,
                Match=f"User {second.user}\n    AuthenticationMethods keyboard-interactive",
            )
        )
        yield Site(server, first, second)


def answering(laptop: Laptop, account: Account) -> dict[str, str]:
    """Return variables that make ssh ask a program, which knows the password and the code."""
    variables = laptop.askpass("")
    Path(variables["SSH_ASKPASS"]).write_text(
        f'#!/bin/sh\necho "$1" >>"{laptop.home}/asked"\n'
        f"case $1 in *assword*) echo {account.password} ;; *) echo {code_now()} ;; esac\n"
    )
    return variables
