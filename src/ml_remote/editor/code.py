"""`lab code`: VS Code, or another editor, on the project's folder on the remote machine."""

from __future__ import annotations

import re

from ..context import Context
from ..desktop import open_link
from ..errors import LabError
from ..machine import Machine
from ..next_steps import Known, what_next, what_to_open
from ..scripts import folder_and_environment
from ..ssh.left_ports import close_left_ports
from .editors import EDITORS, GATEWAY, Editor, find_editor
from .json_with_comments import read_object
from .links import editor_configuration, file_address, folder_link, gateway_link, zed_address
from .workspace_file import workspace_path, write_workspace_file

__all__ = ["code", "extensions_in"]

_EXTENSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}\.[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# These run on the laptop; on the machine itself they have nothing to do.
_LAPTOP_ONLY = ("ms-vscode-remote.remote-ssh", "ms-vscode-remote.remote-containers")


def code(context: Context, *, alias: str | None = None, named: str | None = None) -> None:
    """Run `lab code`: write the workspace file and start the editor on it.

    `named` is the editor that is asked for. Without an editor here it says what to click instead.
    Raises LabError, as when the project is not on the machine yet.
    """
    project, console, machine = context.project, context.console, context.machine(alias)
    editor = find_editor(named)
    for port in close_left_ports(machine.client):
        console.note(f"Closed port {port} of this computer, which VS Code had left open.")
    folder, state = folder_and_environment(machine)
    if state[:1] == ["missing"]:
        console.warn(
            f"There is no environment on {machine.alias} yet, and an open window does not notice "
            "when it appears. `lab up` makes it, and opens the window as soon as it can."
        )
    if editor is not None and not editor.kind.is_of_vs_code:
        _open_another(context, editor, machine, folder)
        return
    is_new = not workspace_path(project.root, alias=machine.alias).exists()
    workspace = write_workspace_file(project.root, alias=machine.alias, folder=folder)
    setting = editor_configuration(machine.client.directory)
    if setting:
        console.say(setting)
    if editor is None:
        _say_what_to_click(context, machine.alias, folder)
        return
    if editor.is_of_windows:
        _say_what_windows_needs(context, editor, machine.alias)
        return
    _install_extensions(context, editor, machine)
    editor.open(str(workspace), *(_first_files(context, machine.alias, folder) if is_new else ()))
    console.say(f"{editor.kind.name} opens {machine.alias}:{folder} ({workspace.name}).")
    console.next_step(_in_the_editor(context, "its window"))


def _open_another(context: Context, editor: Editor, machine: Machine, folder: str) -> None:
    """Open the folder in an editor that is not built from VS Code's source."""
    console, name = context.console, editor.kind.name
    if editor.kind == GATEWAY:
        link = gateway_link(machine.client.resolve(), folder)
        opened = open_link(link)
        console.say(f"{name} {'opens' if opened else 'is opened by'} this link:\n  {link}")
    else:
        editor.open(zed_address(machine.alias, folder))
        console.say(f"{name} opens {machine.alias}:{folder}.")
    open_lab = f"in its window, open {what_to_open(context.project)}"
    console.next_step(what_next(context, Known(left=open_lab)))


def _first_files(context: Context, alias: str, folder: str) -> list[str]:
    """Return the words that open README and a lab: only once, as the window remembers its files."""
    project = context.project
    names = ["README.md", *([project.example] if project.has_labs else [])]
    here = [name for name in names if (project.root / name).is_file()]
    return [
        word for name in here for word in ("--file-uri", file_address(alias, f"{folder}/{name}"))
    ]


def _say_what_windows_needs(context: Context, editor: Editor, alias: str) -> None:
    """Explain how to make a machine that only WSL knows known to VS Code on Windows."""
    context.console.say(
        f"This terminal is in WSL, and {editor.kind.name} runs on Windows, where it reads Windows' "
        f"own SSH configuration and keys. It does not know {alias}, so nothing was opened.\n"
        "Do this once in PowerShell, in a copy of the project on a disk of Windows:\n"
        "  uv run lab.py up\n"
        "Or name a Linux editor that runs in WSL: LAB_EDITOR"
    )
    context.console.next_step(what_next(context, Known(left="in PowerShell: uv run lab.py up")))


def _install_extensions(context: Context, editor: Editor, machine: Machine) -> None:
    """Install what .vscode/extensions.json recommends, as far as that can be done from here.

    What cannot, the editor offers when it opens: nothing of this stops it.
    """
    console = context.console
    path = context.project.root / ".vscode" / "extensions.json"
    try:
        recommends = read_object(path, hint="git checkout -- .vscode") if path.exists() else {}
        recommended = extensions_in(recommends.get("recommendations"))
        if editor.install_ssh_extension():
            console.say(f"Installed here: {editor.kind.ssh_extension}")
        there = [one for one in recommended if one not in _LAPTOP_ONLY]
        for extension in editor.install_there(machine.client, there):
            console.say(f"Installed on {machine.alias}: {extension}")
    except LabError as error:
        console.warn(f"{error} The editor will offer to install the recommended extensions.")


def extensions_in(recommended: object) -> list[str]:
    """Return the names of extensions among what a file recommends: anybody may have written it."""
    names = recommended if isinstance(recommended, list) else []
    return [name for name in names if isinstance(name, str) and _EXTENSION.fullmatch(name)]


def _say_what_to_click(context: Context, alias: str, folder: str) -> None:
    """Explain how to open the folder by hand, when no editor can be started here."""
    console = context.console
    programs = ", ".join(kind.program for kind in EDITORS)
    console.say(
        f"No editor was found here ({programs}; LAB_EDITOR names another). With VS Code installed, "
        "this link opens the folder:\n"
        f"  {folder_link(alias, folder)}\n"
        "Or, in VS Code: Remote Explorer in the bar on the left (it comes with the extension "
        f"Remote - SSH), {alias}, Connect in Current Window; then Open Folder, {folder}"
    )
    console.next_step(_in_the_editor(context, "VS Code"))


def _in_the_editor(context: Context, window: str) -> str:
    """Return what to do there."""
    open_lab = f"in {window}, open {what_to_open(context.project)} and press Run All Cells"
    return what_next(context, Known(left=open_lab))
