"""What OpenSSH's messages mean, in a sentence, and the command that fixes it.

Standard error of ssh is not only ssh's: a server's banner, what a command there printed, and what a
ProxyCommand said are in it, too. So a message counts only as a line of the form that ssh gives it,
and only where ssh itself failed, which whoever calls this has seen from its exit code. Where ssh
writes its own messages into a file (ssh_log.py), nothing else is looked at.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
from pathlib import Path

from ..errors import ConfigurationError, LabError, NoJobError, UnreachableError
from ..files import is_of_another_user
from ..ui.text import in_one_line
from .messages import MESSAGES, NOISE
from .proxy_programs import missing_program, where_it_is_named
from .settings_at_fault import setting_that_rules_out
from .ssh_directory import check_directories, ssh_directory

__all__ = ["explain", "recognise"]


def explain(stderr: str, *, alias: str, others: str = "") -> LabError:
    """Return the error that says in words what ssh's standard error means.

    A message that is not known is passed on as ssh wrote it. `others` is what the server said
    apart from that: its banners, in which it may say why it lets nobody in.
    """
    known = recognise(stderr, alias=alias, others=others)
    if known is not None:
        return known
    lines = [line for line in stderr.splitlines() if line.strip() and not NOISE.match(line)]
    told = lines[-1].strip() if lines else _end_of(others)
    if lines:
        said = f"ssh said: {told}"
    else:  # a shared connection that is lost ends like this, or a command there by this exit code
        said = f"its last output: {told}" if told else "ssh gave no reason."
    return UnreachableError(
        f"The connection to {alias} failed; {said}",
        hint=f"To see every step: ssh -v {alias}",
        quoted=(told,) if told else (),
    )


def recognise(stderr: str, *, alias: str, others: str = "") -> LabError | None:
    """Return the error that a message of ssh's stands for, if one that is known is in `stderr`."""
    place = _remote_side()
    is_unknown = re.search(rf"(?im)^ssh: Could not resolve hostname {re.escape(alias)}:", stderr)
    if is_unknown and place:
        return UnreachableError(
            f"This terminal is {place}, where no machine is called {alias}. Run `lab` on the "
            "laptop; here you are already on the machine.",
            hint="In VS Code: Terminal > Run Task... In a terminal: .venv/bin/python",
        )
    if is_unknown:
        try:
            check_directories(ssh_directory())
        except ConfigurationError as unreadable:
            return unreadable
    stderr = "\n".join(line for line in _shortened(stderr).split("\n") if not NOISE.match(line))
    refused = re.search(r"^Bad owner or permissions on (.+)$", stderr, re.MULTILINE)
    if refused is not None and is_of_another_user(Path(refused[1])):
        return ConfigurationError(
            f"ssh refuses {in_one_line(refused[1])} because it belongs to another user.",
            hint=f'sudo chown "$USER" {_in_command("file", refused[1])}',
        )
    setting = setting_that_rules_out(stderr, alias=alias)
    if setting is not None:
        return setting
    program = missing_program(stderr)
    if program is not None:
        return _without_program(program, alias=alias)
    for pattern, error, sentence, hint in MESSAGES:
        found = re.search(pattern, stderr, re.MULTILINE)
        if found and "{others}" in sentence and _NO_JOB.search(others):
            return NoJobError(
                f"{alias} lets you in only while you have a job there (pam_slurm_adopt).",
                hint="Get a compute node: lab node; or have Slurm run the lab: lab run LAB --slurm",
            )
        if found:
            words = {name: in_one_line(text or "") for name, text in found.groupdict().items()}
            in_command = {name: _in_command(name, text) for name, text in words.items()}
            said = _end_of(others) if "{others}" in sentence else ""
            words["others"] = f" It said: {said}" if said else ""
            return error(
                sentence.format_map({**words, "alias": alias}),
                hint=hint.format_map({**in_command, "alias": alias}),
                quoted=tuple(text for text in (said, words.get("said", "")) if text),
            )
    return None


def _end_of(text: str) -> str:
    """Return the last lines of what a server said, in one."""
    lines = [in_one_line(line).strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-_LINES_SHOWN:])[-_MOST_SHOWN:]


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


# What pam_slurm_adopt, or pam_slurm before it, says where no job of the person's runs.
_NO_JOB = re.compile(r"(?m)^Access denied\b.* no active jobs on this node")
_PART = 8192  # characters
_LINES_SHOWN = 3
_MOST_SHOWN = 300  # characters
_VALUES = {
    "file": r"(?!-)[^\x00-\x1f\x7f\"'`$\\;&|<>*?!(){}]{1,1000}",
    "line": r"[0-9]{1,9}",
    "name": r"(?!-)[\w.:\[\]-]{1,300}",
    "who": r"(?!-)[\w.:@\[\]-]{1,300}",
}
"""What a value in a hint may consist of."""


def _remote_side() -> str | None:
    """Return where this terminal runs, in words, when it is not on the computer one sits at."""
    if os.environ.get("CODESPACES"):
        return "in a codespace"
    if os.environ.get("REMOTE_CONTAINERS"):  # set by VS Code in the terminals of a dev container
        return "in a dev container"
    if os.environ.get("SSH_CONNECTION"):
        return f"on {socket.gethostname()}, reached over SSH"
    return None
