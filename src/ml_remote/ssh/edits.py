"""Computing an edit of the SSH configuration: bytes in, bytes and sentences out, no writing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import AliasTakenError, DamagedEntryError, UsageError
from ..files import Change
from .address import Destination, parse_jump
from .configuration import parse, read_sources
from .entry import Entry, render
from .ssh_directory import (
    NO_CONFIG_MARK,
    State,
    control_path,
    include_line,
    is_our_include,
    our_directory,
)

__all__ = [
    "changes_between",
    "check_alias_is_free",
    "how_to_connect_by_hand",
    "how_to_disconnect_by_hand",
    "is_as_rendered",
    "obstacle_to_replacing",
    "parse_entry",
    "rendered",
    "unified_diff",
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
    hosts = []
    values: dict[str, str] = {}
    for line in parse(data):
        if line.keyword == "host":
            hosts.append(line.arguments)
        elif line.arguments:
            values.setdefault(line.keyword, line.arguments[0])
    try:
        if hosts != [(alias,)] or "hostname" not in values:
            raise ValueError("no single host with an address")
        identity = values.get("identityfile")
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
        )
    except (ValueError, UsageError) as error:
        raise DamagedEntryError(
            f"{path} is not as `lab connect` wrote it: {error}",
            hint="Run `lab connect` with the address again; the old content is kept as a backup.",
        ) from None


def is_as_rendered(change: Change, state: State) -> bool:
    """Return whether the old content is exactly as we write it, so that it can be had again."""
    assert change.before is not None
    if change.path == state.config:
        return False
    if not change.before:
        return True  # the mark that there was no configuration
    try:
        entry = parse_entry(change.before, alias=change.path.stem, path=change.path)
    except DamagedEntryError:
        return False
    return rendered(entry, state.directory) == change.before


def with_include(state: State) -> bytes:
    """Return the person's configuration with our Include before everything but comments.

    Every other byte stays. A line of ours that stands further down, where it would belong to a Host
    block or come too late, is moved.
    """
    data = state.data or b""
    if state.include_position == "first":
        return data
    first_line = data.partition(b"\n")[0]
    ending = b"\r\n" if b"\n" in data and first_line.endswith(b"\r") else b"\n"
    return include_line(state.directory).encode() + ending + _without_our_lines(state)


def without_include(state: State) -> State:
    """Return the state without our Include, and without a configuration that only we had made."""
    if state.data is None:
        return replace(state, config_was_missing=False)
    data = _without_our_lines(state)
    gone = not data and state.config_was_missing
    return replace(state, data=None if gone else data, config_was_missing=False)


def changes_between(before: State, after: State) -> Iterator[Change]:
    """Yield the files that differ, so ordered that ssh works after each of the changes."""
    ours = our_directory(before.directory)
    entries = [
        Change(path=ours / name, before=before.entries.get(name), after=after.entries.get(name))
        for name in sorted({*before.entries, *after.entries})
        if before.entries.get(name) != after.entries.get(name)
    ]
    mark = Change(
        path=ours / NO_CONFIG_MARK,
        before=b"" if before.config_was_missing else None,
        after=b"" if after.config_was_missing else None,
    )
    if mark.before is None and mark.after is not None:
        yield mark
    yield from (change for change in entries if change.after is not None)
    if before.data != after.data:
        yield Change(path=before.config, before=before.data, after=after.data)
    yield from (change for change in entries if change.after is None)
    if mark.before is not None and mark.after is None:
        yield mark


def unified_diff(change: Change) -> str:
    """Return one change as a unified diff; empty when no line of text changes."""
    import difflib  # costs milliseconds that few calls need

    def lines(data: bytes | None) -> list[str]:
        return [line.raw.decode("utf-8", "replace") for line in parse(data or b"")]

    diff = difflib.unified_diff(
        lines(change.before),
        lines(change.after),
        fromfile=os.devnull if change.before is None else str(change.path),
        tofile=os.devnull if change.after is None else str(change.path),
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff
    )


def check_alias_is_free(entry: Entry, state: State, *, replace_other: bool) -> None:
    """Raise AliasTakenError when writing `entry` would change what its alias means already."""
    path = our_directory(state.directory) / f"{entry.alias}.conf"
    existing = state.entries.get(path.name)
    if existing is None:
        _check_nobody_names(entry.alias, state)
        return
    try:
        old = parse_entry(existing, alias=entry.alias, path=path)
    except DamagedEntryError:
        return  # it leads nowhere; writing it again mends it
    if old.leads_elsewhere_than(entry) and not replace_other:
        raise AliasTakenError(
            f"{entry.alias} already stands for {_route(old)} (in {path}), not for {_route(entry)}.",
            hint="Choose another alias (in lab.toml: alias in [remote]); or, to have it mean the "
            "new machine, add --replace",
        )


def obstacle_to_replacing(state: State) -> str | None:
    """Return why the person's configuration should not be replaced by a new file, or `None`.

    The permission bits are looked at as well as the access itself: they say what the person means
    even to a program that may write everywhere.
    """
    path = state.config
    folder = path.parent
    if folder.is_dir() and not (_is_meant_writable(folder) and os.access(folder, os.W_OK)):
        return f"{path} lies in a directory that is read-only."
    if state.data is None:
        return None
    if not (_is_meant_writable(path) and os.access(path, os.W_OK)):
        return f"{path} is read-only."
    if path.stat().st_nlink > 1:
        return f"{path} has other names (hard links), which would keep the old content."
    return None


def how_to_connect_by_hand(entry: Entry, directory: Path) -> str:
    """Return, in several lines, how to add `entry` without us."""
    text = rendered(entry, directory).decode()
    return (
        f"Make this the very first line of {directory / 'config'}:\n\n"
        f"    {include_line(directory)}\n\n"
        f"and put this into {our_directory(directory) / f'{entry.alias}.conf'}, a file that only "
        f"you can write:\n\n" + "".join(f"    {line}\n" for line in text.splitlines())
    )


def how_to_disconnect_by_hand(alias: str, directory: Path) -> str:
    """Return, in several lines, how to take the entry for `alias` away without us."""
    ours = our_directory(directory)
    return (
        f"Remove the file {ours / f'{alias}.conf'}.\n"
        f"If it was the last one in {ours}, remove this line from {directory / 'config'}:\n\n"
        f"    {include_line(directory)}\n"
    )


def _without_our_lines(state: State) -> bytes:
    return b"".join(
        line.raw for line in state.lines if not is_our_include(line, directory=state.directory)
    )


def _check_nobody_names(alias: str, state: State) -> None:
    """Raise AliasTakenError when a file of the person's own has a Host or Match of this name."""
    ours = our_directory(state.directory)
    for source in read_sources(state.config, state.data or b""):
        if source.path.parent == ours:
            continue
        for number, name in source.named_hosts():
            if name.lower() == alias:
                raise AliasTakenError(
                    f"{name} already stands in {source.path}, line {number}.",
                    hint="Choose another alias (in lab.toml: alias in [remote]).",
                )


def _route(entry: Entry) -> str:
    via = f" through {', '.join(map(str, entry.jump))}" if entry.jump else ""
    return f"{entry.destination}{via}"


def _is_meant_writable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWUSR)
