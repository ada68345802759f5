"""`lab completion`: what makes `lab` a word of a shell, and lets the shell complete it."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..errors import LabError

__all__ = ["completion_script"]

# The lab.py of the project that the person is in. While the shell completes, uv's and our own
# words would only get between its lines.
_SH_FUNCTION = """\
lab() {
    local folder=$PWD
    while [ -n "$folder" ] && [ ! -f "$folder/lab.py" ]; do
        folder=${folder%/*}
    done
    if [ -n "$folder" ]; then
        if command -v uv >/dev/null; then
            uv run --quiet --script "$folder/lab.py" "$@"
        else
            python3 "$folder/lab.py" "$@"
        fi
    else
        [ -n "$_LAB_COMPLETE" ] || echo "lab: no lab.py in this folder, nor above it." >&2
        return 1
    fi
}
"""
_FISH_FUNCTION = """\
function lab --description 'The lab.py of the project that you are in'
    set -l folder $PWD
    while test -n "$folder"; and not test -f "$folder/lab.py"
        set folder (string replace --regex '/[^/]*$' '' -- $folder)
    end
    if test -n "$folder"
        if command --query uv
            uv run --quiet --script $folder/lab.py $argv
        else
            python3 $folder/lab.py $argv
        end
    else
        test -n "$_LAB_COMPLETE"; or echo "lab: no lab.py in this folder, nor above it." >&2
        return 1
    end
end
"""
_BEFORE = {
    "bash": _SH_FUNCTION,
    "zsh": _SH_FUNCTION + "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n",
    "fish": _FISH_FUNCTION,
}


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
    # click expects a program on the PATH. To a function, shells pass variables without `env`.
    return _BEFORE[shell] + script.replace("env ", "").replace("$+commands[", "$+functions[")
