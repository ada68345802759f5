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
    ConfigurationError,
    RemoteCommandError,
    UnreachableError,
)
from ..far.exit_codes import ExitCode
from ..processes import Result
from .agents import fault_of_agent
from .configuration import expanded
from .explaining import explain
from .not_run import command_not_run
from .own_words import own_words
from .ssh_directory import ssh_directory, ssh_options

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

# What a person may have set for every host, and what would break a command run by a program.
_PLAIN = (
    f"ConnectTimeout={CONNECT_TIMEOUT}",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "LogLevel=INFO",
    # A connection that others share ends, too, when nobody answers any more.
    "ServerAliveInterval=30",
    "ServerAliveCountMax=4",
    # `lab connect` has pinned the host key; one that is not known, or not the same, stops
    # everything.
    "StrictHostKeyChecking=yes",
)

# What a login consists of besides logging in: nothing is asked, and nothing else is started.
_LOGIN_ALONE = (
    "BatchMode=yes",
    f"ConnectTimeout={CONNECT_TIMEOUT}",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "LogLevel=INFO",
)

_PLAIN_WORD = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]*")

PROOF = ("ControlPath=none", "BatchMode=yes")
"""Options for a login of its own that asks nothing: what proves that a login needs no password."""


@dataclass(frozen=True, kw_only=True)
class Attempt(Result):
    """What came of running ssh; where ssh itself failed, `stderr` is what it said of that."""

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

    def _configuration(self) -> list[str]:
        names_key = any(option.startswith("IdentityFile") for option in self.options)
        return ssh_options(self.directory, default_keys=not names_key)

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
            return _attempt(
                lambda own: [*command, *own, "--", self.alias, "exit"],
                timeout=4 * CONNECT_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"`ssh {self.alias}` did not end within a minute.") from None

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
            raise explain(result.stderr, alias=self.alias, others=result.others)
        if check and result.returncode != 0:
            raise self._failed(words[0] if words else "ssh", result)
        return result

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

        Raises UnreachableError after `timeout` seconds.
        """
        client = self if interactive else self.with_options("BatchMode=yes")
        try:
            if interactive:  # what ssh says while it asks is shown
                done = processes.run(
                    client.command(*words), input=input, timeout=timeout, echo_errors=True
                )
                return Attempt(**vars(done))
            return _attempt(
                lambda own: client.command(*words, flags=own), input=input, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            fault = fault_of_agent(self.resolve(), alias=self.alias)
            raise fault or UnreachableError(
                f"{self.alias} did not answer within {timeout:g} seconds.",
                hint="See what is wrong: lab doctor",
            ) from None

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
        text = script_input(script, *arguments)
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

        Raises ConfigurationError in ssh's words when the configuration cannot be read.
        """
        options = [part for option in self.options for part in ("-o", option)]
        command = ["ssh", *self._configuration(), *options, "-G", "--", self.alias]
        try:
            result = processes.run(command, timeout=10)
        except subprocess.TimeoutExpired:
            raise ConfigurationError(
                "ssh took more than 10 seconds to read your configuration.",
                hint=f"Look for a slow `Match exec` line in {self.directory / 'config'}",
            ) from None
        if result.returncode != 0:
            raise explain(result.stderr, alias=self.alias)
        values: dict[str, list[str]] = {}
        for line in result.stdout.splitlines():
            keyword, _, value = line.partition(" ")
            values.setdefault(keyword, []).append(value)
        return values

    @property
    def is_configured(self) -> bool:
        """Whether the SSH configuration leads the alias to a machine. Raises ConfigurationError."""
        resolved = self.resolve()
        return resolved["hostname"] != [self.alias] or "proxycommand" in resolved

    def close(self) -> None:
        """End the shared connection, if there is one."""
        (path, *_) = self.resolve().get("controlpath", ["none"])
        socket = expanded(path)
        if path == "none" or not socket.exists():
            return
        options = [part for option in self.options for part in ("-o", option)]
        flags = [*self._configuration(), *options, "-O", "exit"]
        command = ["ssh", *flags, "--", self.alias]
        with suppress(subprocess.TimeoutExpired):
            processes.run(command, timeout=10)
        socket.unlink(missing_ok=True)  # the other process may be a moment later


def _attempt(
    command: Callable[[Sequence[str]], list[str]], *, input: str = "", timeout: float | None
) -> Attempt:
    """Run ssh, by the command with the arguments that have it write its own words into a file.

    Raises subprocess.TimeoutExpired.
    """
    with own_words() as own:
        done = processes.run(command(own.flags), input=input, timeout=timeout)
        if done.returncode != ExitCode.SSH:
            return Attempt(**vars(done))
        reason = own.reason(done.stderr)
        return Attempt(**{**vars(done), "stderr": reason}, others=done.stderr)


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
    r"""Quote one word so that sh, bash, zsh, fish and csh all read it as it stands.

    Between single quotes fish still reads backslashes and csh still reads `!`, so both stand
    outside of them, escaped. Raises ValueError for a line break, which csh cannot take: use
    run_script.
    """
    if "\n" in word or "\r" in word or "\0" in word:
        raise ValueError(f"{word!r} holds a line break")
    return "'" + re.sub(r"([\\'!])", r"'\\\1'", word) + "'"
