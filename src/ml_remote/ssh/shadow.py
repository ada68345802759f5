"""Copies of a configuration, existing or planned, that ssh can be asked about without any risk."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from .configuration import Line, Source, included_files, parse, read_sources
from .entry import quote
from .ssh_directory import State, is_our_include, our_directory

__all__ = ["Shadow", "write_shadow"]

# In the place of a line that would run a command: a block that is for no host at all.
NEVER = b"Host !*"


@dataclass(kw_only=True)
class Shadow:
    """A copy that `ssh -F config` reads like the original.

    `sources` are the person's files that it was made from; `left_out` is the number of lines that
    ssh must not see.
    """

    config: Path
    sources: list[Source]
    left_out: int = 0
    originals: dict[str, str] = field(default_factory=dict)

    def with_real_paths(self, text: str) -> str:
        """Return a message of ssh's with the names of the original files in it."""
        for copy in sorted(self.originals, key=len, reverse=True):
            text = text.replace(copy, self.originals[copy])
        return text


def write_shadow(state: State, folder: Path) -> Shadow:
    """Write a copy of what `state` describes into the new directory `folder`.

    Our own entries are copied always. The files that the person includes are copied only if a line
    in any of them could run a command, else ssh reads the files themselves.
    """
    sources = read_sources(state.config, state.data or b"")
    entries = [Source(Path(name), parse(data)) for name, data in state.entries.items()]
    is_risky = any(
        line.runs_command or line.is_opaque_include
        for source in [*sources, *entries]
        for line in source.lines
    )
    folder.mkdir()
    writer = _Writer(state, folder, is_risky=is_risky, sources=sources)
    return writer.write()


class _Writer:
    def __init__(
        self, state: State, folder: Path, *, is_risky: bool, sources: list[Source]
    ) -> None:
        self.state = state
        self.folder = folder
        self.is_risky = is_risky
        self.copies: dict[Path, Path] = {}
        self.shadow = Shadow(config=folder / "config", sources=sources)

    def write(self) -> Shadow:
        ours = self.folder / "ours"
        ours.mkdir()
        for name, data in self.state.entries.items():
            self._copy(our_directory(self.state.directory) / name, data, to=ours / name)
        self._copy(self.state.config, self.state.data or b"", to=self.shadow.config)
        return self.shadow

    def _copy(self, original: Path, data: bytes, *, to: Path, mode: int = 0o600) -> None:
        # Known before it is written: files that include each other lead back here, as they would in
        # ssh.
        self.copies[original] = to
        self.shadow.originals[str(to)] = str(original)
        to.write_bytes(b"".join(self._rewritten(line) for line in parse(data)))
        to.chmod(mode)  # ssh refuses an included file that others may write

    def _rewritten(self, line: Line) -> bytes:
        if is_our_include(line, directory=self.state.directory):
            return f"Include {quote(f'{self.folder}/ours/*.conf')}\n".encode()
        if not self.is_risky:
            return line.raw
        if line.runs_command:
            self.shadow.left_out += 1
            return NEVER + b"\n"
        if line.is_opaque_include:
            self.shadow.left_out += 1
            return b"\n"
        if line.keyword == "include":
            return self._include(line)
        return line.raw

    def _include(self, line: Line) -> bytes:
        paths = []
        for path in included_files(line):
            if path not in self.copies:
                try:
                    data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
                except OSError:
                    paths.append(path)  # ssh shall say so itself
                    continue
                copy = self.folder / f"included-{len(self.copies)}"
                self._copy(path, data, to=copy, mode=mode)
            paths.append(self.copies[path])
        return (
            f"Include {' '.join(quote(str(path)) for path in paths)}\n".encode() if paths else b"\n"
        )
