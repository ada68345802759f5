"""`lab completion`: a script that adds the command `lab` to a shell, with completion."""

from __future__ import annotations

import shlex
from importlib.resources import files
from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from ..errors import LabError

if TYPE_CHECKING:
    from ..version import Version

__all__ = ["completion_script"]

_COMPINIT = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"


def completion_script(command: click.Group, shell: str, version: Version) -> str:
    """Return what `shell` (bash, zsh or fish) has to read to know and to complete `lab`.

    `version` is the one that it runs where lab is not installed.

    Raises LabError when click has no completion for it.
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise LabError(f"click cannot complete commands in {shell}.")
    try:
        script = completer(command, {}, "lab", "_LAB_COMPLETE").source()
    except RuntimeError as error:  # how click 8.0 says that a shell is too old
        raise LabError(str(error)) from None
    function = _function(shell, version.source)
    if shell == "zsh":
        function += _COMPINIT
    # click expects a program on the PATH. To a function, shells pass variables without `env`.
    known = "! $+commands[lab] && ! $+functions[lab]"
    return function + script.replace("env ", "").replace("! $+commands[lab]", known)


def _function(shell: str, source: tuple[str, ...] | None) -> str:
    """Return what defines `lab` where it is not installed; nothing if uv cannot bring this one."""
    if source is None:
        return ""
    name = "lab_function.fish" if shell == "fish" else "lab_function.sh"
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return text.replace("--quiet SOURCE", f"--quiet {shlex.join(source)}")
