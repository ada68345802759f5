"""The documents and the commands in them.

A fenced block with the language `sh` is a piece of one session: all such blocks of a document are
run from top to bottom in one shell. A comment right before a block says what else is meant:

    <!-- not executed: REASON -->  the tests do not run it; any shell's language is then allowed
    <!-- file: NAME -->            no command: what the reader is told to put into that file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from baking import TEMPLATE_ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["SHELLS", "Command", "Document", "File", "all_documents", "read_document"]

SHELLS = ("sh", "bash", "zsh", "console", "shell", "powershell", "bat")
"""Languages of a fenced block that holds commands."""

_NOT_EXECUTED = re.compile(r"<!-- not executed: (?P<reason>\S.*\S) -->")
_FILE = re.compile(r"<!-- file: (?P<name>\S+) -->")


@dataclass(frozen=True)
class Command:
    """Something that the reader is told to type."""

    line: int
    text: str
    reason: str | None
    """Why the tests do not run it; None when they do."""


@dataclass(frozen=True)
class File:
    """Something that the reader is told to put into a file."""

    line: int
    name: str
    text: str


@dataclass(frozen=True)
class Document:
    """A Markdown file."""

    name: str
    text: str
    steps: tuple[Command | File, ...]
    """What the reader is told to do, in order."""

    @property
    def commands(self) -> list[Command]:
        """All commands, whether they are executed or not."""
        return [step for step in self.steps if isinstance(step, Command)]

    @property
    def executed(self) -> list[Command]:
        """The commands that are executed."""
        return [command for command in self.commands if command.reason is None]


def all_documents(generated_readme: Path) -> list[Document]:
    """Return every document a user reads, that of a generated project last."""
    paths = [TEMPLATE_ROOT / "README.md", *sorted((TEMPLATE_ROOT / "docs").rglob("*.md"))]
    documents = [
        read_document(path.read_text(encoding="utf-8"), name=str(path.relative_to(TEMPLATE_ROOT)))
        for path in paths
    ]
    text = generated_readme.read_text(encoding="utf-8")
    return [*documents, read_document(text, name="generated README.md")]


def read_document(text: str, *, name: str) -> Document:
    """Read a document. Raises ValueError where a block does not keep to the convention."""
    return Document(name=name, text=text, steps=tuple(_steps(text, name=name)))


def _steps(text: str, *, name: str) -> Iterator[Command | File]:
    tokens = MarkdownIt().parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "fence" or token.map is None:
            continue
        line, place = token.map[0] + 1, f"{name}, line {token.map[0] + 1}"
        language = token.info.split()[0] if token.info else ""
        comment = _comment(before)
        if file := _FILE.fullmatch(comment):
            yield File(line=line, name=file["name"], text=token.content)
        elif language in SHELLS:
            reason = _reason(comment, place=place)
            if language != "sh" and reason is None:
                raise ValueError(f"{place}: only `sh` can be executed, and this is {language}")
            yield from _commands(token.content, line=line + 1, reason=reason)
        elif comment.startswith("<!-- not executed"):
            raise ValueError(f"{place}: there is no command that could be executed")


def _comment(before: Token | None) -> str:
    if before is None or before.type != "html_block":
        return ""
    return before.content.strip().rpartition("\n")[2]


def _reason(comment: str, *, place: str) -> str | None:
    found = _NOT_EXECUTED.fullmatch(comment)
    if found:
        return found["reason"]
    if "not executed" in comment:
        raise ValueError(f"{place}: say why: <!-- not executed: REASON -->")
    return None


def _commands(block: str, *, line: int, reason: str | None) -> Iterator[Command]:
    """Yield the commands of a block: its lines, those that end in a backslash with the next."""
    text, began = "", line
    for number, piece in enumerate(block.splitlines(), start=line):
        if not text:
            began = number
        text += piece
        if piece.endswith("\\"):
            text += "\n"
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield Command(line=began, text=text, reason=reason)
        text = ""
    if text:
        raise ValueError(f"line {began}: a command ends in a backslash")
