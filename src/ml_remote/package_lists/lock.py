"""requirements.lock: the versions that every environment of the project gets.

Names and versions only, for all systems and every Python that the project allows. pip and uv take
it as constraints, `-c requirements.lock`, so one file serves the laptop, the machine, CI and the
container, whichever build of torch is there. It has no hashes: pip refuses them beside a project
that is installed editable.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import LabError
from ..ui.console import Console
from .uv import reason, work_out

__all__ = ["LOCK", "differences", "is_behind", "lock_text", "versions"]

LOCK = "requirements.lock"
_HEAD = "# The versions that every environment of this project gets. Made by `lab lock`.\n"


def lock_text(
    root: Path,
    wanted: Sequence[str],
    *,
    python: str,
    before: str = "",
    upgrade: bool = False,
    console: Console | None = None,
) -> str:
    """Return the lock of these requirements, from `python`, the oldest allowed, to the newest.

    Versions of the lock `before` are kept unless `upgrade`. Raises LabError, with uv's own reason,
    when no versions fit together or the index cannot be reached.
    """
    if console is not None:
        console.note("Working out which versions fit together ...")
    command = ["pip", "compile", "--quiet", "--universal", "--python-version", python]
    command += ["--no-annotate", "--no-header"]
    with tempfile.TemporaryDirectory() as folder:
        lists, lock = Path(folder) / "requirements.in", Path(folder) / LOCK
        lists.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
        if before and not upgrade:
            lock.write_text(before, encoding="utf-8")
        command += ["--output-file", str(lock), str(lists)]
        done = work_out(command, root=root, what="which versions fit together")
        if done.returncode != 0:
            said = reason(done.stderr)
            raise LabError(
                " ".join([f"No lock was made. uv says: {said}", *_own_bounds(root, said)]),
                quoted=(said,),
                hint=_hint(said),
            )
        return _HEAD + lock.read_text(encoding="utf-8")


def _hint(said: str) -> str:
    if "was not found in" in said or "no versions of" in said:
        return "Check the spelling of the package and its version, then run the command again"
    if "No solution found" in said or "unsatisfiable" in said:
        return "Change one of these bounds, then run the command again"
    return "Check that the package index can be reached, then run the command again"


def _own_bounds(root: Path, said: str) -> list[str]:
    """Return what else binds uv, if no versions fit."""
    if "No solution found" not in said and "unsatisfiable" not in said:
        return []
    from ..far.login.environment.managers.constraints import constraints_of_uv

    return constraints_of_uv(root)


def versions(text: str) -> dict[str, list[str]]:
    """Return the versions in a lock by normalized name; some have one for each Python."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        for specifier in requirement.specifier:
            found.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return found


def is_behind(text: str, wanted: Sequence[str]) -> bool:
    """Return whether a lock lacks a package of the lists, or has a version that they exclude."""
    locked = versions(text)
    for line in wanted:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        known = locked.get(canonicalize_name(requirement.name), [])
        fitting = [one for one in known if requirement.specifier.contains(one, prereleases=True)]
        if not requirement.url and len(fitting) < max(len(known), 1):
            return True
    return False


def differences(before: str, after: str) -> list[str]:
    """Return what changed between two locks, a line for each package."""
    old, new = versions(before), versions(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        was, now = " or ".join(old.get(name, [])), " or ".join(new.get(name, []))
        if not was:
            lines.append(f"  + {name} {now}")
        elif not now:
            lines.append(f"  - {name} {was}")
        elif was != now:
            lines.append(f"  {name} {was} -> {now}")
    return lines
