"""`lab doctor`: the report of all checks, for the person or, with `--copy`, for others."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..ssh.client import Client
from ..ssh.ssh_config import read_entry
from .checks import examine
from .findings import Finding, State

__all__ = ["doctor", "redact"]

_COLOURS: Mapping[State, str] = {
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
    "skipped": "bright_black",
}

# What may stand in a message although nobody has told us that it is private; an earlier one first.
_PATTERNS = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]+"), "<fingerprint>"),
    (re.compile(r"[\w.+~-]+@\[?[\w.:-]*\w\]?"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r'"(?:~?/|[A-Za-z]:[\\/])[^"]*"'), '"<path>"'),
    (re.compile(r"(?<![\w<>])(?:~?/|[A-Za-z]:[\\/])[^\s\"',;:()]+"), "<path>"),
)
_MAYBE_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.]*\b")


def doctor(context: Context, *, alias: str | None = None, copy: bool = False) -> bool:
    """Carry out `lab doctor`, and return whether no check failed.

    `copy` takes names, addresses and paths out of the report. Raises LabError when there is nothing
    to check, as when `lab.toml` is damaged.
    """
    console, client = context.console, context.machine(alias).client
    private = _private_words(client, context.project.root) if copy else {}
    remedies = []
    count = 0
    for finding in examine(client, context.project):
        count += 1
        label = f"{finding.state:<8}"
        for line in _lines(_without_quotes(finding) if copy else finding):
            text = redact(line, private) if copy else line
            console.say(f" {text}", label=label, fg=_COLOURS[finding.state])
            label = " " * len(label)
        if finding.state == "failed":
            remedies.append(finding.remedy or "lab connect")
    if not remedies:
        console.say(f"\nAll is well: {count} checks.")
        if not copy:
            console.next_step("lab up")
        return True
    console.say(f"\n{len(remedies)} of {count} checks failed.")
    console.next_step(redact(remedies[0], private) if copy else remedies[0])
    return False


def _without_quotes(finding: Finding) -> Finding:
    """Return a finding without the text of others in it."""
    detail = finding.detail
    for text in finding.quoted:
        detail = detail.replace(text, "<text>")
    return replace(finding, detail=detail)


def redact(text: str, private: Mapping[str, str]) -> str:
    """Return `text` without anything private; `private` maps words to what replaces them."""
    for word in sorted(private, key=len, reverse=True):
        text = re.sub(rf"(?<![\w<]){re.escape(word)}(?![\w>])", private[word], text)
    for pattern, placeholder in _PATTERNS:
        text = pattern.sub(placeholder, text)
    return _MAYBE_IPV6.sub(_without_ipv6, text)


def _without_ipv6(found: re.Match[str]) -> str:
    """Return what stands for a group of digits and colons: a time of day stays."""
    import ipaddress

    try:
        ipaddress.IPv6Address(found[0])
    except ValueError:
        return found[0]
    return "<address>"


def _private_words(client: Client, root: Path) -> dict[str, str]:
    """Return every name that the report may hold, and what to put in its place."""
    words = {
        str(client.directory): "<path>",
        str(root): "<path>",
        str(Path.home()): "<path>",
        socket.gethostname(): "<host>",
        client.alias: "<alias>",
    }
    with suppress(KeyError, OSError):  # as in a container, whose user has no name
        words[getpass.getuser()] = "<user>"
    try:
        resolved = client.resolve()
        entry = read_entry(client.alias, directory=client.directory)
    except LabError:
        return words
    words[resolved["hostname"][0]] = "<host>"
    words[resolved["user"][0]] = "<user>"
    for name in resolved.get("identityfile", []):
        words[str(Path(name).expanduser())] = "<path>"
    for hop in entry.jump if entry is not None else ():
        words[hop.host] = "<host>"
        if hop.user is not None:
            words[hop.user] = "<user>"
    return words


def _lines(finding: Finding) -> Iterator[str]:
    """Yield a finding as lines of the report, without its state."""
    yield f"{finding.name:<13} {finding.detail}"
    if finding.remedy and finding.state in ("failed", "warning"):
        yield f"{'':13} -> {finding.remedy}"
