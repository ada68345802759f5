"""What OpenSSH's messages mean, in a sentence, and the command that mends it.

Standard error of ssh is not only ssh's: a server's banner, what a command there printed, and what a
ProxyCommand said are in it, too. So a message counts only as a line of the form that ssh gives it,
and only where ssh itself failed, which whoever calls this has seen from its exit code.
"""

from __future__ import annotations

import os
import re
import shlex
import socket

from ..errors import (
    ConfigurationError,
    HostKeyChangedError,
    HostKeyUnknownError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)
from ..ui.text import in_one_line
from .proxy_programs import missing_program, where_it_is_named

__all__ = ["NOISE", "explain", "recognise"]

NOISE = re.compile(
    r"debug[123]: |\*\* |Warning: Permanently added |Warning: the .* host key for |"
    r"ControlSocket .* already exists|.* line \d+: (?:Deprecated|Unsupported) option |"
    r"Authenticated to |Connected to \S+$|Transferred: |Bytes per second: "
)
"""Lines of ssh's that say nothing about why it failed."""


def explain(stderr: str, *, alias: str) -> LabError:
    """Return the error that says in words what ssh's standard error means.

    A message that is not known is passed on as ssh wrote it.
    """
    known = recognise(stderr, alias=alias)
    if known is not None:
        return known
    lines = [line for line in stderr.splitlines() if line.strip() and not NOISE.match(line)]
    said = f"ssh said: {lines[-1].strip()}" if lines else "ssh gave no reason"
    return UnreachableError(
        f"The connection to {alias} failed; {said}",
        hint=f"See every step of it: ssh -v {alias}",
        quoted=(lines[-1].strip(),) if lines else (),
    )


def recognise(stderr: str, *, alias: str) -> LabError | None:
    """Return the error that a message of ssh's stands for, if one that is known is in `stderr`."""
    place = _remote_side()
    if place and re.search(rf"(?im)^ssh: Could not resolve hostname {re.escape(alias)}:", stderr):
        return UnreachableError(
            f"This terminal is {place}, where no machine is called {alias}. `lab` belongs on the "
            "laptop; what it reaches from there is at hand here.",
            hint="In VS Code: Terminal > Run Task... In a terminal: .venv/bin/python",
        )
    stderr = "\n".join(line for line in _shortened(stderr).split("\n") if not NOISE.match(line))
    program = missing_program(stderr)
    if program is not None:
        return _without_program(program, alias=alias)
    for pattern, error, sentence, hint in _TABLE:
        found = re.search(pattern, stderr, re.MULTILINE)
        if found:
            words = {name: in_one_line(text or "") for name, text in found.groupdict().items()}
            in_command = {name: _in_command(name, text) for name, text in words.items()}
            return error(
                sentence.format_map({**words, "alias": alias}),
                hint=hint.format_map({**in_command, "alias": alias}),
            )
    return None


def _without_program(program: str, *, alias: str) -> LabError:
    """Return the error for a ProxyCommand whose program is not on this computer."""
    where = where_it_is_named(program)
    return ConfigurationError(
        f"The way to {alias} needs the program {program} (ProxyCommand in {where}), which is not "
        "installed on this computer, or not on your PATH.",
        hint="Install it, or correct the ProxyCommand",
        quoted=(program,),
    )


def _shortened(text: str) -> str:
    """Return the beginning and the end of a text that is too long to be a message of ssh's."""
    return text if len(text) <= 2 * _PART else f"{text[:_PART]}\n{text[-_PART:]}"


def _in_command(name: str, text: str) -> str:
    """Return a value as a word of a command: what may come from the machine runs nothing.

    A banner can look like a message of ssh's. What cannot be a path, host or number becomes the
    name of what to put there, such as FILE.
    """
    pattern = _VALUES.get(name)
    if pattern is None or not re.fullmatch(pattern, text):
        return name.upper()
    return shlex.quote(text)


_PART = 8192  # characters
_VALUES = {
    "file": r"(?!-)[^\x00-\x1f\x7f\"'`$\\;&|<>*?!(){}]{1,1000}",
    "line": r"[0-9]{1,9}",
    "name": r"(?!-)[\w.:\[\]-]{1,300}",
}
"""What a value in a hint may consist of."""

_ADDRESS = r"^ssh: connect to (?:host|address) (?P<host>\S+) port (?P<port>\d+)"

