"""When an SSH certificate is valid: many last only a day."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from .. import processes
from ..errors import LabError
from .agents import agent_variables
from .configuration import expanded

__all__ = ["expired_certificate", "fault_of_times"]

_SECONDS = 5.0
_VALID = re.compile(r"Valid: (?:from (\S+) to|before) (\S+)")
_AFTER = re.compile(r"Valid: after (\S+)")


def expired_certificate(resolved: Mapping[str, Sequence[str]]) -> str | None:
    """Return the sentence about the certificate that ssh would offer, if none is valid now.

    `resolved` is what `Client.resolve` returned. None where there is no certificate.
    """
    now = datetime.now()  # ssh-keygen prints local times, without a zone
    found = [(name, fault_of_times(text, now)) for name, text in _certificates(resolved)]
    faults = [(name, fault) for name, fault in found if fault]
    if not faults or len(faults) < len(found):
        return None
    name, fault = faults[0]
    return f"The certificate {name} {fault}, so no machine accepts it."


def fault_of_times(text: str, now: datetime) -> str | None:
    """Return what is wrong with the times in the text that ssh-keygen has of a certificate."""
    valid = _VALID.search(text)
    after = _AFTER.search(text)
    begin = (valid and valid[1]) or (after and after[1])
    if valid and now > datetime.fromisoformat(valid[2]):
        return f"expired on {valid[2].replace('T', ' at ')}"
    if begin and now < datetime.fromisoformat(begin):
        return f"is valid from {begin.replace('T', ' at ')} on"
    return None


def _certificates(resolved: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each certificate that ssh offers, and what ssh-keygen tells of it."""
    beside = [f"{name}-cert.pub" for name in resolved.get("identityfile", [])]
    for name in dict.fromkeys([*resolved.get("certificatefile", []), *beside]):
        path = expanded(name)
        if path.is_file():
            yield str(path), processes.run(["ssh-keygen", "-L", "-f", str(path)]).stdout
    try:
        held = processes.run(
            ["ssh-add", "-L"], timeout=_SECONDS, variables=agent_variables(resolved)
        ).stdout
    except (subprocess.TimeoutExpired, LabError):
        return
    for line in held.splitlines():
        if "-cert-v01@" in line.partition(" ")[0]:
            name = line.split(" ", 2)[-1]
            yield name, processes.run(["ssh-keygen", "-L", "-f", "-"], input=f"{line}\n").stdout
