"""Where people have conda, mamba and micromamba.

Their installers change `~/.bashrc` rather than PATH: in a terminal `conda` is a function, and a
task of VS Code or a command by ssh knows nothing of it. Those files are read, never executed.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

from ...programs import find_program

__all__ = ["Found", "find_client"]

_BASES = ("miniforge3", "mambaforge", "miniconda3", "miniconda", "anaconda3", "conda", "micromamba")
_PARENTS = ("~", "~/.local", "~/.local/share", "/opt", "/usr/local", "/opt/homebrew/Caskroom")
_START_FILES = (".bashrc", ".bash_profile", ".profile", ".zshrc", ".config/fish/config.fish")
_LARGEST = 1_000_000
_SECONDS = 60
_REPORT = b"conda/exception_handler.py"
# '/home/you/miniforge3/bin/conda' 'shell.bash' 'hook', or: export MAMBA_EXE='/home/you/micromamba'
_PROGRAM = re.compile(r"""(/[^'"$\s;:()]*/(conda|mamba|micromamba))(?=['"\s;)]|$)""")
_ROOT = re.compile(r"""MAMBA_ROOT_PREFIX[= ]['"]?(/[^'"$\s;]+)""")


class Found(NamedTuple):
    """A client that answers."""

    program: str
    root: str = ""
    """The folder of its cache, which its own start-up lines set; empty: the usual one."""


def find_client(name: str, hint: str = "") -> Optional[Found]:
    """Return the client `name`; `hint` is where it was last time. None if there is none.

    In this order: what CONDA_EXE and MAMBA_EXE name, PATH, the usual folders, what conda's and
    mamba's lines in the shell's start-up files name.
    """
    seen = set()
    for program in _candidates(name, hint):
        if program in seen:
            continue
        seen.add(program)
        if _answers(program):
            return Found(program, "" if os.environ.get("MAMBA_ROOT_PREFIX") else _root())
    return None


def _answers(program: str) -> bool:
    """Return whether a program runs. conda with a broken ~/.condarc does, and reports only that."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 or _REPORT in done.stdout


def _candidates(name: str, hint: str) -> Iterator[str]:
    for named in (hint, os.environ.get("CONDA_EXE", ""), os.environ.get("MAMBA_EXE", "")):
        if named and _is_client(named, name):
            yield named
    found = find_program(name)
    if found:
        yield found
    for folder in _usual_folders():
        found = find_program(name, Path(folder))
        if found and os.path.dirname(found) == folder:
            yield found
    for text in _start_files():
        for named, kind in _PROGRAM.findall(text):
            if kind == name and _is_client(named, name):
                yield named


def _is_client(path: str, name: str) -> bool:
    stem = os.path.basename(path).rpartition(".exe")[0] or os.path.basename(path)
    return stem == name and os.path.isabs(path) and os.access(path, os.X_OK)


def _usual_folders() -> List[str]:
    """Return the folders of programs in the usual places; none if LAB_PROGRAM_FOLDERS is set."""
    if os.environ.get("LAB_PROGRAM_FOLDERS") is not None:
        return []
    bases = [os.path.join(os.path.expanduser(p), base) for p in _PARENTS for base in _BASES]
    bases += [os.path.join(base, "base") for base in bases if "Caskroom" in base]
    named = os.environ.get("MAMBA_ROOT_PREFIX") or _root()
    bases += [named] if named else []
    return [os.path.join(base, part) for base in bases for part in ("condabin", "bin", "Scripts")]


def _root() -> str:
    """Return what a start-up file sets MAMBA_ROOT_PREFIX to; empty if none does."""
    for text in _start_files():
        found = _ROOT.search(text)
        if found:
            return found.group(1)
    return ""


def _start_files() -> Iterator[str]:
    for name in _START_FILES:
        path = os.path.join(os.path.expanduser("~"), name)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(_LARGEST)
        except OSError:
            continue
        yield "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