# A file that ssh reads, and what it finds wrong there; bash's messages have the same beginning.
_FILE = r"(?P<file>command-line|(?:~|/|[A-Za-z]:[\\/]).{0,900}?(?<!sh))"
_FAULT = (
    r"(?=.*\b(?i:bad|invalid|missing|unsupported|too many|extra arguments|garbage|empty|argument|"
    r"keyword|unterminated|unrecogni[sz]ed|error in|unknown|no such user|option|unable)\b)"
    r"(?!.*(?:not found|syntax error|No such file or directory)$).*[^\s.]"
)

_NEGOTIATE = r"^Unable to negotiate with .*: no matching"

_CHANGED = (
    "The host key of {alias} is not the one it had before. Either the machine was set up anew, "
    "or another machine answers in its place and would see everything you type. Nothing was "
    "sent."
)

# (the message, the error it becomes, the sentence, what to do); an earlier one wins, so causes
# stand before their consequences. The sentences may name the pattern's groups, and {alias}.
_TABLE: tuple[tuple[str, type[LabError], str, str], ...] = (
    # The configuration
    (
        rf"(?i)^{_FILE}:? line (?P<line>\d+): Bad configuration option: usekeychain",
        ConfigurationError,
        "{file}, line {line}, says UseKeychain, which only the ssh of macOS knows; any other ssh "
        "stops at it, for every host.",
        "Add above that line: IgnoreUnknown UseKeychain",
    ),
    (
        rf"^{_FILE}:? line (?P<line>\d+): (?P<fault>{_FAULT})",
        ConfigurationError,
        "ssh cannot read line {line} of {file}: {fault}. Until that is mended, ssh works for no "
        "host.",
        "Open {file} and mend line {line}",
    ),
    (
        r"^Bad owner or permissions on (?P<file>.+)$",
        ConfigurationError,
        "ssh refuses {file} because others may write to it.",
        "chmod go-w {file}",
    ),
    (
        r"^Can't open user config file (?P<file>.+?):",
        ConfigurationError,
        "There is no {file}.",
        "lab connect user@address",
    ),
    (
        r"^(?:ControlPath too long|(?:unix_listener: (?:path )?|ControlPath )\".*\" too long for )",
        ConfigurationError,
        "The path of ssh's control socket is too long for this system (about 100 bytes).",
        "Set LAB_SSH_DIR to a directory with a shorter path",
    ),
    # The host key
    (
        r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED"
        r"[\s\S]{0,1500}?key in (?P<file>.{1,500}):\d+"
        r"[\s\S]{0,800}?Host key for (?P<name>\S{1,300}) has changed",
        HostKeyChangedError,
        _CHANGED,
        "Ask whoever runs the machine. Only if the change is explained, forget the old key: "
        "ssh-keygen -R {name} -f {file}; then: lab connect",
    ),
    (
        r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED",
        HostKeyChangedError,
        _CHANGED,
        "Ask whoever runs the machine. Only if the change is explained, forget the old key: "
        "ssh-keygen -R NAME; then: lab connect",
    ),
    (
        r"^(?:No (?P<kind>\S+) host key is known for (?P<host>\S+)|Host key verification failed)",
        HostKeyUnknownError,
        "The host key of {alias}, or of a jump host on the way, is not known yet.",
        "lab connect",
    ),
    (
        rf"{_NEGOTIATE} host key type found\. Their offer: (?P<offer>.*\S)",
        UnreachableError,
        "{alias} is so old that it only offers host keys this ssh no longer trusts ({offer}).",
        "Update its OpenSSH server; or, knowing the risk, set HostKeyAlgorithms for it yourself",
    ),
    (
        rf"{_NEGOTIATE} (?P<what>.+?) found\. Their offer: (?P<offer>.*\S)",
        UnreachableError,
        "{alias} and this ssh have no {what} in common (it offers {offer}).",
        "Update OpenSSH on the older of the two machines",
    ),
    # The way there
    (
        r"(?i)^ssh: Could not resolve hostname (?P<host>\S+): Temporary failure",
        UnreachableError,
        "The name {host} could not be looked up: this computer seems to be offline.",
        "Connect to the network (or the VPN), then try again",
    ),
    (
        r"(?i)^ssh: Could not resolve hostname (?P<host>[^\s:]+): ",
        UnreachableError,
        "No machine called {host} is known here.",
        "Look for a typing error, join the network or VPN that knows the name, or use the IP "
        "address: lab connect user@address",
    ),
    (
        _ADDRESS + r": Connection refused",
        UnreachableError,
        "{host} is there, but nothing listens on its port {port}: no SSH server runs, or it uses "
        "another port.",
        "Start it there (Debian and Ubuntu: sudo systemctl enable --now ssh), or: lab connect "
        "user@address:port",
    ),
    (
        _ADDRESS + r": (?:Connection|Operation) timed out",
        UnreachableError,
        "{host} does not answer on port {port}: it is off, asleep, behind a firewall, or only to "
        "be reached through a VPN or a jump host.",
        "See that the machine is on and that you are in its network; through another machine: lab "
        "connect --jump user@gateway user@address",
    ),
    (
        _ADDRESS + r": (?P<fault>No route to host|Network is unreachable|Host is down)",
        UnreachableError,
        "There is no way to {host} from this network ({fault}).",
        "Join its network or VPN; through another machine: lab connect --jump user@gateway "
        "user@address",
    ),
    (
        r"^(?:banner exchange: .*invalid format|Bad packet length|Protocol mismatch|"
        r"kex_exchange_identification: banner line contains invalid)",
        UnreachableError,
        "Something answers at {alias}, but it is not an SSH server. The port is probably wrong.",
        "lab connect user@address:port",
    ),
    (
        r"^(?:stdio forwarding failed|Connection (?:closed|reset) by UNKNOWN port 65535)",
        UnreachableError,
        "The jump host could not be passed: it refused the login, or cannot reach the machine.",
        "Try the jump host alone: ssh user@gateway",
    ),
    (
        r"^(?:Connection timed out during banner exchange|(?:kex|ssh)_exchange_identification: |"
        r"(?:Read from socket failed: )?Connection reset by |Connection closed by \S+ port )",
        UnreachableError,
        "{alias} took the connection and dropped it at once. It may be overloaded, shutting down, "
        "or have barred this address after failed logins.",
        "Wait a minute, then: lab doctor",
    ),
    # The login
    (
        r"^(?:Received disconnect from \S+ .*|Disconnecting:? .*)?Too many authentication failures",
        LoginRefusedError,
        "{alias} ended the login because too many keys were offered: every key of your agent "
        "counts as an attempt.",
        "lab connect chooses one key for this machine; or name it: lab connect --identity PATH",
    ),
    (
        r"^Permissions (?P<mode>\d+) for '(?P<file>[^']+)' are too open",
        LoginRefusedError,
        "ssh does not use the key {file}, because others on this computer may read it.",
        "chmod 600 {file}",
    ),
    (
        r"^Load key \"(?P<file>[^\"]+)\": (?P<fault>invalid format|error in libcrypto)",
        LoginRefusedError,
        "The key {file} cannot be read: it is damaged, or its line endings were changed.",
        "Restore it, or make a new one: lab connect --key-type ed25519",
    ),
    (
        r"^sign_and_send_pubkey: .*agent refused operation",
        LoginRefusedError,
        "The agent has the key for {alias} but did not sign with it: it is locked, or the "
        "question it asked was not answered.",
        "Unlock the agent (or touch the security key), then try again",
    ),
    (
        r"^(?:[^\s:]+: )?Permission denied \((?P<methods>[A-Za-z0-9@.,+ _-]*)\)\.$",
        LoginRefusedError,
        "{alias} refused the login. It takes: {methods}.",
        "lab connect copies a key there; if the user name is wrong: lab connect user@address",
    ),
    (
        r"^(?:WARNING: Your password has expired\.|Password change required but no TTY)",
        LoginRefusedError,
        "Your password on {alias} has expired.",
        "Log in once and set a new one: ssh {alias}",
    ),
    # A connection that was there
    (
        r"^mux_client_request_session: .*(?:Session open refused by peer|no more sessions)",
        UnreachableError,
        "{alias} allows no further session over the shared connection.",
        "End some of your sessions there, then try again",
    ),
    (
        r"^(?:(?:client_loop: |packet_write_wait: |Write failed: |ssh_dispatch_run_fatal: ).*"
        r"Broken pipe|Connection to \S+ closed by remote host|Timeout, server \S+ not responding|"
        r"Connection to \S+ port \d+ timed out)",
        UnreachableError,
        "The connection to {alias} was lost.",
        "Run the command again; if it happens often: lab doctor",
    ),
)


def _remote_side() -> str | None:
    """Return where this terminal runs, in words, when it is not on the computer one sits at."""
    if os.environ.get("CODESPACES"):
        return "in a codespace"
    if os.environ.get("REMOTE_CONTAINERS"):  # set by VS Code in the terminals of a dev container
        return "in a dev container"
    if os.environ.get("SSH_CONNECTION"):
        return f"on {socket.gethostname()}, reached over SSH"
    return None
