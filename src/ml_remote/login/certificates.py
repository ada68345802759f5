"""Certificates that log in: which ones there are, and why one is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from .. import processes
from ..errors import LoginRefusedError
from ..ssh.configuration import expanded
from .keys import agent_keys

__all__ = ["fault_of_certificates"]

_OFFERED = re.compile(r"Offering public key: (.+) \S+-CERT (SHA256:\S+)")
_VALID = re.compile(r"Valid: (?:from (\S+) to|before) (\S+)")
_AFTER = re.compile(r"Valid: after (\S+)")


def fault_of_certificates(
    offered: str, resolved: Mapping[str, Sequence[str]], *, now: datetime | None = None
) -> LoginRefusedError | None:
    """Return why a certificate was refused, if its own text tells: it has expired, say.

    `offered` is what ssh reported at DEBUG1, `resolved` what `Client.resolve` returned.
    """
    now = now or datetime.now()  # ssh-keygen prints local times, without a zone
    for name, fingerprint in dict.fromkeys(_OFFERED.findall(offered)):
        for text in _texts(name, fingerprint, resolved):
            fault = _fault(text, now)
            if fault:
                return LoginRefusedError(
                    f"The certificate {name} {fault}, so no machine takes it.",
                    hint="Get a new one from whoever issues it, as you got the last one; "
                    "then: lab connect",
                )
    return None


def _texts(name: str, fingerprint: str, resolved: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what ssh-keygen tells of a certificate, from its file or from the agent."""
    path = expanded(name)
    for file in (
        path,
        path.with_name(f"{path.name}-cert.pub"),
        path.with_name(f"{path.name}-cert"),
    ):
        if file.is_file():
            told = processes.run(["ssh-keygen", "-L", "-f", str(file)])
            if told.returncode == 0:
                yield told.stdout
    for key in agent_keys(resolved) or ():
        if key.is_certificate and key.fingerprint == fingerprint:
            yield processes.run(["ssh-keygen", "-L", "-f", "-"], input=f"{key.line}\n").stdout


def _fault(text: str, now: datetime) -> str | None:
    """Return what is wrong with the time in which a certificate is valid."""
    valid = _VALID.search(text)
    after = _AFTER.search(text)
    begin = (valid and valid[1]) or (after and after[1])
    if valid and now > datetime.fromisoformat(valid[2]):
        return f"expired on {valid[2].replace('T', ' at ')}"
    if begin and now < datetime.fromisoformat(begin):
        return f"is valid from {begin.replace('T', ' at ')} on"
    return None
