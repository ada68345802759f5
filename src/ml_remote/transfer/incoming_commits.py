"""What commits from the machine would change in the code that runs on this computer.

Whoever controls the machine, or another copy of the repository, writes these commits. A pull
names those that touch a file which runs something here, stops before the tool itself would become
another one, and refuses files that only this computer may have.
"""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import eq
from pathlib import Path, PurePath, PurePosixPath

from click import Abort

from ..errors import ConfigurationError, LabError
from ..pins import (
    LOCK,
    SCRIPT,
    describe,
    in_words,
    pinned_source,
    split_source,
    uv_tables,
)
from ..tables import LOCAL_FILE, PROJECT_FILE
from ..ui.console import Console
from ..ui.text import in_one_line
from ..ui.words import some
from .local_repository import git
from .results import folded

__all__ = ["ACCEPT", "IncomingCommits", "examine", "settle"]

ACCEPT = "--accept-tool"
_RUN = (SCRIPT, LOCK)
_SETTINGS = ("uv.toml", "pyproject.toml")
_WATCHED = (
    SCRIPT, LOCK, PROJECT_FILE, "uv.toml", ".vscode", ".devcontainer", ".devcontainer.json",
    ".pre-commit-config.yaml", ".envrc", ".githooks", ".husky", "hooks", "scripts", ".cursor",
    ".windsurf", ".zed", ".idea",
)  # fmt: skip
"""Files and folders that the tool, an editor, git's hooks or a shell run on this computer."""
_WORKSPACE = ".code-workspace"  # ends the name of a file of VS Code's, which may have tasks
_OURS_ALONE = (LOCAL_FILE, ".lab", ".venv")
"""What git ignores because it is this computer's: from a commit it would be somebody else's."""
_PLAIN_FILES = (SCRIPT, LOCK, PROJECT_FILE, *_SETTINGS)
_LARGEST = 4_000_000  # bytes
_COMMITS, _LINES = 10, 60  # how many are shown


@dataclass(frozen=True, kw_only=True)
class IncomingCommits:
    """Fetched commits, and what they would change in the code that runs on this computer."""

    root: Path
    old: str
    new: str
    touched: tuple[str, ...]
    """The files that run something here and would change."""

    @property
    def changes_tool(self) -> bool:
        """Whether another tool would run here, or the same one in another way."""
        return any(self._text(self.old, name) != self._text(self.new, name) for name in _RUN) or (
            self._uv(self.old) != self._uv(self.new)
        )

    @property
    def changes_commit_only(self) -> bool:
        """Whether nothing but the commit of the tool would change, from the same repository."""
        before, after = self._text(self.old, SCRIPT), self._text(self.new, SCRIPT)
        (url, commit), (new_url, new_commit) = map(
            split_source, (self._pin(before), self._pin(after))
        )
        if url is None or url != new_url or commit is None or new_commit is None:
            return False
        return (
            before.replace(commit, "\0") == after.replace(new_commit, "\0")
            and self._text(self.old, LOCK) == self._text(self.new, LOCK)
            and self._uv(self.old) == self._uv(self.new)
        )

    def describe_tool(self) -> Iterator[str]:
        """Yield the old and the new tool in lines for people."""
        before, after = self._text(self.old, SCRIPT), self._text(self.new, SCRIPT)
        yield f"  now:    {_in_words(self._pin(before))}"
        yield f"  then:   {_in_words(self._pin(after))}"
        if self._text(self.old, LOCK) != self._text(self.new, LOCK):
            yield f"  {LOCK} changes too"
        if self._uv(self.old) != self._uv(self.new):
            yield f"  uv's settings now:  {describe(self._uv(self.old)) or 'none'}"
            yield f"  uv's settings then: {describe(self._uv(self.new)) or 'none'}"
        if not self.changes_commit_only:
            lines = difflib.unified_diff(
                before.splitlines(),
                after.splitlines(),
                f"{SCRIPT} now",
                f"{SCRIPT} then",
                "",
                "",
                1,
                "",
            )
            shown = list(lines)
            yield from (f"  {line}" for line in shown[:_LINES])
            if len(shown) > _LINES:
                yield f"  ... and {len(shown) - _LINES} more lines"

    def commits(self) -> Iterator[str]:
        """Yield the commits that touch what runs here, each in a line with its files."""
        words = ("log", "-z", "-m", "--name-only", "--no-renames")
        shape = ("--format=%x01%h %s", f"--max-count={_COMMITS + 1}")
        places = [f":(icase){name}" for name in _WATCHED] + [":(icase,glob)**/uv.toml"]
        places += [f":(literal){name}" for name in self.touched[:_LINES]]
        listed = git(self.root, *words, *shape, f"{self.old}..{self.new}", "--", *places).stdout
        named: dict[str, list[str]] = {}
        subject = ""
        for part in listed.split("\0"):
            word = part.strip("\n")
            if word.startswith("\x01"):
                subject = word[1:]
            elif word:
                files = named.setdefault(subject, [])
                files += [] if word in files else [word]
        for subject, files in named.items():
            yield f"  {subject}: {some(files)}"

    def _pin(self, text: str) -> str:
        """Return where a text of lab.py takes the tool from; nothing if nowhere."""
        try:
            return pinned_source(text.encode(), Path(SCRIPT)) or ""
        except ConfigurationError:
            return "metadata that cannot be read"

    @cached_property
    def _texts(self) -> dict[tuple[str, str], str]:
        """The files that were read so far, by their commit and name."""
        return {}

    def _text(self, commit: str, name: str) -> str:
        """Return a file in a commit; nothing where it has none."""
        if (commit, name) not in self._texts:
            found = git(self.root, "cat-file", "blob", f"{commit}:{name}", check=False)
            self._texts[commit, name] = found.stdout if found.returncode == 0 else ""
        return self._texts[commit, name]

    def _uv(self, commit: str) -> dict[str, object]:
        """Return the settings of uv in a commit."""
        tables = (uv_tables(name, self._text(commit, name).encode()) for name in _SETTINGS)
        return next(filter(None, tables), {})


