"""`lab doctor`: the report of all checks, for the person or, with `--copy`, for others."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..next_steps import Known, what_next
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.ssh_config import read_entry
from ..ssh.waiting import tell_no_names
from ..ui.console import Console
from .checks import examine
from .findings import STATES, Finding, State

__all__ = ["doctor", "redact"]

_COLOURS: Mapping[State, str] = {
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
    "unknown": "yellow",
    "skipped": "bright_black",
}

_WITH_REMEDY = ("failed", "warning", "unknown")

# What may be in a message although nobody has told us that it is private; an earlier one first.
_PATTERNS = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]+"), "<fingerprint>"),
    (re.compile(r"[\w.+~-]+@\[?[\w.:-]*\w\]?"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r'"(?:~?/|[A-Za-z]:[\\/])[^"]*"'), '"<path>"'),
    (re.compile(r"(?<![\w<>])(?:~?/|[A-Za-z]:[\\/])[^\s\"',;:()]+"), "<path>"),
)
_MAYBE_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.]*\b")


def doctor(
    context: Context, *, alias: str | None = None, copy: bool = False, as_json: bool = False
) -> bool:
    """Run `lab doctor`; return whether every check decided and none failed.

    `copy` takes names, addresses and paths out of the report. Raises LabError when there is nothing
    to check, as when `lab.toml` is damaged.
    """
    console, client = context.console, context.machine(alias).client
    private = _private_words(client, context.project.root) if copy else {}
    if copy:
        tell_no_names()
    findings = []
    for found in examine(client, context.project):
        finding = _redacted(found, private) if copy else found
        findings.append(finding)
        if not as_json:
            _say(console, finding)
    counts = {state: sum(one.state == state for one in findings) for state in STATES}
    is_well = counts["failed"] == counts["unknown"] == 0
    if as_json:
        name = redact(client.alias, private) if copy else client.alias
        console.json({"alias": name, **_document(findings, counts, is_well=is_well)})
        return is_well
    console.say(f"\n{_closing(counts)}")
    remedy = _first_remedy(findings)
    if remedy is not None:
        console.next_step(what_next(context, Known(left=remedy), after="lab doctor"))
    elif is_well and not copy:
        has_environment = any(one.name == "environment" and one.state == "ok" for one in findings)
        known = Known(has_environment=has_environment)
        console.next_step(what_next(context, known, after="lab doctor"))
    return is_well


def _say(console: Console, finding: Finding) -> None:
    """Print what one check found."""
    label = f"{finding.state:<8}"
    for line in _lines(finding):
        console.remedy(f" {line}", label=label, fg=_COLOURS[finding.state])
        label = " " * len(label)


def _closing(counts: Mapping[State, int]) -> str:
    """Return the line that sums up; what was skipped is not counted as passed."""
    numbers = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    if counts["failed"]:
        return f"{counts['failed']} of {sum(counts.values())} checks failed: {numbers}."
    if counts["unknown"]:
        return f"Some checks could not decide: {numbers}."
    if counts["warning"]:
        return f"No check failed: {numbers}."
    return f"All checks passed: {numbers}."


def _first_remedy(findings: Sequence[Finding]) -> str | None:
    """Return what to do first: about what failed, else about what nobody knows."""
    for state in ("failed", "unknown"):
        for finding in findings:
            if finding.state == state and (finding.remedy or state == "failed"):
                return finding.remedy or "lab connect"
    return None


def _document(
    findings: Sequence[Finding], counts: Mapping[State, int], *, is_well: bool
) -> dict[str, object]:
    """Return what `--json` prints; docs/contract.md lists the keys."""
    checks = [
        {
            "name": finding.name,
            "state": finding.state,
            "detail": finding.detail,
            "remedy": finding.remedy if finding.state in _WITH_REMEDY else None,
        }
        for finding in findings
    ]
    return {"well": is_well, "counts": dict(counts), "checks": checks}


def _redacted(finding: Finding, private: Mapping[str, str]) -> Finding:
    """Return a finding that can be passed on: without the text of others, and what is private."""
    bare = _without_quotes(finding)
    remedy = None if bare.remedy is None else redact(bare.remedy, private)
    return replace(bare, detail=redact(bare.detail, private), remedy=remedy)


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
        words[str(expanded(name))] = "<path>"
    for hop in entry.jump if entry is not None else ():
        words[hop.host] = "<host>"
        if hop.user is not None:
            words[hop.user] = "<user>"
    return words


def _lines(finding: Finding) -> Iterator[str]:
    """Yield a finding as lines of the report, without its state."""
    yield f"{finding.name:<13} {finding.detail}"
    if finding.remedy and finding.state in _WITH_REMEDY:
        yield f"{'':13} -> {finding.remedy}"
