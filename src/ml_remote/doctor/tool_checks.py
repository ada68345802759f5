"""The checks of `lab doctor` on the programs that the machine's sh finds: rsync and small tools."""

from __future__ import annotations

import re

from ..transfer import rsync
from ..ui.text import in_one_line
from .findings import Finding, State, ok, unknown

__all__ = ["check_rsync", "check_tools"]

_INSTALL = (
    "sudo apt install rsync (without an administrator: conda install rsync; "
    "macOS: brew install rsync)"
)
_SHOWN = 60  # characters of what a program says of its version
_TOOL = re.compile(r"[a-z]{1,12}")


def check_rsync(there: str | None, here: str, *, sftp: State) -> Finding:
    """Check that results can be copied by rsync, or by sftp where rsync is missing or old.

    `there` and `here` are what it says of its version, `sftp` is what its own check found.
    """
    if there is None:
        return unknown("rsync", "the machine did not say which one it has")
    sides = {"the machine": in_one_line(there)[:_SHOWN].strip(), "this computer": here[:_SHOWN]}
    lacking = {where: said for where, said in sides.items() if not rsync.is_new_enough(said)}
    if not lacking:
        numbers = (".".join(map(str, rsync.version_in(said))) for said in sides.values())
        return ok("rsync", "{} on the machine, {} on this computer".format(*numbers))
    found = " and ".join(f"{said or 'none'} on {where}" for where, said in lacking.items())
    needed = f"{found}; {'.'.join(map(str, rsync.OLDEST))} or newer is needed on both sides"
    if sftp == "failed":
        detail = f"{needed}; without it nothing can be copied, because there is no sftp either"
    else:
        detail = f"{needed}, so results are copied by sftp, which cannot handle every file name"
    return Finding(
        name="rsync",
        state="failed" if sftp == "failed" else "warning",
        detail=detail,
        remedy=f"On the machine: {_INSTALL}"
        if "the machine" in lacking
        else f"On this computer: {_INSTALL}",
        quoted=tuple(said for said in lacking.values() if said),
    )


def check_tools(lacking: str | None) -> Finding:
    """Check that the machine has the usual small Unix programs, which our scripts use.

    `lacking` are the names of those that it has not.
    """
    if lacking is None:
        return unknown("tools", "the machine did not say which programs it has")
    missing = [name for name in lacking.split() if _TOOL.fullmatch(name)]
    if not missing:
        return ok("tools", "sh and the usual small programs")
    return Finding(
        name="tools",
        state="failed",
        detail=f"the machine's PATH lacks {', '.join(missing)}, which lab uses",
        remedy="Install them on the machine, or fix PATH in your shell's start-up files (Debian "
        "and Ubuntu: coreutils, findutils, grep, sed, mawk)",
    )
