"""`lab completion`: what makes `lab` a word of a shell, and lets the shell complete it."""

from __future__ import annotations

from importlib.resources import files

import click
from click.shell_completion import get_completion_class

from ..errors import LabError

__all__ = ["completion_script"]

_COMPINIT = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"


def completion_script(command: click.Group, shell: str) -> str:
    """Return what `shell` (bash, zsh or fish) has to read to know and to complete `lab`.

    Raises LabError when click has no completion for it.
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise LabError(f"click cannot complete commands in {shell}.")
    try:
        script = completer(command, {}, "lab", "_LAB_COMPLETE").source()
    except RuntimeError as error:  # how click 8.0 says that a shell is too old
        raise LabError(str(error)) from None
    name = "lab_function.fish" if shell == "fish" else "lab_function.sh"
    function = files(__package__).joinpath(name).read_text(encoding="utf-8")
    if shell == "zsh":
        function += _COMPINIT
    # click expects a program on the PATH. To a function, shells pass variables without `env`.
    known = "! $+commands[lab] && ! $+functions[lab]"
    return function + script.replace("env ", "").replace("! $+commands[lab]", known)
