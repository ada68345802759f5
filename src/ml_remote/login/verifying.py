"""Verifying that an entry logs in as the person will use it, and restoring if it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import (
    ConfigurationError,
    InteractiveLoginError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)
from ..far.exit_codes import ExitCode
from ..files import read_bytes
from ..ssh.client import Attempt, Client
from ..ssh.explaining import explain
from ..ssh.not_run import command_not_run, is_password_expired
from ..ssh.shared_connection import open_shared
from ..ssh.ssh_config import AppliedPlan, undo
from ..ssh.ssh_directory import made_key_path, pinned_key_path
from ..ui.console import Console
from ..ui.words import counted
from .host_keys import known_hosts_file
from .keys import public_path
from .logins import log_in

__all__ = ["Before", "verify_login", "verify_shared_login"]

_FRESH = ("-o", "ControlPath=none")


@dataclass
class Before:
    """The state before `lab connect` (keys, known hosts), and what changed since."""

    files: dict[Path, bytes | None]
    written: list[AppliedPlan] = field(default_factory=list)
    """What was written into the configuration since, in its order."""
    fault: LoginRefusedError | None = None
    """Why no login can work, where that is known already."""
    copied: int = 0
    """How many lines were added to the machine's file of keys; they are not taken back."""

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
        for applied in reversed(self.written):
            undo(applied)


def verify_login(client: Client, console: Console, before: Before, *, written: bool) -> None:
    """Log in as `ssh ALIAS` does: afresh, then sharing a connection, then over the shared one.

    If that fails and something was `written`, what was there before is restored. Raises
    InteractiveLoginError where a person is asked as well, LoginRefusedError, or another
    UnreachableError.
    """
    try:
        if before.fault is not None:
            raise before.fault
        for flags in (_FRESH, (), ()):
            _verify_once(client, flags)
    except InteractiveLoginError:
        raise  # the key is taken, and something else is asked for: nothing is taken back
    except (UnreachableError, ConfigurationError) as error:
        if written:
            raise _restored(error, before, console) from None
        raise


def verify_shared_login(client: Client) -> None:
    """Open the connection that commands share, and run something over it as `ssh ALIAS` does.

    Raises InteractiveLoginError where nobody can be asked, and LabError where the login fails.
    """
    open_shared(client)
    result = client.prove()
    if is_password_expired(result):
        raise command_not_run(client, result)
    if result.returncode == ExitCode.SSH or result.returncode < 0:
        raise _as_configured(result, client)


def _verify_once(client: Client, flags: Sequence[str]) -> None:
    """Log in once as `ssh ALIAS` does. Raises LabError where that is refused, or runs nothing."""
    try:
        result = client.prove(*flags)
    except UnreachableError:
        _explain_refusal(client)
        raise command_not_run(client, None) from None
    if is_password_expired(result):
        raise command_not_run(client, result)
    # Any other exit code is that of the last command in a start-up file there: ssh logged in.
    if result.returncode == ExitCode.SSH or result.returncode < 0:
        _explain_refusal(client)
        raise _as_configured(result, client)


def _explain_refusal(client: Client) -> None:
    """Raise LoginRefusedError if a login with options of our own is refused as well."""
    login = log_in(client)
    if login.asks and login.refusal is not None:
        raise login.refusal
    if login.refusal is not None:
        raise LoginRefusedError(
            f"{client.alias} still refuses the login: {login.refusal.message}",
            hint=login.fault.hint
            if login.fault
            else "Often ~ or ~/.ssh on the machine is writable by others (chmod go-w), or its "
            "home directory is not mounted. To find out more: lab doctor",
        )


def _as_configured(result: Attempt, client: Client) -> LabError:
    """Return the error for an `ssh ALIAS` that does not log in, although our own logins do."""
    error = explain(result.stderr, alias=client.alias, others=result.others)
    return LoginRefusedError(
        f"`ssh {client.alias}` does not log in with your configuration: {error.message}",
        hint=error.hint,
        quoted=error.quoted,
    )


def _restored(error: LabError, before: Before, console: Console) -> LabError:
    """Restore what was there, and return the error that says so."""
    try:
        before.restore()
    except (OSError, LabError) as fault:
        console.warn(f"The previous files could not be restored: {fault}")
        return error
    error.message += " The previous entry, keys and known_hosts were restored."
    if before.copied:
        lines = counted(before.copied, "copied line")
        error.message += f" Still in ~/.ssh/authorized_keys on the machine: {lines}."
    error.args = (error.message,)
    return error
