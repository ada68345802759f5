"""Certificates that log in: which ones there are, and why one is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from .. import processes
from ..errors import LoginRefusedError
from ..ssh.certificate_times import fault_of_times
from ..ssh.configuration import expanded
from .keys import agent_keys

__all__ = ["doubt_of_certificates", "fault_of_certificates"]

_OFFERED = re.compile(r"Offering public key: (.+) \S+-CERT (SHA256:\S+)")
_SIGNED = re.compile(r"Signing CA: \S+ (SHA256:\S+)")
_PRINCIPALS = re.compile(r"(?m)^ +Principals: *((?:\n {12,}\S.*)+)")


def fault_of_certificates(
    offered: str, resolved: Mapping[str, Sequence[str]], *, now: datetime | None = None
) -> LoginRefusedError | None:
    """Return why a certificate was refused, if its own text tells: it has expired, say.

    `offered` is what ssh reported at DEBUG1, `resolved` what `Client.resolve` returned.
    """
    now = now or datetime.now()  # ssh-keygen prints local times, without a zone
    for name, fingerprint in dict.fromkeys(_OFFERED.findall(offered)):
        for text in _texts(name, fingerprint, resolved):
            fault = fault_of_times(text, now)
            if fault:
                return LoginRefusedError(
                    f"The certificate {name} {fault}, so no machine accepts it.",
                    hint="Get a new one the way you got the last one; then: lab connect",
                )
    return None


def doubt_of_certificates(
    offered: str, resolved: Mapping[str, Sequence[str]], *, alias: str
) -> LoginRefusedError | None:
    """Return what a refused certificate says of itself: for whom it is, and who signed it.

    The arguments are those of `fault_of_certificates`, and how the machine is called.
    """
    (user, *_) = resolved.get("user", [""])
    for name, fingerprint in dict.fromkeys(_OFFERED.findall(offered)):
        for text in _texts(name, fingerprint, resolved):
            names = _PRINCIPALS.search(text)
            principals = names[1].split() if names else []
            authority = _SIGNED.search(text)
            if principals and user not in principals:
                why = f"It is for {', '.join(principals)}, not for {user}"
            else:
                signed = authority[1] if authority else "somebody"
                why = f"It is signed by {signed}, which the machine may not trust"
            return LoginRefusedError(
                f"{alias} does not accept the certificate {name}. {why}.",
                hint="Ask its issuer for a certificate that lets you log in there; then: lab "
                "connect",
                quoted=(why,),
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
