"""Checking GitHub workflows: their schema, pinned actions, few permissions, a gathering job."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

__all__ = ["check_steps", "check_workflow", "pins"]


def check_workflow(path: Path) -> dict[str, Any]:
    """Return a workflow that is valid, allowed to read only, and gathers its results in one job.

    AssertionError says what is wrong.
    """
    workflow = check_steps(path)
    for job in workflow["jobs"].values():
        assert job.get("permissions", {}) in ({}, {"contents": "read"})
    gathering = workflow["jobs"]["passed"]
    assert set(gathering["needs"]) == set(workflow["jobs"]) - {"passed"}
    assert gathering["if"] == "always()"
    wanted = " ".join("success" for _ in gathering["needs"])
    assert gathering["steps"][-1]["run"] == f'test "$RESULTS" = "{wanted}"'
    return workflow


def check_steps(path: Path) -> dict[str, Any]:
    """Return a workflow that is valid, bounded, and puts nothing from outside into a script.

    AssertionError says what is wrong.
    """
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.github-workflows", path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            # What comes from outside is data in a variable, never a part of the script.
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    return workflow


def pins(path: Path) -> dict[str, str]:
    """Return which commit of which action a workflow uses, with the version it is said to be."""
    uses = re.findall(r"uses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    found: dict[str, str] = {}
    for use in uses:
        match = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40} # v[0-9.]+)", use)
        assert match is not None, f"{use} is not pinned"
        assert found.setdefault(match[1], match[2]) == match[2]
    return found
