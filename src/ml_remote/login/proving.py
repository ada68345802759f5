"""The proof of an entry, as the person will use it, and the way back where it does not log in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError, LabError, LoginRefusedError, UnreachableError
from ..files import read_bytes
from ..processes import Result
from ..ssh.client import Client
from ..ssh.explaining import explain
from ..ssh.ssh_config import AppliedPlan, undo
from ..ssh.ssh_directory import made_key_path, pinned_key_path
from ..ui.console import Console
from .host_keys import known_hosts_file
from .keys import public_path
from .logins import log_in

__all__ = ["Before", "prove"]

_FRESH = ("-o", "ControlPath=none")


@dataclass
class Before:
    """What was there before `lab connect`: keys and known hosts, and later what was written."""

    files: dict[Path, bytes | None]
    entry: AppliedPlan | None = None

    @classmethod
    def of(cls, alias: str, client: Client) -> Before:
        """Return what is there for an alias now."""
        key = made_key_path(alias, client.directory)
        paths = [key, public_path(key), pinned_key_path(alias, client.directory)]
        known = known_hosts_file(client.resolve())
        paths += [known] if known is not None else []
        return cls(files={path: read_bytes(path) for path in paths})

    def restore(self) -> None:
        """Put everything back. Raises OSError, or LabError when the entry cannot be restored."""
        for path, content in self.files.items():
            now = read_bytes(path)
            if now == content:
                continue
            if content is None:
                path.unlink()
            elif now is None or now.startswith(content) or path.suffix == ".pub":
                path.write_bytes(content)
        if self.entry is not None:
            undo(self.entry)


def prove(client: Client, console: Console, before: Before, *, written: bool) -> None:
    """Log in as `ssh ALIAS` does: afresh, then sharing a connection, then over the shared one.

    If that fails and something was `written`, what was there before is restored. Raises
    LoginRefusedError, or another UnreachableError.
    """
    try:
        _check_login(client)
        for flags in (_FRESH, (), ()):
            _check(client.prove(*flags), client)
    except _SecondFactorError as error:
        raise LoginRefusedError(error.message, hint=error.hint) from None
    except (UnreachableError, ConfigurationError) as error:
        if written:
            raise _restored(error, before, console) from None
        raise


class _SecondFactorError(LoginRefusedError):
    """The key is taken, and something else is asked for at every login: nothing is taken back."""


def _check_login(client: Client) -> None:
    """Log in over a connection of its own, asking nothing, to know why where it fails."""
    login = log_in(client)
    if login.second_factor:
        raise _SecondFactorError(
            f"{client.alias} takes the key but asks for a second factor as well, at every login.",
            hint=f"Log in by hand: ssh {client.alias}; then, within ten minutes: lab up --no-code, "
            "which shares that connection",
        )
    if login.refusal is not None:
        raise LoginRefusedError(
            f"{client.alias} still refuses the login: {login.refusal.message}",
            hint=login.fault.hint
            if login.fault
            else "Often ~ or ~/.ssh on the machine is writable for others (chmod go-w), or its "
            "home directory is not mounted. See more: lab doctor",
        )


def _check(result: Result, client: Client) -> None:
    """Raise the error that says why `ssh ALIAS` did not log in, if it did not."""
    if result.returncode == 0:
        return
    error = explain(result.stderr, alias=client.alias)
    raise type(error)(
        f"`ssh {client.alias}` does not log in as your configuration has it: {error.message}",
        hint=error.hint,
        quoted=error.quoted,
    )


def _restored(error: LabError, before: Before, console: Console) -> LabError:
    """Restore what was there, and return the error that says so."""
    try:
        before.restore()
    except (OSError, LabError) as fault:
        console.warn(f"What was there before could not be restored: {fault}")
        return error
    error.message += " What was there before is restored: the entry, the keys, and known_hosts."
    error.args = (error.message,)
    return error
