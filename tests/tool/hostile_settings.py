"""Other people's variables and settings of git, all that could lead anything of ours astray."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = [
    "SETTINGS",
    "THERE_TOO",
    "VARIABLES",
    "filled",
    "hostile",
    "is_untouched",
    "plain_git",
]


# {other} is a repository of somebody else's, {program} a program that must not run.
VARIABLES = {
    "GIT_DIR": "{other}/.git",
    "GIT_WORK_TREE": "{other}",
    "GIT_INDEX_FILE": "{other}/.git/index",
    "GIT_OBJECT_DIRECTORY": "{other}/.git/objects",
    "GIT_COMMON_DIR": "{other}/.git",
    "GIT_PREFIX": "labs/",
    "GIT_NAMESPACE": "other",
    "GIT_SHALLOW_FILE": "/nowhere",
    "GIT_GRAFT_FILE": "/nowhere",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_ALLOW_PROTOCOL": "https",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_EXTERNAL_DIFF": "{program}",
    "GIT_TRACE": "1",
    "GIT_TRACE_PACKET": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.worktree",
    "GIT_CONFIG_VALUE_0": "/nowhere",
    "GIT_ASKPASS": "{program}",
    "GIT_EDITOR": "{program}",
    "GIT_PAGER": "{program}",
    "RSYNC_RSH": "{program}",
    "RSYNC_PROTECT_ARGS": "0",
    "RSYNC_ICONV": "utf-8,latin1",
    "RSYNC_PARTIAL_DIR": "/nowhere",
    "RSYNC_CHECKSUM_LIST": "md4",
    "LC_ALL": "POSIX",
    "LANGUAGE": "de",
    "SSH_ASKPASS": "{program}",
    "SSH_ASKPASS_REQUIRE": "force",
    "SSH_AUTH_SOCK": "",
    "SSH_SK_PROVIDER": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONBREAKPOINT": "nowhere.at_all",
    "PYTHONPYCACHEPREFIX": "/nowhere",
    "PYTHONVERBOSE": "",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONNODEBUGRANGES": "1",
    "PYTHONFAULTHANDLER": "1",
    "TMPDIR": "/nowhere",
    "POSIXLY_CORRECT": "1",
    "CDPATH": "/tmp",
    "BASH_ENV": "{program}",
    "ENV": "{program}",
    "LD_PRELOAD": "/nowhere.so",
    "LD_LIBRARY_PATH": "/nowhere",
    "GREP_OPTIONS": "--color=always",
    "GREP_COLORS": "mt=1",
    "TAR_OPTIONS": "--verbose",
    "LESS": "-e",
    "PAGER": "{program}",
    "EDITOR": "{program}",
    "VISUAL": "{program}",
    "BROWSER": "{program}",
    "COLUMNS": "20",
    "LINES": "3",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "TERM": "dumb",
    "IFS": ",",
    "SHELLOPTS": "xtrace",
    "PS4": "traced ",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "BLOCK_SIZE": "1M",
    "DF_BLOCK_SIZE": "7",
    "TIME_STYLE": "full-iso",
    "QUOTING_STYLE": "shell",
    "TMOUT": "1",
    "TZ": "Nowhere/Land",
    "DISPLAY": ":99",
    "SHELL": "/bin/false",
    "USER": "nobody",
    "LOGNAME": "nobody",
    "HOSTNAME": "elsewhere",
    "PWD": "/nowhere",
    "OLDPWD": "/nowhere",
    "COMP_WORDS": "x",
    "CLICK_COLOR": "always",
    "EMAIL": "x",
    "LAB_DEBUG": "",
}
SETTINGS = {
    "advice.detachedHead": "false",
    "color.diff": "always",
    "color.push": "always",
    "color.remote": "always",
    "color.status": "always",
    "color.transport": "always",
    "color.ui": "always",
    "commit.gpgSign": "true",
    "core.abbrev": "4",
    "core.askPass": "{program}",
    "core.autocrlf": "input",
    "core.editor": "{program}",
    "core.fsmonitor": "{program}",
    "core.pager": "{program}",
    "core.quotePath": "true",
    "core.safecrlf": "true",
    "credential.helper": "!{program}",
    "diff.external": "{program}",
    "diff.ignoreSubmodules": "none",
    "diff.noprefix": "true",
    "diff.orderFile": "/nowhere",
    "diff.renames": "copies",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "fetch.recurseSubmodules": "true",
    "format.pretty": "raw",
    "gpg.program": "{program}",
    "i18n.logOutputEncoding": "latin1",
    "init.defaultBranch": "trunk",
    "log.date": "relative",
    "log.follow": "true",
    "log.showSignature": "true",
    "merge.autoStash": "true",
    "merge.ff": "false",
    "protocol.allow": "never",
    "pull.rebase": "true",
    "push.followTags": "true",
    "push.gpgSign": "true",
    "push.negotiate": "true",
    "push.pushOption": "ci.skip",
    "push.recurseSubmodules": "on-demand",
    "rerere.enabled": "true",
    "safe.bareRepository": "explicit",
    "status.relativePaths": "true",
    "status.renames": "copies",
    "status.showUntrackedFiles": "no",
    "submodule.recurse": "true",
    "url.https://elsewhere.invalid/.insteadOf": "machine:",
    "url.https://elsewhere.invalid/.pushInsteadOf": "machine:",
}
THERE_TOO = {"receive.denyCurrentBranch": "refuse", "receive.denyNonFastForwards": "true"}


def plain_git(folder: Path, *arguments: str) -> str:
    """Run git as nobody's settings have it, and return what it prints."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def filled(table: dict[str, str], **values: str) -> dict[str, str]:
    return {name: value.format(**values) for name, value in table.items()}


def hostile(folder: Path) -> tuple[dict[str, str], Path, Path]:
    """Return variables with all settings, the other repository, and what the program leaves."""
    folder.mkdir(exist_ok=True)
    other, program, ran = folder / "other", folder / "program", folder / "ran"
    plain_git(folder, "init", "--quiet", str(other))
    (other / "file").write_text("theirs\n")
    plain_git(other, "add", ".")
    identity = ("-c", "user.name=Other", "-c", "user.email=o@example.com")
    plain_git(other, *identity, "commit", "--quiet", "--message", "Theirs")
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$0 $*\" >>'{ran}'\nexit 1\n")
    program.chmod(0o755)
    values = {"other": str(other), "program": str(program)}
    settings = {"user.name": "Tess Ter", "user.email": "tess@example.com"}
    settings |= filled(SETTINGS, **values)
    for name, value in settings.items():
        plain_git(folder, "config", "--file", str(folder / "settings"), "--add", name, value)
    variables = filled(VARIABLES, **values)
    return variables | {"GIT_CONFIG_GLOBAL": str(folder / "settings")}, other, ran


def is_untouched(other: Path) -> bool:
    return (
        plain_git(other, "log", "--format=%s", "--all") == "Theirs"
        and plain_git(other, "status", "--porcelain") == ""
        and [path.name for path in other.iterdir() if path.name != ".git"] == ["file"]
    )
