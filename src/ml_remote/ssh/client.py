"""Running ssh: how every command of ours reaches the remote machine.

The remote machine is always named by its alias, so that ssh's own configuration decides how to get
there. Commands go to the remote shell quoted so that sh, bash, zsh, fish and csh read them alike;
scripts go through standard input to a plain `sh`, where nothing needs quoting at all.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import processes
from ..errors import (
    InteractiveLoginError,
    LabError,
    LoginRefusedError,
    RemoteCommandError,
    UnreachableError,
)
from ..far.exit_codes import ExitCode
from ..processes import Result
from .agents import fault_of_agent
from .certificate_times import expired_certificate
from .config_query import SECONDS, query
from .explaining import explain, recognise
from .forwards import close_left_behind
from .not_run import command_not_run
from .proxy_errors import proxy_error
from .settings_at_fault import fault_of_settings
from .shared_connection import (
    can_ask,
    control_command,
    control_socket,
    note_that_it_answers,
    prepare,
    reopen,
)
from .ssh_directory import shown_options, ssh_directory, ssh_options
from .ssh_log import ssh_log
from .waiting import LISTENS, told_of_waiting, without_marks

__all__ = [
    "CONNECT_TIMEOUT",
    "PROOF",
    "SCRIPT_BEGINS",
    "SCRIPT_COMMAND",
    "Attempt",
    "Client",
    "quote",
    "script_input",
]

CONNECT_TIMEOUT = 15
"""Seconds until a machine that does not answer counts as unreachable."""

SCRIPT_BEGINS = "== lab ==\n"
"""What a script prints first: what comes before it is the login shell's, such as a `.bashrc`.

