"""Links that open a folder of the machine in VS Code, and the setting they need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from ..ssh.ssh_directory import is_default_directory

__all__ = ["editor_configuration", "file_address", "folder_link", "gateway_link", "zed_address"]


def folder_link(alias: str, folder: str) -> str:
    """Return the link that opens the absolute path `folder` on the machine in VS Code."""
    return f"vscode://vscode-remote/ssh-remote+{alias}{quote(folder)}"


def file_address(alias: str, file: str) -> str:
    """Return the address by which VS Code's command line opens a file on the machine."""
    return f"vscode-remote://ssh-remote+{alias}{quote(file)}"


def zed_address(alias: str, folder: str) -> str:
    """Return what Zed's command line opens. Source: https://zed.dev/docs/remote-development."""
    return f"ssh://{alias}{quote(folder)}"


def gateway_link(resolved: Mapping[str, list[str]], folder: str) -> str:
    """Return the link that fills in the connection form of JetBrains Gateway.

    It takes no alias, so `resolved` is what ssh makes of one: host name, user and port.

    Source: https://www.jetbrains.com/help/idea/remote-development-a.html
    """
    names = {"host": "hostname", "port": "port", "user": "user"}
    values = {name: resolved[keyword][0] for name, keyword in names.items()}
    values |= {"type": "ssh", "projectPath": folder}
    return f"jetbrains-gateway://connect#{urlencode(values, quote_via=quote)}"  # a blank is no plus


def editor_configuration(directory: Path) -> str | None:
    """Return the setting that VS Code needs to find the configuration in `directory`, if any."""
    if is_default_directory(directory):
        return None
    return (
        f'VS Code needs this in your user settings: "remote.SSH.configFile": '
        f'"{(directory / "config").as_posix()}"'
    )
