"""`<alias>.code-workspace`: the file that opens the project's folder on the remote machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import ConfigurationError
from ..files import Change, apply_changes, keep_backup, read_bytes
from ..state import NAME, make_state
from ..transfer.local_repository import is_tracked
from .json_with_comments import read_object

__all__ = ["merge", "workspace_path", "write_workspace_file"]


def workspace_path(project: Path, *, alias: str) -> Path:
    """Return where the workspace file of a machine is."""
    return project / f"{alias}.code-workspace"


def write_workspace_file(project: Path, *, alias: str, folder: str) -> Path:
    """Write the file into `project` and return its path.

    `folder` is the absolute path of the project on the machine. What the person has added to an
    existing file stays, and that file is kept in `.lab` as it was. Raises ConfigurationError when
    it, or the project's settings, cannot be read, or a commit made it a link to anywhere; nothing
    is written then.
    """
    path = workspace_path(project, alias=alias)
    if path.is_symlink() and is_tracked(project, path.name):
        raise ConfigurationError(
            f"{path} is a link that a commit brought, so nothing was written to where it leads.",
            hint=f"Remove it: git rm --cached {path.name}; rm {path.name}",
        )
    settings_path = project / ".vscode" / "settings.json"
    settings: dict[str, Any] = {}
    before: dict[str, Any] = {}
    if settings_path.exists():
        settings = read_object(
            settings_path, hint="To see what was changed: git diff .vscode/settings.json"
        )
    if path.exists():
        before = read_object(path, hint="Fix it, or delete it: it will be written again.")
    try:
        after = merge(before, alias=alias, folder=folder, settings=settings)
    except TypeError as error:
        raise ConfigurationError(
            f"{path} is no workspace file: {error}.",
            hint="Fix it, or delete it: it will be written again.",
        ) from None
    if after != before:  # else the comments that it may hold would be lost for nothing
        _write(path, json.dumps(after, indent=2, ensure_ascii=False) + "\n")
    return path


def merge(
    before: Mapping[str, Any], *, alias: str, folder: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of a workspace file that opens `folder` with the project's settings.

    The settings are repeated here because in a workspace VS Code uses only some of those in the
    folder. Everything else in `before` stays: other settings, further folders, tasks.

    Raises TypeError when `folders` or `settings` in `before` are not of the form they must have.
    """
    folders = before.get("folders", [])
    own_settings = before.get("settings", {})
    if not isinstance(folders, list) or not all(isinstance(one, dict) for one in folders):
        raise TypeError("its folders are not a list of objects")
    if not isinstance(own_settings, dict):
        raise TypeError("its settings are not an object")
    authority = f"ssh-remote+{alias}"
    machine = f"vscode-remote://{authority}"
    address = f"{machine}{quote(folder)}"
    if all(one.get("uri") != address for one in folders):
        # The folder on the machine was moved, or this is new.
        first_is_ours = folders and str(folders[0].get("uri", "")).startswith(f"{machine}/")
        folders = [{"uri": address}, *folders[1 if first_is_ours else 0 :]]
    return {
        **before,
        "folders": folders,
        "remoteAuthority": authority,
        "settings": {**own_settings, **settings},
    }


def _write(path: Path, text: str) -> None:
    """Write the file in one piece: VS Code, which watches it, finds the old one or the new one.

    The old one, with its comments, is kept in `.lab`; a link to the file stays one.
    """
    try:
        before, after = read_bytes(path), text.encode()
        if before is not None:
            keep_backup(path, before, folder=make_state(path.parent / NAME) / "workspaces")
        apply_changes([Change(path=path.resolve(), before=before, after=after)])
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{path} cannot be written: {reason}.") from None
