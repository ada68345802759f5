"""What `lab` and the environment script can print, as patterns, for the tables of messages.

A string counts only where it is handed to an error that people read or to the console. What is said
about ssh's own messages comes from a table; of it counts what `explain` really makes of a message.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache

from baking import TEMPLATE_ROOT
from tool.ssh_messages import MESSAGES
from tool_source import calls, modules, nodes

from ml_remote.ssh.explaining import explain
from ml_remote.transfer.copy_errors import COPY_REASONS, UNCLEAR_REASONS
from ml_remote.transfer.git_errors import REASONS
from ml_remote.ui.console import Console

__all__ = ["is_said", "said_about_copies", "said_about_git", "said_about_ssh"]

SCRIPT = TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "scripts" / "setup-environment.sh"
EXPLAINING = "ssh/messages.py"
LEAST_LITERAL = 12  # characters: a message that consists of what it is told proves nothing


def is_said(message: str) -> bool:
    """Return whether a message is the first line of something that is printed."""
    return any(template.fullmatch(message) for template in _templates())


@cache
def _templates() -> tuple[re.Pattern[str], ...]:
    errors, printing = _error_names(), _printing_methods()
    said = {*_said_by_the_script(), *said_about_ssh(), *said_about_git(), *said_about_copies()}
    for _, call in calls():
        if _is_read_by_people(call.func, errors, printing):
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                said.update(_patterns(argument))
    return tuple(re.compile(text) for text in said)


def _is_read_by_people(called: ast.expr, errors: set[str], printing: set[str]) -> bool:
    if isinstance(called, ast.Attribute):
        if called.attr in errors:
            return True
        owner = called.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        return called.attr in printing and name.endswith("console")
    return isinstance(called, ast.Name) and called.id in errors


def _error_names() -> set[str]:
    """Return the names of LabError, of all classes that are one, and of the far half's own."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for _, node in nodes()
        if isinstance(node, ast.ClassDef)
    }
    found: set[str] = {"LabError", "Failure", "_Kind"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def _printing_methods() -> set[str]:
    """Return the names of the console's methods that take a text."""
    methods = inspect.getmembers(Console, inspect.isfunction)
    return {name for name, _ in methods if not name.startswith("_")}


def _patterns(argument: ast.expr) -> Iterator[str]:
    """Yield the strings of an argument as regular expressions, with anything put into them."""
    for node in ast.walk(argument):
        if isinstance(node, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else "{x}" for part in node.values
            ]
            yield _pattern("".join(map(str, parts)), r"\{x\}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _pattern(node.value, r"\{[^{}]*\}")


def said_about_ssh() -> Iterator[str]:
    """Yield the sentences of the table that some message of ssh's is turned into."""
    produced = [
        str(explain(text, alias="gpu", others="Bye.")).partition("\n")[0] for text, *_ in MESSAGES
    ]
    for node in ast.walk(modules()[EXPLAINING]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            pattern = _pattern(node.value, r"\{\w+\}")
            if any(re.fullmatch(pattern, sentence) for sentence in produced):
                yield pattern


def said_about_git() -> Iterator[str]:
    """Yield what may follow on the words that git failed."""
    for reason in REASONS:
        yield ".+ failed: " + _pattern(reason.sentence, r"\{place\}")


def said_about_copies() -> Iterator[str]:
    """Yield what may follow on the words that rsync or sftp failed."""
    for reason in (*COPY_REASONS, *UNCLEAR_REASONS):
        yield ".+ failed: " + _pattern(reason.sentence, r"\{place\}")


def _said_by_the_script() -> Iterator[str]:
    for said in re.findall(r'fail "((?:[^"\\]|\\.)+)"', SCRIPT.read_text(encoding="utf-8")):
        yield _pattern(said, r"\$\(\(.*?\)\)|\$\w+")


def _pattern(text: str, placeholder: str) -> str:
    """Return a pattern that the first line of `text` matches; none where little is literal."""
    pieces = re.split(placeholder, text.partition("\n")[0])
    return ".+".join(map(re.escape, pieces)) if len("".join(pieces)) >= LEAST_LITERAL else "(?!)"
