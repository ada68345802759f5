"""The SSH agent that ssh would ask: where it is, and whether it answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from .. import processes
from ..errors import LoginRefusedError
from .configuration import expanded

__all__ = ["agent_hangs", "agent_variables", "fault_of_agent", "silent_agent"]

_SECONDS_TO_ANSWER = 5.0


def agent_variables(resolved: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the variables that lead ssh-add to the agent which ssh itself would use.

    `resolved` is what `Client.resolve` returned: the configuration may name an agent of its own.
    """
    (socket, *_) = resolved.get("identityagent", ["SSH_AUTH_SOCK"])
    if socket == "SSH_AUTH_SOCK":
        return {}
    if socket == "none":
        return {"SSH_AUTH_SOCK": ""}
    if socket.startswith("$"):
        return {"SSH_AUTH_SOCK": os.environ.get(socket.strip("${}"), "")}
    return {"SSH_AUTH_SOCK": str(expanded(socket))}


def agent_hangs(resolved: Mapping[str, Sequence[str]]) -> bool:
    """Return whether an agent takes the connection and never answers: ssh would wait for ever."""
    variables = agent_variables(resolved)
    if not variables.get("SSH_AUTH_SOCK", os.environ.get("SSH_AUTH_SOCK")):
        return False
    try:
        processes.run(["ssh-add", "-l"], timeout=_SECONDS_TO_ANSWER, variables=variables)
    except subprocess.TimeoutExpired:
        return True
    return False


def fault_of_agent(
    resolved: Mapping[str, Sequence[str]], *, alias: str
) -> LoginRefusedError | None:
    """Return the error for an agent that never answers; None if it does, or if there is none."""
    if not agent_hangs(resolved):
        return None
    return LoginRefusedError(
        f"{silent_agent(resolved)} ssh waits for it, so the login to {alias} hangs.",
        hint="End that agent and start another one, or unset SSH_AUTH_SOCK; then try again",
    )


def silent_agent(resolved: Mapping[str, Sequence[str]]) -> str:
    """Return the sentence that names the agent which does not answer."""
    socket = agent_variables(resolved).get("SSH_AUTH_SOCK") or os.environ.get("SSH_AUTH_SOCK", "")
    return f"Your SSH agent does not answer (its socket: {socket})."
