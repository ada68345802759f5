"""The checks of `lab doctor`, from this computer to the remote machine, in their order."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError, LabError
from ..files import is_of_another_user
from ..git import git_command, git_variables
from ..login.keys import Key, agent_keys, read_key
from ..project import Project
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.entry import Entry
from ..ssh.settings_at_fault import fault_of_settings
from ..ssh.ssh_config import read_entry
from ..ssh.ssh_directory import check_directories, our_directory, read_state
from .connection_checks import examine_connection
from .findings import Finding, failed, ok, skipped, unknown
from .local_checks import check_disk_here, check_editor, check_git_here, check_shared_connection

__all__ = [
    "check_agent",
    "check_entry",
    "check_include",
    "check_key",
    "check_permissions",
    "check_repository",
    "check_version",
    "examine",
]

_OLDEST_SSH = (7, 6)  # the first with StrictHostKeyChecking=accept-new
_KEYS_AT_MOST = 5  # sshd ends a login after six attempts


def examine(client: Client, project: Project) -> Iterator[Finding]:
    """Yield the findings one after the other, those first on which the later ones depend.

    Raises ConfigurationError when `lab.toml` cannot be used.
    """
    alias, directory = client.alias, client.directory
    _ = project.settings  # fails first, if at all
    yield check_version()
    yield check_git_here()
    yield check_disk_here(project.root)
    yield check_editor()
    yield from check_permissions(directory)
    entry, is_read = None, False
    try:
        entry, is_read = read_entry(alias, directory=directory), True
        yield check_include(entry, directory)
    except LabError as error:
        yield failed("entry", error)
    try:
        resolved = client.resolve()
    except LabError as error:
        yield failed("configuration", error)
        return
    fault = fault_of_settings(resolved, alias=alias)
    if fault is not None:
        yield failed("configuration", fault)
        return
    if is_read:
        yield check_entry(entry, alias, resolved)
    key = check_key(entry)
    yield key
    yield check_agent(entry, resolved)
    yield check_repository(project.root, resolved)
    yield check_shared_connection(client, resolved)
    yield from examine_connection(client, resolved, project)


def check_version() -> Finding:
    """Check that ssh is installed and new enough."""
    try:
        printed = processes.run(["ssh", "-V"]).stderr.strip()
    except LabError as error:
        return failed("ssh", error)
    found = re.search(r"^OpenSSH\D*(\d+)\.(\d+)", printed, re.MULTILINE)
    if found is not None and (int(found[1]), int(found[2])) < _OLDEST_SSH:
        oldest = ".".join(map(str, _OLDEST_SSH))
        return Finding(
            name="ssh",
            state="failed",
            detail=f"{found[0]} is too old: {oldest} or newer is needed",
            remedy="Update your system's OpenSSH client",
        )
    if found is None:
        return unknown("ssh", "its version cannot be read")
    return ok("ssh", printed[found.start() :].partition(",")[0])


def check_permissions(directory: Path) -> Iterator[Finding]:
    """Check that nobody else can write to the files that ssh reads; ssh refuses such files."""
    if os.name != "posix":
        yield skipped("permissions", "Windows has access lists instead")
        return
    try:
        check_directories(directory)
    except LabError as error:
        yield failed("permissions", error)
        return
    if not directory.is_dir():
        yield Finding(
            name="permissions",
            state="failed",
            detail=f"there is no {directory}",
            remedy="lab connect user@address",
        )
        return
    ours = our_directory(directory)
    paths = [directory, directory / "config", ours, *sorted(ours.glob("*.conf"))]
    foreign = [path for path in paths if is_of_another_user(path)]
    wrong = [path for path in paths if _is_open_to_others(path)]
    if foreign:
        yield Finding(
            name="permissions",
            state="failed",
            detail=f"another user owns {', '.join(map(str, foreign))}",
            remedy=f'sudo chown "$USER" {shlex.join(map(str, foreign))}',
        )
    elif wrong:
        quoted = shlex.join(map(str, wrong))
        yield Finding(
            name="permissions",
            state="failed",
            detail=f"others may write to {', '.join(map(str, wrong))}",
            remedy=f"chmod go-w {quoted}",
        )
    else:
        yield ok("permissions", "only you can write to your SSH configuration")


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o022)
    except OSError:
        return False  # reading it says why


def check_include(entry: Entry | None, directory: Path) -> Finding:
    """Check that our Include is still the first line of the person's configuration."""
    if entry is None:
        return skipped("include", "lab has written no entry")
    try:
        position = read_state(directory).include_position
    except LabError as error:
        return failed("include", error)
    if position == "first":
        return ok("include", "the first line of your configuration")
    where = "is no longer its first line" if position == "later" else "is gone"
    return Finding(
        name="include",
        state="failed",
        detail=f"lab's Include in {directory / 'config'} {where}",
        remedy="lab connect --offline",
    )