def examine(root: Path, old: str, new: str) -> IncomingCommits:
    """Return what would change between two commits.

    Raises LabError for files that no commit may bring to this computer.
    """
    words = ("diff-tree", "-r", "--no-renames", "--name-status", "-z", old, new)
    parts = git(root, *words).stdout.split("\0")
    changed = dict(zip(parts[1::2], parts[::2], strict=False))
    for name, how in changed.items():
        if how != "D":
            _check(name)
    _check_capitals(root, new, [name for name, how in changed.items() if how == "A"])
    plain = [name for name in _PLAIN_FILES if name in changed]
    entries = (
        git(root, "ls-tree", "-z", "-l", new, "--", *plain).stdout.split("\0") if plain else []
    )
    for entry in entries[:-1]:
        facts, _, name = entry.partition("\t")
        mode, _, _, size = facts.split()
        if not mode.startswith("100") or int(size) > _LARGEST:
            raise LabError(
                f"The new commits make {name} a link, a folder or a file of more than 4 MB.",
                hint=f"To see it: {_see(old, new)}",
            )
    hooks = _hooks(root)
    touched = [name for name in changed if _is_watched(name) or _is_of(name, hooks)]
    return IncomingCommits(root=root, old=old, new=new, touched=tuple(touched))


def settle(incoming: IncomingCommits, console: Console, *, accepted: bool, source: str) -> None:
    """Name what would change of what runs here, and have another tool agreed to.

    `accepted` is whether somebody has agreed beforehand. Raises LabError when it is not agreed to.
    """
    if incoming.touched:
        lines = [in_one_line(line) for line in incoming.commits()]
        more = ["  ... and more commits"] if len(lines) > _COMMITS else []
        names = lines[:_COMMITS] or [f"  {some(incoming.touched)}"]
        console.warn(
            f"New commits from {source} change what runs on this computer. git's hooks do not run "
            "for them:\n" + "\n".join([*names, *more])
        )
    if not incoming.changes_tool:
        return
    console.note(f"The commits from {source} change which lab this project runs on this computer:")
    for line in incoming.describe_tool():
        console.note(in_one_line(line))
    simple = incoming.changes_commit_only
    if accepted and simple:
        return
    by_hand = f"See it: {_see(incoming.old, incoming.new)}"
    if not console.has_terminal():
        beforehand = f"To agree in advance: lab pull {ACCEPT}" if simple else "Pull in a terminal"
        raise LabError(
            "No commits were accepted: they change the tool that this project runs.",
            hint=f"{beforehand}. {by_hand}",
        )
    try:
        agreed = console.confirm("Accept these commits?", yes=False, default=False)
    except Abort:
        agreed = False
    if not agreed:
        raise LabError("No commits were accepted.", hint=by_hand)


