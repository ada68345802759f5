"""The arrows between the tool's modules: one way, without cycles."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from tool_source import modules as trees

import ml_remote

PACKAGE = Path(ml_remote.__file__).parent
TOP = PACKAGE.name

# Each of these may use what is in the lines below it, and modules that are in no line.
LAYERS = (
    {"cli", "commands"},
    {"up", "status", "runs", "sessions"},
    {"environment", "transfer", "login", "doctor", "editor"},
    {"jobs"},
    {"ssh"},
    {"ui", "processes", "files", "errors"},
)


def modules() -> dict[str, Path]:
    """Return the tool's modules by their full names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = (TOP, *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


@functools.cache
def imports(name: str) -> frozenset[str]:
    """Return the modules of the tool that a module imports, sooner or later.

    What only the type checker imports does not count.
    """
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in executed(trees()[path.relative_to(PACKAGE).as_posix()]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            members = {f"{source}.{alias.name}" for alias in node.names}
            found |= members & MODULES.keys() or {source}
    return frozenset(found & MODULES.keys()) - {name}


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements below a node, without those for the type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from executed(child)


def part(name: str) -> str:
    """Return the part of the tool that a module belongs to: `ssh` for ml_remote.ssh.client."""
    return name.partition(".")[2].partition(".")[0] or TOP


def test_no_module_leads_back_to_itself() -> None:
    try:
        TopologicalSorter({name: imports(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_part_leads_back_to_itself() -> None:
    parts: dict[str, set[str]] = {}
    for name in MODULES:
        parts.setdefault(part(name), set()).update(map(part, imports(name)))
    for name, used in parts.items():
        used.discard(name)
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_is_below_does_not_use_what_is_above() -> None:
    height = {name: -number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)
        if height.get(part(name), 0) < height.get(part(other), -len(LAYERS))
    ]
    assert wrong == []


def test_the_half_on_the_machine_uses_nothing_else() -> None:
    far = {name for name in MODULES if part(name) == "far"}
    assert len(far) > 5
    used = {other for name in far for other in imports(name)}
    assert used - far <= {TOP}