def check_entry(entry: Entry | None, alias: str, resolved: Mapping[str, list[str]]) -> Finding:
    """Check that ssh resolves the alias to what our entry says."""
    if entry is None:
        if resolved["hostname"] != [alias]:
            return ok("entry", f"{alias} is in your own configuration")
        return Finding(
            name="entry",
            state="failed",
            detail=f"{alias} is not known to ssh",
            remedy="lab connect user@address",
        )
    if resolved["hostname"] == [alias] != [entry.destination.host]:
        return Finding(
            name="entry",
            state="failed",
            detail=f"ssh does not read lab's entry for {alias}",
            remedy="lab connect --offline",
        )
    wanted = {
        "hostname": entry.destination.host,
        "user": entry.destination.user,
        "port": None if entry.destination.port is None else str(entry.destination.port),
    }
    for keyword, value in wanted.items():
        if value is not None and resolved[keyword] != [value]:
            return Finding(
                name="entry",
                state="failed",
                detail=f"{keyword} of {alias} is {resolved[keyword][0]}, but the entry says "
                f"{value}: something that is read earlier wins",
                remedy="lab connect --offline",
            )
    return ok("entry", f"{alias} is {entry.destination}")


def check_key(entry: Entry | None) -> Finding:
    """Check that the key exists, is private, and matches its public half."""
    if entry is None or entry.identity is None:
        return skipped("key", "none is named; ssh tries them all")
    try:
        key = read_key(expanded(entry.identity))
    except LabError as error:
        return failed("key", error)
    return ok("key", f"{key.path} ({key.public.type})")


def check_agent(entry: Entry | None, resolved: Mapping[str, list[str]]) -> Finding:
    """Check that the agent has the key, if it must, and few enough keys for a server."""
    held = agent_keys(resolved)
    key = _usable_key(entry)
    needed = key is not None and (key.encrypted or key.path.suffix == ".pub")
    if key is not None and needed:
        if held is None or key.public.blob not in {public.blob for public in held}:
            return Finding(
                name="agent",
                state="failed",
                detail="no agent is running"
                if held is None
                else f"the agent does not have {key.path}",
                remedy=f"ssh-add {shlex.quote(str(key.path))}"
                if held is not None
                else 'eval "$(ssh-agent)"',
            )
        return ok("agent", "it has the key")
    if held is None and os.environ.get("SSH_AUTH_SOCK"):
        return Finding(
            name="agent",
            state="warning",
            detail="the one in SSH_AUTH_SOCK does not answer; this key does not need one",
            remedy='eval "$(ssh-agent)"',
        )
    if held is None:
        return ok("agent", "none is running, and none is needed")
    if len(held) > _KEYS_AT_MOST and resolved.get("identitiesonly") != ["yes"]:
        return Finding(
            name="agent",
            state="failed",
            detail=f"it has {len(held)} keys and offers them all; servers give up after six",
            remedy="lab connect",
        )
    return ok("agent", f"it is running; number of keys: {len(held)}")


def _usable_key(entry: Entry | None) -> Key | None:
    if entry is None or entry.identity is None:
        return None
    try:
        return read_key(expanded(entry.identity))
    except LabError:
        return None


def check_repository(root: Path, resolved: Mapping[str, list[str]]) -> Finding:
    """Check that no file that git tracks, and others would get, has the machine's address."""
    (host, *_) = resolved["hostname"]
    if "." not in host or host.startswith("127."):
        return skipped("repository", "the machine's name is not a public address")
    try:
        done = processes.run(
            git_command(
                "grep", "--cached", "--name-only", "--fixed-strings", "--word-regexp", host
            ),
            variables=git_variables(),
            folder=root,
        )
    except ConfigurationError:
        return unknown("repository", "git is not installed on this computer")
    if "not a git repository" in done.stderr.lower():
        return skipped("repository", "not under version control")
    if done.returncode > 1:
        return unknown("repository", "git cannot read it", remedy="git status")
    if done.stdout:
        return Finding(
            name="repository",
            state="failed",
            detail=f"the machine's address is in {', '.join(done.stdout.split())}",
            remedy=f"git grep --cached {host}",
        )
    return ok("repository", "no tracked file names the machine")
