"""Whether this is the person's own computer, or the other end of a connection to one."""

from __future__ import annotations

import os
import socket

__all__ = ["remote_side"]


def remote_side() -> str | None:
    """Return where this terminal runs, in words, when it is not on the computer one sits at."""
    if os.environ.get("CODESPACES"):
        return "in a codespace"
    if os.environ.get("REMOTE_CONTAINERS"):  # set by VS Code in the terminals of a dev container
        return "in a dev container"
    if os.environ.get("SSH_CONNECTION"):
        return f"on {socket.gethostname()}, reached over SSH"
    return None
