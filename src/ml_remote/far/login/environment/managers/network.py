"""Explanations of what uv and pip print when they cannot get or write packages."""

import os
import re
from typing import List, NamedTuple, Optional, Pattern, Tuple

from ..environments import interpreter_of
from ..failures import Failure
from .base import Work
from .constraints import constraints_of_pip, constraints_of_uv

__all__ = ["NOT_VALID_NOW", "WRONG_CLOCK", "explain_network", "is_about_disk"]


class _Kind(NamedTuple):
    pattern: Pattern[str]
    sentence: str
    """With `{program}`, and the groups of the pattern by their names."""
    hints: Tuple[str, ...]


_CACHE = 'cache = "/path" under [environment] in lab.local.toml'
_ADDRESS = "export UV_INDEX_URL=https://... PIP_INDEX_URL=https://..."
_PROFILE = "For setups from your laptop, put the same line into ~/.profile on the machine."
NOT_VALID_NOW = re.compile(
    r"certificate not valid yet|certificate is not yet valid|NotValidYet"
    r"|certificate (?:has )?expired|peer certificate: Expired"
)
WRONG_CLOCK = (
    "Check this machine's clock: date",
    "If that is right, the certificate has expired: ask whoever runs the index or the proxy.",
)
"""What helps then."""
_FULL = re.compile(r"No space left on device|os error 28\b|Errno 28\b|[Dd]isk quota exceeded")
_UNFIT = _Kind(
    re.compile(r"(?:cause|  ╰─▶) *:? *(?P<name>Because .*)|(?P<other>ResolutionImpossible)"),
    "The lists ask for packages that do not fit together.",
    ("{name}", "{renewal}"),
)
_KINDS = (
    _Kind(
        re.compile(r"[Dd]isk quota exceeded|os error 122\b|Errno 122\b"),
        "Your quota where {program} writes is used up, even if the disk has free space.",
        (
            "To see whose quota it is, and how large: lab status on your laptop, or quota -s here",
            "Downloads can go elsewhere: " + _CACHE,
            'Environments too: folder = "/path" under [environment] in lab.local.toml',
        ),
    ),
    _Kind(
        _FULL,
        "The disk where {program} writes is full, or your quota there is used up.",
        (
            "See which: df -h . ~/.cache /tmp",
            "If it is ~/.cache, name a folder on the project's disk: " + _CACHE,
        ),
    ),
    _Kind(
        re.compile(r"Failed to initialize cache at `(?P<name>[^`]*)`"),
        "{program} cannot use its folder for downloads, {name}.",
        ("Name another one: " + _CACHE,),
    ),
    _Kind(
        re.compile(r"File too large|os error 27\b|Errno 27\b"),
        "{program} cannot write files of that size: this machine limits it (ulimit -f).",
        ("Ask whoever runs the machine.",),
    ),
    _Kind(
        NOT_VALID_NOW,
        "The certificate of the package index is not valid at the time that this machine's clock"
        " shows.",
        WRONG_CLOCK,
    ),
    _Kind(
        re.compile(r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|CertificateError|invalid peer cert"),
        "{program} does not trust the certificate of the package index: a company's proxy or index"
        " has its own.",
        (
            "Name the company's certificate: export SSL_CERT_FILE=/path/to/company.pem"
            " PIP_CERT=/path/to/company.pem",
            "If the system knows it, for uv: export UV_SYSTEM_CERTS=true",
            _PROFILE,
        ),
    ),
    _Kind(
        re.compile(r"proxy authorization required|Proxy Authentication|Tunnel connection failed"),
        "The proxy refuses {program}.",
        ("Check HTTPS_PROXY: export HTTPS_PROXY=http://user:password@host:port", _PROFILE),
    ),
    _Kind(
        re.compile(r"ProxyError|tunnel error|proxyconnect"),
        "{program} cannot reach the proxy that HTTPS_PROXY or ALL_PROXY names.",
        ("Check it: export HTTPS_PROXY=http://host:port", _PROFILE),
    ),
    _Kind(
        re.compile(r"401 Unauthorized|403 Forbidden|_prompt_for_password|valid authentication"),
        "The package index refuses {program}: it asks for a name and a password.",
        ("Check its address: " + _ADDRESS, _PROFILE),
    ),
    _Kind(
        re.compile(
            r"dns error|[Tt]emporary failure in name resolution|Name or service not known"
            r"|[Cc]onnection refused|[Nn]etwork is unreachable|[Nn]o route to host|timed out"
            r"|Connection reset|error sending request|[Ff]ailed to establish a new connection"
            r"|not a trusted or secure host|[Nn]etwork (?:connectivity )?is disabled"
        ),
        "{program} cannot reach the package index: this machine may have no internet.",
        (
            "If it has a proxy: export HTTPS_PROXY=http://host:port",
            "If it has a local index: " + _ADDRESS,
            _PROFILE,
            "If it has neither, on your laptop: lab setup --carry",
        ),
    ),
    _Kind(
        re.compile(r"HTTP status server error \((?P<status>[^)]*)\)|(?:^|\s)50\d Server Error"),
        "The package index has a problem.",
        ("Try again later.",),
    ),
    _Kind(
        re.compile(r"Because (?P<name>[A-Za-z0-9][\w.-]*) was not found in"),
        "The package index has no package called {name}, or it is the wrong index.",
        ("{removal}, or correct its name.",),
    ),
    _Kind(
        re.compile(r"satisfies the requirement (?P<name>[A-Za-z0-9][\w.-]*).*from versions: none"),
        "pip finds no package called {name}: the name may be wrong, or the package index cannot "
        "be reached.",
        (
            "{removal}, or correct its name.",
            "If the network is the reason, and there is a local index: " + _ADDRESS,
        ),
    ),
    _UNFIT,
)


_FORBIDDEN = {
    "uv": ("UV_OFFLINE", re.compile(r"network was disabled"), "`offline = true` in a uv.toml"),
    "pip": ("PIP_NO_INDEX", re.compile(r"from versions: none"), ""),
}
"""By which variable a person forbids a program the network, what it says then, and another way."""


def is_about_disk(text: str) -> bool:
    """Return whether what a manager printed says that a disk is full, or may not be written."""
    return _FULL.search(text) is not None or "Failed to initialize cache" in text


def explain_network(text: str, work: Work, *, program: str) -> Optional[Failure]:
    """Return the sentence for what a manager printed; None if it is another kind of failure."""
    forbidden = _explain_forbidden(text, program)
    if forbidden is not None:
        return forbidden
    for kind in _KINDS:
        found = kind.pattern.search(text)
        if found:
            words = {name: value or "" for name, value in found.groupdict().items()}
            values = dict({"name": ""}, **dict(words, program=program))
            values["removal"] = work.lists.removal(values["name"])
            values["renewal"] = work.lists.renewal
            hints = [hint.format(**values) for hint in kind.hints]
            if kind is _UNFIT:
                hints += _constraints(text, work, program)
            return Failure(kind.sentence.format(**values), *[hint for hint in hints if hint])
    return None


def _constraints(text: str, work: Work, program: str) -> List[str]:
    """Return hints about bounds that are in no list of the project."""
    if program == "uv":
        return constraints_of_uv(work.root)
    return constraints_of_pip(str(interpreter_of(work.prefix)), text)


def _explain_forbidden(text: str, program: str) -> Optional[Failure]:
    """Return the sentence for a program that may not use the network, by what the person has set.

    With `lab setup --carry` it is we who forbid it.
    """
    variable, pattern, file = _FORBIDDEN[program]
    value = os.environ.get(variable, "")
    is_set = value.lower() not in ("", "0", "false", "no", "off")
    if os.environ.get("LAB_WHEELS") or not pattern.search(text) or not (is_set or file):
        return None
    return Failure(
        "{} may not use the network: {}.".format(
            program, "the variable {} is {}".format(variable, value) if is_set else file
        ),
        "Undo that: unset " + variable if is_set else "Remove that line.",
        "For setups from your laptop, also do this in the machine's start-up files.",
    )
