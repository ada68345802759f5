"""Explanations of the errors of conda, mamba and micromamba."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Pattern, Tuple

from ...failures import Failure, ManagerError
from ..base import Work
from ..network import NOT_VALID_NOW, WRONG_CLOCK, explain_network

__all__ = ["ClientInfo", "explain", "is_about_versions"]

_LIST = "environment.yml"
_MIB = 1024**2
_NEARLY_FULL = 100  # MiB: what a client could not write it has removed again
_QUOTA = re.compile(r"[Ee]rrno 122\b|[Qq]uota exceeded")
_DISK = re.compile(r"No space left on device|[Ee]rrno (?:28|122)\b|[Qq]uota exceeded")
_OFFLINE = re.compile(r"^\s*offline\s*:\s*(?:true|yes|on|1)\b", re.IGNORECASE | re.MULTILINE)
_UNREADABLE = re.compile(
    r"ConfigurationLoadError|Unable to load configuration file|(?:Parser|Scanner|Composer)Error"
    r"|yaml-cpp: error|make_raw_parameters_from_file"
)
_VALUE = re.compile(
    r"Parameter (\w+) = |[Cc]onfigurable '(\w+)'|(ssl_verify) does not contain a valid"
)
_NOT_FOUND = re.compile(r"PackagesNotFound\w*Error|ResolvePackageNotFound")
_MISSING = re.compile(r"^\s+- (\S+)\s*$", re.MULTILINE)
_MISSING_MAMBA = re.compile(
    r"[─ ](?:The package )?(\S+) ?(\S*) ?\S* does not exist \(perhaps|nothing provides (?:requested"
    r" )?(\S+)()"
)
_UNSOLVABLE = re.compile(r"UnsatisfiableError|Could not solve for environment specs|SpecsConfigur")
_CHANNEL = re.compile(r"(?:UnavailableInvalidChannel|for channel) ?:?.*?(?:channel )(\S+)")
_NETWORK = re.compile(
    r"CONNECTION FAILED|Could not resolve host|Couldn't connect|Failed to connect|timed out"
    r"|NameResolutionError|NewConnectionError|Connection reset|HTTP 000|Timeout was reached"
)
_CERTIFICATE = re.compile(
    r"CondaSSLError|CERTIFICATE_VERIFY_FAILED|SSLCertVerif|SSL peer certificate|SSL: no alternative"
)
_REFUSED = re.compile(r"HTTP 40[137]\b|response code (?:40[137])|ProxyError|status code 40[137]")
_PERMISSION = re.compile(
    r"(?:NotWritableError|Permission denied|[Ee]rrno 13\b)(?:.*?(?:path: |'|\[)(/[^'\]\n]+))?",
    re.DOTALL,
)
_NO_DISTRIBUTION = re.compile(r"No matching distribution found for (\S+)")
_KILLED = (-9, 137)
_ABORTED = (-6, 134)


class ClientInfo(NamedTuple):
    """What a client uses, to be named in a sentence."""

    client: str
    program: str
    cache: Path
    """The package cache."""


class _Kind(NamedTuple):
    pattern: Pattern[str]
    sentence: str
    hints: Tuple[str, ...]


_KINDS = (
    _Kind(
        NOT_VALID_NOW,
        "The certificate of the channel is not valid at the time that this machine's clock shows.",
        WRONG_CLOCK,
    ),
    _Kind(
        _CERTIFICATE,
        "{client} does not trust the certificate of the channel.",
        (
            "Company proxies and mirrors have their own certificates. Name yours in ~/.condarc: "
            "ssl_verify: /path/to/company.pem",
        ),
    ),
    _Kind(
        _REFUSED,
        "The channel or the proxy refuses {client}.",
        ("Check the address and the password: HTTPS_PROXY, or proxy_servers in ~/.condarc.",),
    ),
    _Kind(
        _NETWORK,
        "{client} cannot reach the channel.",
        (
            "If this machine has a proxy or a mirror: export HTTPS_PROXY=... in ~/.profile, or"
            " channel_alias in ~/.condarc.",
            "Without any network, another manager can be used: lab setup --carry",
        ),
    ),
)


def explain(error: ManagerError, work: Work, info: ClientInfo) -> Optional[Failure]:
    """Return what went wrong, in words; None if that is not known."""
    text = error.text
    if "pip" in error.command[1:3]:
        return _explain_pip(text, work)
    for found in (
        _full_disk(text, work, info),
        _settings(text, info),
        _missing(text, work, info),
        _unsolvable(text, work),
        _simple(text, info),
        _permission(text, info),
    ):
        if found is not None:
            return found
    if error.code in _KILLED:
        return Failure(
            "{} was killed. Often the reason is too little memory.".format(info.client),
            "Run the command again; if that does not help, mamba and uv need less memory: set "
            "manager under [environment] in lab.toml.",
        )
    return None


def is_about_versions(error: ManagerError) -> bool:
    """Return whether a client found no solution; mamba 2.0 may abort while it says so."""
    is_unsolvable = _UNSOLVABLE.search(error.text) and not _MISSING_MAMBA.search(error.text)
    return bool(is_unsolvable) or error.code in _ABORTED


def _explain_pip(text: str, work: Work) -> Optional[Failure]:
    named = _NO_DISTRIBUTION.search(text)
    if named:
        return Failure(
            "pip finds no package {}, which environment.yml asks for under `pip:`.".format(
                named.group(1)
            ),
            "{}, or give another name or version.".format(
                work.lists.removal(_name(named.group(1)), listed=_LIST)
            ),
        )
    known = explain_network(text, work, program="pip")
    if known is None:
        return None
    return Failure(known.sentence, *(hint.replace("pyproject.toml", _LIST) for hint in known.hints))


def _full_disk(text: str, work: Work, info: ClientInfo) -> Optional[Failure]:
    """Return which disk is full: that of the named file, else the one with the least space."""
    places = (
        (
            work.prefix,
            "where the environment is made",
            'folder = "/path" under [environment] in lab.local.toml',
        ),
        (
            info.cache,
            "where {} keeps its packages".format(info.client),
            'cache = "/path" under [environment] in lab.local.toml',
        ),
        (Path(tempfile.gettempdir()), "of temporary files", "export TMPDIR=/path in ~/.profile"),
    )
    free = [_free(path) // _MIB for path, _, _ in places]
    if not _DISK.search(text) and min(free) > _NEARLY_FULL:
        return None
    named = [str(path) in text for path, _, _ in places[:2]]
    number = 1 if named == [False, True] and _DISK.search(text) else free.index(min(free))
    path, what, way = places[number]
    if _QUOTA.search(text):  # however much of the disk is free
        return Failure(
            "Your quota on the disk {}, {}, is used up.".format(what, path),
            "To see whose quota it is, and how large: lab status on your laptop, or quota -s here",
            "Free disk space, or name a folder on another disk: {}.".format(way),
        )
    return Failure(
        "The disk {}, {}, is full or your quota is used up: {:.1f} GB are free, about 8 GB are"
        " needed.".format(what, path, free[number] / 1024),
        "Free disk space, or name a folder on another disk: {}.".format(way),
    )


def _free(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(str(path)).free


def _settings(text: str, info: ClientInfo) -> Optional[Failure]:
    """Explain a setting of the person's that is in the way, and name the file."""
    files = list(_files(info))
    names = " or ".join(name for name, _ in files) or "~/.condarc"
    client = info.client
    named = _VALUE.search(text)
    if named:
        key = next(group for group in named.groups() if group)
        where = [name for name, content in files if re.search(r"(?m)^\s*" + key, content)]
        return Failure(
            "{} does not accept the setting {} in {}.".format(client, key, _first(where, names)),
            "Correct that line, or remove it.",
        )
    if _UNREADABLE.search(text):
        return Failure(
            "{} cannot read its settings: {} is not valid YAML.".format(client, names),
            "Correct that file, or move it away.",
        )
    offline = [name for name, content in files if _OFFLINE.search(content)]
    if os.environ.get("CONDA_OFFLINE", "").lower() in ("1", "true", "yes"):
        offline.append("the variable CONDA_OFFLINE")
    if offline and (_NOT_FOUND.search(text) or _NETWORK.search(text) or "offline" in text.lower()):
        return Failure(
            "{} is set to work offline: `offline: true` in {}.".format(client, offline[0]),
            "Remove that line, or set it to false.",
        )
    return None


