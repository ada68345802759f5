"""The workflows of this repository: valid, allowed little, and true to what is here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT

WORKFLOWS = sorted((TEMPLATE_ROOT / ".github" / "workflows").glob("*.yml"))
A_PATH = re.compile(r"(?<![\w./-])(?:tests|src|hooks|docs|benchmarks|\.ci)(?:/[\w.{}-]+)*(?![\w/])")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_paths_in_a_workflow_exist(workflow: Path) -> None:
    named = set(A_PATH.findall(workflow.read_text(encoding="utf-8")))
    assert named
    assert not [path for path in named if not (TEMPLATE_ROOT / path).exists()]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_targets_in_a_workflow_exist(workflow: Path) -> None:
    makefile = (TEMPLATE_ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"run: .*\bmake ([a-z-]+)", workflow.read_text(encoding="utf-8")))
    assert named <= set(re.findall(r"(?m)^([a-z-]+):", makefile))