def _check(name: str) -> None:
    """Raise LabError for a file that only this computer may have, or that looks like another."""
    parts = PurePosixPath(name).parts
    first = _as_this_computer_may_read(parts[0])
    if first in _OURS_ALONE:
        raise LabError(
            f"The new commits add {in_one_line(name)}, which must not come from a commit.",
            hint="Remove it from the repository where the commits were made: "
            f"git rm --cached -r {first}",
        )
    if first in (*_WATCHED, *_SETTINGS) and first != parts[0]:
        raise LabError(
            f"The new commits add {in_one_line(name)}, which some computers confuse with {first}."
        )


def _check_capitals(root: Path, new: str, added: Sequence[str]) -> None:
    """Raise LabError where the disk here confuses a file of the new commits with another one.

    git would write one over the other, and then take it for an edit of the person's.
    """
    config = ("config", "--type=bool", "--get", "core.ignoreCase")
    if not added or git(root, *config, check=False).stdout.strip() != "true":
        return
    written: dict[str, set[str]] = {}
    for name in git(root, "ls-tree", "-r", "-z", "--name-only", new).stdout.split("\0")[:-1]:
        for path in accumulate(name.split("/"), "{}/{}".format):
            written.setdefault(folded(path), set()).add(path)
    folders = (accumulate(name.split("/"), "{}/{}".format) for name in added)
    alike = {path for paths in folders for path in paths if len(written[folded(path)]) > 1}
    if alike:
        names = sorted({one for path in alike for one in written[folded(path)]})
        raise LabError(
            "The new commits have names that differ only in capitals, and the disk here does not "
            f"tell them apart: {some(names)}. Nothing was changed here.",
            hint="Rename them where the commits were made, commit, then: lab pull",
        )


def _hooks(root: Path) -> list[tuple[str, ...]]:
    """Return the paths in the repository that git's hooks are, or are links to, in parts."""
    folder = root / git(root, "rev-parse", "--git-path", "hooks").stdout.rstrip("\n")
    found = [folder, *(folder.iterdir() if folder.is_dir() else ())]
    # A commit can change the link as well as what it leads to.
    found += [Path(os.path.realpath(path)) for path in found]
    tops = (root, root.resolve())
    return [
        _parts(path.relative_to(top)) for path in found for top in tops if path.is_relative_to(top)
    ]


def _is_of(name: str, places: Iterable[tuple[str, ...]]) -> bool:
    """Return whether a file is one of these, is in one of them, or is where one of them was."""
    parts = _parts(PurePosixPath(name))
    return any(all(map(eq, parts, place)) for place in places)


def _parts(path: PurePath) -> tuple[str, ...]:
    return tuple(map(_as_this_computer_may_read, path.parts))


def _is_watched(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        parts[0] in _WATCHED
        or parts[-1] == "uv.toml"
        or _as_this_computer_may_read(parts[-1]).endswith(_WORKSPACE)
    )


def _as_this_computer_may_read(name: str) -> str:
    """Return a name without what file systems of macOS and Windows make no difference by."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf"
    )
    return plain.partition(":")[0].rstrip(" .").casefold()


def _in_words(source: str) -> str:
    return in_words(source) if source else "no pinned version"


def _see(old: str, new: str) -> str:
    return f"git diff {old[:7]} {new}"