def _first(where: List[str], otherwise: str) -> str:
    return where[0] if where else otherwise


def _files(info: ClientInfo) -> Iterator[Tuple[str, str]]:
    """Return the settings files that are there, with what they contain."""
    base = os.path.dirname(os.path.dirname(os.path.realpath(info.program)))
    paths = [os.environ.get("CONDARC", ""), "~/.condarc", "~/.mambarc", "~/.conda/.condarc"]
    paths += ["~/.config/conda/.condarc", os.path.join(base, ".condarc"), "/etc/conda/.condarc"]
    for path in paths:
        try:
            yield path, Path(os.path.expanduser(path)).read_text("utf-8", "replace")
        except OSError:
            continue


def _missing(text: str, work: Work, info: ClientInfo) -> Optional[Failure]:
    """Explain packages that no channel has."""
    names: List[str] = []
    refused = _NOT_FOUND.search(text)
    if refused:
        listed = text[refused.end() :].partition("Current channels")[0]
        names = [_readable(spec) for spec in _MISSING.findall(listed)]
    else:
        for one, bound, other, _ in _MISSING_MAMBA.findall(text):
            names.append(other or one + bound.rstrip("*"))
    if not names:
        return None
    if "python" in {_name(name) for name in names}:
        return Failure(
            "{} finds no packages in the channel, not even Python.".format(info.client),
            "Check `channels:` in environment.yml, and the settings: conda config --show-sources",
        )
    names = sorted(set(names))
    return Failure(
        "The channels of environment.yml have no package that fits {}.".format(
            " and none that fits ".join(names)
        ),
        "{}, or correct its name or version; packages that only PyPI has go under `pip:` "
        "there.".format(work.lists.removal(_name(names[0]), listed=_LIST)),
    )


