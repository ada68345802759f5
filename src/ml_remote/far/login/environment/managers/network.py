"""What uv and pip print when they cannot get packages, in words."""

import re
from typing import NamedTuple, Optional, Pattern, Tuple

from ..failures import Failure
from .base import Work

__all__ = ["explain_network"]


class _Kind(NamedTuple):
    pattern: Pattern[str]
    sentence: str
    hints: Tuple[str, ...]


_KINDS = (
    _Kind(
        re.compile(r"No space left on device|os error 28|Errno 28|[Dd]isk quota exceeded"),
        "The disk is full, or your quota is used up, where {program} keeps its files.",
        (
            'Make room, or name a folder on another disk: cache = "/path" under [environment] in'
            " lab.local.toml.",
        ),
    ),
    _Kind(
        re.compile(
            r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|invalid peer cert"
        ),
        "{program} does not trust the certificate of the package index.",
        (
            "A company's proxy or index has a certificate of its own. Name it:"
            " export SSL_CERT_FILE=/path/to/company.pem",
            "For uv, the system's own certificates: export UV_SYSTEM_CERTS=true."
            " On the machine these lines go into ~/.profile.",
        ),
    ),
    _Kind(
        re.compile(
            r"\b40[137]\b.*(Unauthorized|Forbidden|Proxy)|ProxyError|proxy.*(refused|authent)"
        ),
        "The package index or the proxy refuses {program}.",
        (
            "Check the address and the password: UV_INDEX_URL, PIP_INDEX_URL, HTTPS_PROXY.",
            "On the machine they are set in ~/.profile, or in ~/.config/uv/uv.toml and pip.conf.",
        ),
    ),
    _Kind(
        re.compile(
            r"dns error|[Tt]emporary failure in name resolution|Name or service not known"
            r"|[Cc]onnection refused|[Nn]etwork is unreachable|timed out|Connection reset"
            r"|error sending request|[Ff]ailed to establish a new connection"
        ),
        "{program} cannot reach the package index.",
        (
            "If the machine has no internet: lab setup --carry",
            "If it has a proxy or an index of its own: export HTTPS_PROXY=... or UV_INDEX_URL=..."
            " and PIP_INDEX_URL=... in ~/.profile on the machine.",
        ),
    ),
)


def explain_network(text: str, work: Work, *, program: str) -> Optional[Failure]:
    """Return the sentence for what a manager printed; None if it is another kind of failure."""
    for kind in _KINDS:
        if kind.pattern.search(text):
            return Failure(kind.sentence.format(program=program), *kind.hints)
    return None
