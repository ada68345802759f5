"""Warn of files in `data/` that a run reads, as far as its text shows, and the machine lacks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ..context import Context
from ..jobs.about import Run
from ..machine import Machine
from ..project import Project
from ..scripts import run_script
from .labs import sources_of

__all__ = ["paths_read", "warn_of_missing_data"]

_MOST = 20  # paths
_COMMENT = re.compile(r"(?m)^[ \t]*#.*$")
_TEXT = re.compile(r"""(["'])(data/[^"'\n{}$*?]*)\1""")
_JOINED = re.compile(r"""Path\(\s*["']data["']\s*\)((?:\s*/\s*["'][^"'\n]+["'])+)""")
_WORD = re.compile(r"(?:.*=)?(?:\./)?(data/[^{}$*?]*)")
_MISSING = re.compile(r"(?m)^missing ([0-9]{1,3})$")


def warn_of_missing_data(context: Context, machine: Machine, run: Run) -> None:
    """Name the files and folders in `data/` that a run reads and that are not on the machine."""
    project = context.project
    paths = paths_read(project, run)
    if not paths:
        return
    said = run_script(machine, "missing-data", *paths).stdout
    missing = [paths[int(number)] for number in _MISSING.findall(said) if int(number) < len(paths)]
    here = [path for path in missing if _has_files(project.root / path)]
    if here:
        how = f"To send it: lab data push {shlex.join(here)}"
        if project.settings.data_read_only:
            how = (
                "data/ there is read-only for lab (read_only in [data]), so you must copy it "
                "another way."
            )
        context.console.warn(
            f"This run reads data that is not on {machine.alias}: {', '.join(here)}. {how}"
        )
    elsewhere = [path for path in missing if path not in here]
    if elsewhere:
        context.console.warn(
            f"This run names data that is neither here nor on {machine.alias}: "
            f"{', '.join(elsewhere)}."
        )


def _has_files(path: Path) -> bool:
    """Return whether there is something at a path that can be sent: an empty folder is not."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def paths_read(project: Project, run: Run) -> list[str]:
    """Return the paths in `data/` that the text, the parameters or the command of a run name."""
    found: list[str] = []
    for source in sources_of(project, run):
        path = project.root / source
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        text = _COMMENT.sub("", text)  # what a new lab explains, no run reads
        found += [one[2] for one in _TEXT.finditer(text)]
        for joined in _JOINED.finditer(text):
            found.append("/".join(["data", *re.findall(r"""["']([^"'\n]+)["']""", joined[1])]))
    words = (*run.command, *(value for _, value in run.parameters))
    found += [one[1].strip("\"'") for word in words if (one := _WORD.fullmatch(word))]
    clean = (path.rstrip("/") for path in found if path.isprintable() and ".." not in path)
    return list(dict.fromkeys(path for path in clean if path != "data"))[:_MOST]
