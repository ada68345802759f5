"""How a machine opens in VS Code: the link to a folder there, and the setting that it needs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ..ssh.ssh_directory import is_default_directory

__all__ = ["editor_configuration", "folder_link"]


def folder_link(alias: str, folder: str) -> str:
    """Return the link that opens the absolute path `folder` on the machine in VS Code."""
    return f"vscode://vscode-remote/ssh-remote+{alias}{quote(folder)}"


def editor_configuration(directory: Path) -> str | None:
    """Return the setting that VS Code needs to find the configuration in `directory`, if any."""
    if is_default_directory(directory):
        return None
    return (
        f'VS Code needs this in your user settings: "remote.SSH.configFile": '
        f'"{(directory / "config").as_posix()}"'
    )
