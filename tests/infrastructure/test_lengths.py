"""Nothing is so long that it is two things: files of 400 lines at most, functions of 60.

A function counts with its decorators and its docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from tool_source import nodes

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
# cookiecutter renders this file elsewhere and runs it: it can import nothing that lies beside it.
ONE_FILE = {"hooks/post_gen_project.py": 450}
# Their docstrings do not count: these explain each of many arguments, as the page of a manual does.
EXPLAINED = {"fit"}


def files(*folders: Path) -> list[Path]:
    """Return the sources in Python and shell."""
    return [
        path for folder in folders for path in folder.rglob("*.*") if path.suffix in (".py", ".sh")
    ]


def length_of(path: Path) -> int:
    """Return the lines of a file; a lab is a lesson, whose prose does not count."""
    lines = path.read_text(encoding="utf-8").splitlines()
    is_lesson = path.parent.name == "labs" and lines[:1] == ["# ---"]
    return sum(not (is_lesson and line.startswith("#")) for line in lines)


def too_long(nodes: Iterator[tuple[str, ast.AST]]) -> list[str]:
    """Return the functions that are too long, with their lengths."""
    found = []
    for path, node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            lines = (node.end_lineno or 0) - first + 1
            if node.name in EXPLAINED:
                text = node.body[0]
                lines -= (text.end_lineno or 0) - text.lineno + 1
            if lines > LONGEST_FUNCTION:
                found.append(f"{path}: {node.name} has {lines} lines")
    return found


def parsed(paths: list[Path]) -> Iterator[tuple[str, ast.AST]]:
    for path in paths:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield str(path), node


def test_no_file_is_too_long(default_project: BakedProject) -> None:
    folders = [TEMPLATE_ROOT / name for name in ("src", "hooks", "tests", "benchmarks")]
    paths = files(*folders, default_project.path)
    assert len(paths) > 500
    allowed = {TEMPLATE_ROOT / name: lines for name, lines in ONE_FILE.items()}
    lengths = {path: length_of(path) for path in paths}
    assert [
        f"{path} has {lines} lines"
        for path, lines in lengths.items()
        if lines > allowed.get(path, LONGEST_FILE)
    ] == []


def test_no_function_of_the_tool_is_too_long() -> None:
    assert too_long(iter(nodes())) == []


@pytest.mark.slow
def test_no_other_function_is_too_long(default_project: BakedProject) -> None:
    folders = [TEMPLATE_ROOT / name for name in ("hooks", "tests", "benchmarks")]
    paths = [*files(*folders, default_project.path)]
    assert too_long(parsed([path for path in paths if TOOL not in path.parents])) == []
