"""The template's own workflow: what it runs on, and that it says what it uses."""

from __future__ import annotations

import re
import tomllib

from baking import TEMPLATE_ROOT, BakedProject
from workflows import check_steps, check_workflow, pins

WORKFLOW = TEMPLATE_ROOT / ".github" / "workflows" / "ci.yml"


def test_template_is_tested_on_every_system_with_the_oldest_and_the_newest() -> None:
    matrix = check_workflow(WORKFLOW)["jobs"]["generate"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    metadata = tomllib.loads((TEMPLATE_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert metadata["project"]["requires-python"] == f">={matrix['python'][0]}"
    (oldest,) = (
        name.replace(">=", "==") + ".0"
        for name in metadata["dependency-groups"]["dev"]
        if name.startswith("cookiecutter>=")
    )
    assert matrix["cookiecutter"] == [oldest, "cookiecutter"]


def test_tests_that_the_workflow_names_exist() -> None:
    names = re.findall(r"tests/[\w/.]+", WORKFLOW.read_text(encoding="utf-8"))
    assert len(names) > 3
    assert [name for name in names if not (TEMPLATE_ROOT / name).exists()] == []


def test_template_and_project_use_the_same_actions(default_project: BakedProject) -> None:
    here, there = pins(WORKFLOW), pins(default_project.path / ".github/workflows/ci.yml")
    assert {name: here[name] for name in here.keys() & there.keys()}.items() <= there.items()
    assert "actions/checkout" in here.keys() & there.keys()


def test_documentation_is_built_by_one_job_and_published_by_another() -> None:
    path = WORKFLOW.with_name("docs.yml")
    jobs = check_steps(path)["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert [step for step in jobs["publish"]["steps"] if "run" in step] == []
    here, there = pins(WORKFLOW), pins(path)
    assert {name: there[name] for name in here.keys() & there.keys()}.items() <= here.items()
