"""The source of the tool as syntax trees, read once: for tests of what all its modules keep to."""

from __future__ import annotations

import ast
from functools import cache

from baking import TOOL

__all__ = ["calls", "modules", "nodes"]


@cache
def modules() -> dict[str, ast.Module]:
    """Return the modules of the tool by their path in it."""
    folder = TOOL / "ml_remote"
    return {
        path.relative_to(folder).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.py")
    }


@cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Return every node of every module, with the path of the module."""
    return tuple((path, node) for path, tree in modules().items() for node in ast.walk(tree))


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    """Return every call in the tool, with the path of its module."""
    return tuple((path, node) for path, node in nodes() if isinstance(node, ast.Call))
