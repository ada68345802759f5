"""How git is started here: without variables that change its repository or its language.

A hook of git sets variables that name its own repository, and a person's settings change what
commands print, ask and send. So those variables are removed, and the settings that we rely on are
given on the command line. What is a person's policy stays: their hooks, their ignored files, what
they let their server or git check. `far/login/git.sh` does the same on the machine, and the
template's hook for the first commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["OLDEST", "REMOVED", "SETTINGS", "git_command", "git_variables", "is_old", "oldest"]

OLDEST = (2, 11)
"""The oldest git that `lab` works with, here and there."""

REMOVED = (
    # What `git rev-parse --local-env-vars` lists.
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    # Others that lead to another repository, or make a new one of another kind.
    "GIT_ATTR_SOURCE",
    "GIT_DEFAULT_HASH",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
    # What changes what names of files mean, what is printed, and which ways git may take.
    "GIT_ALLOW_PROTOCOL",
    "GIT_DIFF_OPTS",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_PAGER_IN_USE",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_PERFORMANCE",
    "GIT_TRACE_SETUP",
)
"""The variables that no git of ours gets."""

SETTINGS = (
    *(
        f"color.{what}=false"
        for what in ("ui", "advice", "diff", "grep", "push", "remote", "status", "transport")
    ),
    "core.askPass=",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "diff.noprefix=false",
    "diff.orderFile=/dev/null",
    "diff.renames=false",
    "fetch.prune=false",
    "fetch.pruneTags=false",
    "fetch.recurseSubmodules=false",
    "i18n.logOutputEncoding=utf-8",
    "log.follow=false",
    "log.showSignature=false",
    "merge.autoStash=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.negotiate=false",
    "push.pushOption=",
    "push.recurseSubmodules=no",
    "status.renames=false",
    "submodule.recurse=false",
)
"""The settings that each git of ours gets."""

# English, and no questions, neither in the terminal nor in a window.
_SET = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""}


def oldest() -> str:
    """Return the oldest version that `lab` works with, for people."""
    return ".".join(map(str, OLDEST))


def is_old(version: str, *, oldest: tuple[int, int] = OLDEST) -> bool:
    """Return whether a version, as `git --version` says it, is older than the oldest we know.

    One that cannot be read is not.
    """
    numbers = re.search(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < oldest


def git_command(*arguments: str) -> list[str]:
    """Return the command that runs git with these arguments, and with our settings."""
    return ["git", *(word for setting in SETTINGS for word in ("-c", setting)), *arguments]


def git_variables(variables: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the variables for a git; None is for one that is removed. `variables` come last."""
    return {**dict.fromkeys(REMOVED), **_SET, **(variables or {})}
