"""Computing an edit of the SSH configuration: bytes in, bytes and sentences out, no writing."""

from __future__ import annotations

import os
import stat
import textwrap
from dataclasses import replace
from pathlib import Path

from ..errors import AliasTakenError, DamagedEntryError, UsageError
from ..files import Change
from .address import Destination, parse_jump
from .configuration import named_hosts, parse, read_sources
from .entry import ASKED_PERSIST, Entry, render
from .ssh_directory import (
    NO_CONFIG_MARK,
    State,
    control_path,
    include_line,
    our_directory,
    our_include,
)

__all__ = [
    "changes_between",
    "check_alias_is_free",
    "how_by_hand",
    "is_as_rendered",
    "obstacle_to_replacing",
    "parse_entry",
    "rendered",
    "with_include",
    "without_include",
]


def rendered(entry: Entry, directory: Path) -> bytes:
    """Return what the file of `entry` holds in `directory`."""
    return render(entry, control_path=control_path(directory)).encode()


def parse_entry(data: bytes, *, alias: str, path: Path) -> Entry:
    """Return the entry that `data`, the content of the file `path`, holds.

    Raises DamagedEntryError when that is not one host of the name `alias`, with an address.
    """
    lines = parse(data)
    values = {line.keyword: line.arguments[0] for line in reversed(lines) if line.arguments}
    command = next((line.raw for line in lines if line.keyword == "proxycommand"), None)
    try:
        if [line.arguments for line in lines if line.keyword == "host"] != [(alias,)]:
            raise ValueError(f"it does not hold the one host {alias}")
        if "hostname" not in values:
            raise ValueError("its host has no address")
        identity, known = values.get("identityfile"), values.get("userknownhostsfile")
        return Entry(
            alias=alias,
            destination=Destination(
                host=values["hostname"],
                user=values.get("user"),
                port=int(values["port"]) if "port" in values else None,
            ),
            jump=parse_jump(values.get("proxyjump", "")),
            identity=None if identity is None else Path(identity.replace("%%", "%")),
            without_agent=values.get("identityagent") == "none",
            asks=values.get("controlpersist") == ASKED_PERSIST,
            # It is not split into words.
            proxy=None if command is None else command.decode().split(None, 1)[1].rstrip(),
            known_hosts=None if known is None else Path(known),
        )
    except (ValueError, IndexError, UsageError) as error:
        raise DamagedEntryError(
            f"{path} was changed since `lab connect` wrote it: {error}",
            hint="Run `lab connect` with the address again; the old content is kept as a backup.",
        ) from None


def is_as_rendered(path: Path, data: bytes, directory: Path) -> bool:
    """Return whether `data` is exactly as we write the file `path`."""
    try:
        return rendered(parse_entry(data, alias=path.stem, path=path), directory) == data
    except DamagedEntryError:
        return False


def with_include(state: State) -> State:
    """Return the state with our Include before everything but comments of the person's.

    Every other byte stays. A line of ours that is further down, where it would belong to a Host
    block or come too late, is moved.
    """
    data = state.data or b""
    if state.include_position != "first":
        ending = b"\r\n" if data.partition(b"\n")[0].endswith(b"\r") and b"\n" in data else b"\n"
        line = include_line(state.directory).encode() + ending
        data = line + our_include(state.directory).sub(b"", data)
    was_missing = state.data is None or state.config_was_missing
    return replace(state, data=data, config_was_missing=was_missing)


def without_include(state: State) -> State:
    """Return the state without our Include, and without a configuration that only we had made."""
    data = our_include(state.directory).sub(b"", state.data or b"")
    gone = state.data is None or (not data and state.config_was_missing)
    return replace(state, data=None if gone else data, config_was_missing=False)


def changes_between(before: State, after: State) -> list[Change]:
    """Return the files that differ, so ordered that ssh works after each of the changes."""
    old, new = _own_files(before), _own_files(after)
    own = [
        Change(path=path, before=old.get(path), after=new.get(path))
        for path in sorted({*old, *new})
    ]
    config = Change(path=before.config, before=before.data, after=after.data)
    written = [one for one in own if one.after is not None]
    removed = [one for one in own if one.after is None]
    return [one for one in (*written, config, *removed) if one.before != one.after]


def _own_files(state: State) -> dict[Path, bytes]:
    """Return what our own files hold, and the mark that there was no configuration before us."""
    ours = our_directory(state.directory)
    mark = {ours / NO_CONFIG_MARK: b""} if state.config_was_missing else {}
    return mark | {ours / name: data for name, data in state.entries.items()}


def check_alias_is_free(entry: Entry, state: State, *, replace_other: bool) -> None:
    """Raise AliasTakenError when writing `entry` would change what its alias means already."""
    ours = our_directory(state.directory)
    path = ours / f"{entry.alias}.conf"
    if path.name not in state.entries:
        for source, lines in read_sources(state.config, state.data or b"").items():
            for number, line in enumerate(lines if source.parent != ours else (), start=1):
                for name in named_hosts(line):
                    if name.lower() == entry.alias:
                        raise AliasTakenError(
                            f"{name} is already in {source}, line {number}.",
                            hint="Choose another alias (in lab.toml: alias in [remote]).",
                        )
        return
    try:
        old = parse_entry(state.entries[path.name], alias=entry.alias, path=path)
    except DamagedEntryError:
        return  # it leads nowhere; writing it again fixes it
    if old.way != entry.way and not replace_other:
        raise AliasTakenError(
            f"{entry.alias} already means {_route(old)} (in {path}), not {_route(entry)}.",
            hint="Choose another alias (in lab.toml: alias in [remote]); or point it at the new "
            "machine with --replace",
        )


def obstacle_to_replacing(state: State) -> str | None:
    """Return why the person's configuration should not be replaced by a new file, or `None`.

    The permission bits are looked at as well as the access itself: they say what the person means
    even to a program that may write everywhere.
    """
    path = state.config
    if path.parent.is_dir() and not _is_writable(path.parent):
        return f"{path} is in a read-only directory."
    if state.data is not None and not _is_writable(path):
        return f"{path} is read-only."
    if state.data is not None and path.stat().st_nlink > 1:
        return f"{path} has hard links, which would keep the old content."
    return None


def how_by_hand(alias: str, entry: Entry | None, directory: Path) -> str:
    """Return, in several lines, how to add `entry` without us, or to take `alias` away."""
    ours, config = our_directory(directory), directory / "config"
    line = f"    {include_line(directory)}\n"
    if entry is None:
        return (
            f"Remove the file {ours / f'{alias}.conf'}.\n"
            f"If it was the last one in {ours}, remove this line from {config}:\n\n{line}"
        )
    text = textwrap.indent(rendered(entry, directory).decode(), "    ")
    return (
        f"Make this the very first line of {config}:\n\n{line}\n"
        f"and put this into {ours / f'{alias}.conf'}, a file that only you can write:\n\n{text}"
    )


def _route(entry: Entry) -> str:
    if entry.proxy is not None:  # a person may have added one; `lab node` names the host key, too
        is_node = entry.known_hosts is not None
        return "a compute node (`lab node`)" if is_node else f"{entry.destination} by ProxyCommand"
    via = f" through {', '.join(map(str, entry.jump))}" if entry.jump else ""
    return f"{entry.destination}{via}"


def _is_writable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWUSR) and os.access(path, os.W_OK)