def _readable(spec: str) -> str:
    """Return `name[version='>=1']` as a person writes it."""
    return re.sub(r"\[version='?(?:==?)?([^']*?)'?\]", r"\1", spec)


def _name(spec: str) -> str:
    return re.split(r"[\[<>=!~ ]", spec.rpartition("::")[2], maxsplit=1)[0]


def _unsolvable(text: str, work: Work) -> Optional[Failure]:
    if not _UNSOLVABLE.search(text):
        return None
    lines = [line.strip() for line in text.splitlines()]
    reasons = [line for line in lines if re.match(r"[└├│]|- |package ", line)]
    return Failure(
        "The packages that environment.yml asks for cannot be installed together.",
        *reasons[:5],
        "Loosen a bound there, or remove a package. {}.".format(
            work.lists.removal("NAME", listed=_LIST)
        ),
    )


def _simple(text: str, info: ClientInfo) -> Optional[Failure]:
    unknown = _CHANNEL.search(text) if "UnavailableInvalidChannel" in text else None
    if unknown:
        return Failure(
            "The channel {} does not exist or is not available.".format(unknown.group(1)),
            "Correct `channels:` in environment.yml, or channel_alias in ~/.condarc.",
        )
    for kind in _KINDS:
        if kind.pattern.search(text):
            return Failure(kind.sentence.format(client=info.client), *kind.hints)
    return None


def _permission(text: str, info: ClientInfo) -> Optional[Failure]:
    named = _PERMISSION.search(text)
    if named is None:
        return None
    return Failure(
        "{} may not write to {}.".format(info.client, named.group(1) or "one of its folders"),
        'If that is its cache, use one of your own: cache = ".lab/cache" under [environment] in'
        " lab.local.toml.",
    )