It also proves that the command ran: a shell that repeats what it reads does not print it.
"""

_FIRST_LINE = ": lab"
SCRIPT_COMMAND = (
    "sh",
    "-c",
    f'read -r lab; [ "$lab" = "{_FIRST_LINE}" ] || exit {ExitCode.NOT_RUN:d}; exec sh -s lab',
)
"""What runs a script that comes as its input, unless a start-up file has read a part of it."""

# What a person may have set for every host, and what would start something else than is wanted.
_NOTHING_ELSE = (
    f"ConnectTimeout={CONNECT_TIMEOUT}",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "LogLevel=INFO",
)
# The same for a command that is run by a program.
_PLAIN = (
    *_NOTHING_ELSE,
    # A connection that others share ends, too, when nobody answers any more.
    "ServerAliveInterval=30",
    "ServerAliveCountMax=4",
    # `lab connect` has pinned the host key; one that is not known, or not the same, stops
    # everything.
    "StrictHostKeyChecking=yes",
)

# What a login consists of besides logging in: nothing is asked, and nothing else is started.
_LOGIN_ALONE = ("BatchMode=yes", *_NOTHING_ELSE)

_PLAIN_WORD = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]*")

PROOF = ("ControlPath=none", "BatchMode=yes")
"""Options for a login of its own that asks nothing: what proves that a login needs no password."""


@dataclass(frozen=True, kw_only=True)
class Attempt(Result):
    """The result of running ssh; if ssh itself failed, `stderr` is its own message."""

    others: str = ""
    """What the server, or a jump host, said beside ssh's own words."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One remote machine, reached by its alias."""

    alias: str
    directory: Path = field(default_factory=ssh_directory)
    """The directory with the SSH configuration: `~/.ssh` or LAB_SSH_DIR."""
    options: tuple[str, ...] = ()
    """Further options, as Keyword=value; they come before whatever the configuration says."""

    def with_options(self, *options: str) -> Client:
        """Return the same machine, reached with further options; the first value given wins."""
        return replace(self, options=(*options, *self.options))

    @property
    def _names_key(self) -> bool:
        return any(option.startswith("IdentityFile") for option in self.options)

    def _configuration(self) -> list[str]:
        return ssh_options(self.directory, default_keys=not self._names_key)

    def command(self, *words: str, flags: Sequence[str] = ()) -> list[str]:
        """Return the argv of ssh that runs `words` on the machine, each of them one argument there.

        What a person may have set for every host and what would break a program (RemoteCommand,
        RequestTTY, forwardings...) is set back. `flags` are further arguments of ssh.
        """
        options = [part for option in (*self.options, *_PLAIN) for part in ("-o", option)]
        remote = [" ".join(map(_word, words))] if words else []
        return ["ssh", *self._configuration(), *options, *flags, "--", self.alias, *remote]

    def prove(self, *flags: str) -> Attempt:
        """Log in as the person's own `ssh ALIAS` would, asking nothing, and return what came of it.

        Only what runs then is set, nothing that decides how to log in; `flags` are further
        arguments of ssh. Raises UnreachableError after a minute.
        """
        options = [part for option in _LOGIN_ALONE for part in ("-o", option)]
        command = ["ssh", *self._configuration(), *options, *flags]
        try:
            return self._attempt(
                lambda own: [*command, *own, "--", self.alias, "exit"],
                timeout=4 * CONNECT_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"`ssh {self.alias}` did not finish within a minute.") from None

    def run(
        self,
        *words: str,
        input: str = "",
        timeout: float | None = 60,
        interactive: bool = False,
        check: bool = True,
    ) -> Result:
        """Run a command on the machine and return what it printed.

        `timeout` is in seconds. ssh asks for passwords only when `interactive` is set. With `check`
        a failing remote command raises RemoteCommandError; when the machine cannot be reached
        UnreachableError is raised either way, or one of its subclasses.
        """
        result = self.attempt(*words, input=input, timeout=timeout, interactive=interactive)
        if result.returncode == ExitCode.SSH:
            raise self._explained(result)
        if result.returncode < 0:  # as by Ctrl-C; nothing on the machine is the reason
            raise UnreachableError(f"ssh to {self.alias} was ended on this computer.")
        if check and result.returncode != 0:
            raise self._failed(words[0] if words else "ssh", result)
        return result

    def _explained(self, result: Attempt) -> LabError:
        """Return the error that says why ssh failed; what a certificate tells comes with it."""
        error = explain(result.stderr, alias=self.alias, others=result.others)
        if type(error) is not LoginRefusedError:
            return error
        expired = expired_certificate(self.resolve())
        if expired is None:
            return error
        return LoginRefusedError(
            f"{error.message} {expired}",
            hint="Get a new one the way you got the last one; then run the command again",
            quoted=error.quoted,
        )

    def _failed(self, program: str, result: Result) -> RemoteCommandError:
        said = result.stderr.strip() or result.stdout.strip() or "it printed nothing"
        return RemoteCommandError(
            f"On {self.alias}, {program} ended with exit code {result.returncode}: {said}",
            quoted=(said,),
        )

    def attempt(
        self,
        *words: str,
        input: str = "",
        timeout: float | None = 60,
        interactive: bool = False,
    ) -> Attempt:
        """Run a command on the machine and return what came of it, ssh's own failures too.

        Where every login asks a person, the shared connection is opened first, or once that is
        seen. Raises UnreachableError after `timeout` seconds, and LabError where that fails.
        """
        if interactive or not self._shares:
            return self._attempt_once(*words, input=input, timeout=timeout, interactive=interactive)
        self.get_ready()
        done = self._attempt_once(*words, input=input, timeout=timeout)
        if done.returncode != ExitCode.SSH:
            note_that_it_answers(self)
            return done
        if not can_ask():
            return done
        if not isinstance(recognise(done.stderr, alias=self.alias), InteractiveLoginError):
            return done
        reopen(self)
        return self._attempt_once(*words, input=input, timeout=timeout)

    def get_ready(self) -> None:
        """Prepare for a program that uses the shared connection; see `attempt`.

        Raises LabError where every login asks a person, and that connection could not be opened.
        """
        if self._shares:
            close_left_behind()
            prepare(self)

    @property
    def _shares(self) -> bool:
        """Whether it may use a shared connection, by the options that it was given."""
        return not any(option.startswith("ControlPath=") for option in self.options)

    def _attempt_once(
        self, *words: str, input: str, timeout: float | None, interactive: bool = False
    ) -> Attempt:
        client = self if interactive else self.with_options("BatchMode=yes")
        try:
            if interactive:  # what ssh says while it asks is shown
                done = processes.run(
                    client.command(*words), input=input, timeout=timeout, echo_errors=True
                )
                return Attempt(**vars(done))
            return self._attempt(
                lambda own: client.command(*words, flags=own), input=input, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            resolved = self.resolve()
            setting = fault_of_settings(resolved, alias=self.alias)
            fault = setting or fault_of_agent(resolved, alias=self.alias)
            raise fault or UnreachableError(
                f"{self.alias} did not answer within {timeout:g} seconds.",
                hint="To find the cause: lab doctor",
            ) from None

    def _attempt(
        self,
        command: Callable[[Sequence[str]], list[str]],
        *,
        input: str = "",
        timeout: float | None,
    ) -> Attempt:
        """Run ssh, by the command with the arguments that have it write its own words into a file.

        Raises subprocess.TimeoutExpired.
        """
        with (
            ssh_log(self.proxy_error) as own,
            processes.running(command(own.flags)) as program,
        ):
            with told_of_waiting(self, answered=lambda: program.has_printed, errors=program.errors):
                done = program.result(input, timeout=timeout)
            done = replace(done, stderr=without_marks(done.stderr))
            if done.returncode != ExitCode.SSH:
                return Attempt(**vars(done))
            reason = own.reason(done.stderr)
            return Attempt(**{**vars(done), "stderr": reason}, others=done.stderr)

    def proxy_error(self) -> str | None:
        """Return what an ssh on the way to the machine says of its failure; see proxy_errors.py."""
        try:
            configuration = shown_options(self.directory)
            return proxy_error(self.resolve(), configuration)
        except LabError:
            return None

    def run_script(
        self,
        script: str,
        *arguments: str,
        timeout: float | None = 60,
        interactive: bool = False,
        check: bool = True,
    ) -> Result:
        """Run a POSIX shell script on the machine, `arguments` as its $1, $2...; see `run`.

        It goes through standard input, so the person's login shell never reads a word of it. The
        script's own commands have an empty standard input. Raises CommandNotRunError when the login
        shell did something else than to run it.
        """
        text = script_input(f"{LISTENS}{script}", *arguments)
        result = self.run(
            *SCRIPT_COMMAND, input=text, timeout=timeout, interactive=interactive, check=False
        )
        if SCRIPT_BEGINS not in result.stdout:
            raise command_not_run(self, result)
        result = replace(result, stdout=result.stdout.rpartition(SCRIPT_BEGINS)[2])
        if check and result.returncode != 0:
            raise self._failed("sh", result)
        return result

    def noise(self) -> str:
        """Return what the login shell prints where a command prints nothing; see `run`."""
        return self.run("sh", "-c", ":", check=False).stdout

    def resolve(self) -> dict[str, list[str]]:
        """Return what ssh makes of the alias (`ssh -G`): lower-case keywords, the values of each.

        No command of the configuration runs: its `Match exec` lines hold for no host. Raises
        ConfigurationError in ssh's words when the configuration cannot be read.
        """
        options = [part for option in self.options for part in ("-o", option)]
        values, result = query(
            self.alias, self.directory, options, default_keys=not self._names_key
        )
        if result.returncode != 0:
            raise explain(result.stderr, alias=self.alias)
        return values

    @property
    def is_configured(self) -> bool:
        """Whether the SSH configuration leads the alias to a machine. Raises ConfigurationError."""
        resolved = self.resolve()
        return resolved["hostname"] != [self.alias] or "proxycommand" in resolved

    def close(self) -> None:
        """End the shared connection, if there is one."""
        socket = control_socket(self)
        if socket is None or not socket.exists():
            return
        with suppress(subprocess.TimeoutExpired):
            processes.run(control_command(socket, "exit"), timeout=SECONDS)
        socket.unlink(missing_ok=True)  # the other process may be a moment later


def script_input(script: str, *arguments: str, before: str = "") -> str:
    """Return what to write into SCRIPT_COMMAND so that it runs a script, `arguments` as $1, $2...

    It prints SCRIPT_BEGINS first. `before` is a command that is run before that, while standard
    input is not empty yet. Another shell that reads this in the place of `sh` runs none of it.
    """
    lines = [
        _FIRST_LINE,
        f'[ "${{1-}}" = lab ] || exit {ExitCode.NOT_RUN:d}',
        before,
        # sh reads the braces to their end before it runs anything: no command can eat the script.
        "{",
        "printf '== %s ==\\n' \"$1\"",
        f"set -- {shlex.join(arguments)}",
        script,
        "} </dev/null",
    ]
    return "".join(f"{line}\n" for line in lines)


def _word(word: str) -> str:
    """Return a word for the login shell; a plain one as it is, for nushell prints a quoted one."""
    return word if _PLAIN_WORD.fullmatch(word) else quote(word)


def quote(word: str) -> str:
    r"""Quote one word so that sh, bash, zsh, fish and csh all read it as it is.

    Between single quotes fish still reads backslashes and csh still reads `!`, so both are
    outside of them, escaped. Raises ValueError for a line break, which csh cannot take: use
    run_script.
    """
    if "\n" in word or "\r" in word or "\0" in word:
        raise ValueError(f"{word!r} holds a line break")
    return "'" + re.sub(r"([\\'!])", r"'\\\1'", word) + "'"
