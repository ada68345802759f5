"""Logging in as the person would, and their keys and agent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import openssh_server
from openssh_server import Laptop

__all__ = ["ALIAS", "add_to_agent", "forget", "login"]

ALIAS = "handwriting-lab"


def login(laptop: Laptop, **variables: str) -> subprocess.CompletedProcess[str]:
    """Log in as the person would, over a connection of its own, without being asked anything."""
    options = ("-o", "BatchMode=yes", "-o", "ControlPath=none")
    return laptop.run_ssh(*options, ALIAS, "true", **variables)


def add_to_agent(variables: dict[str, str], *keys: Path) -> None:
    for key in keys:
        openssh_server.run("ssh-add", "-q", str(key), **variables)


def forget(key: Path) -> str:
    """Delete both halves of a key and return the public one."""
    public_path = key.with_name(f"{key.name}.pub")
    public = public_path.read_text()
    key.unlink()
    public_path.unlink()
    return public
