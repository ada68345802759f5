"""The papers at the root: complete, valid, and true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest
from baking import TEMPLATE_ROOT, BakedProject

from ml_remote import cli

QUESTIONS = json.loads((TEMPLATE_ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
ASKED = [name for name in QUESTIONS if not name.startswith("_")]
PAPERS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
FORMS = TEMPLATE_ROOT / ".github" / "ISSUE_TEMPLATE"


def read(name: str) -> str:
    return (TEMPLATE_ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("question", ASKED)
def test_every_question_has_a_sentence_to_ask_it(question: str) -> None:
    assert QUESTIONS["__prompts__"].get(question)


@pytest.mark.parametrize("question", ASKED)
def test_every_question_is_explained(question: str) -> None:
    assert f"| `{question}` |" in read("docs/template.md")


@pytest.mark.parametrize("command", sorted(cli.lab.commands))
def test_every_command_has_a_row_in_the_page_of_commands(command: str) -> None:
    assert re.search(rf"(?m)^\| (?:`[^`]*`, )*`lab {command}\b[^`]*`", read("docs/commands.md"))


def test_projects_readme_is_short_and_leads_to_the_page_of_commands(
    default_project: BakedProject,
) -> None:
    readme = default_project.read("README.md")
    assert "/docs/commands.md)" in readme
    assert len(re.sub(r"\]\(\S*\)", "]", readme).split()) < 950


@pytest.mark.parametrize("name", PAPERS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", read(name)):
        assert target.startswith("https://") or (TEMPLATE_ROOT / target).exists(), target


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    pages = [*TEMPLATE_ROOT.glob("*.md"), *TEMPLATE_ROOT.glob("docs/**/*.md")]
    pages.append(TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "README.md")
    found = [
        (page.name, words)
        for page in pages
        for words in re.findall(r"!\[(.*?)\]\(", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(found) >= 5
    assert not [name for name, words in found if len(words) < 10]


def test_contributing_names_what_exists() -> None:
    text = read("CONTRIBUTING.md")
    functions = {
        name
        for path in (TEMPLATE_ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"(?m)^\s*def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert named <= functions
    paths = [path for path in re.findall(r"`([^`\s]+/[^`\s]*)`", text) if "NAME" not in path]
    assert len(paths) > 10
    for path in paths:
        assert path in ("build/", "~/.ssh") or (TEMPLATE_ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("files", "schema"),
    [
        pytest.param("[!c]*.yml", "github-issue-forms", id="forms"),
        pytest.param(
            "config.yml", "github-issue-config", id="configuration", marks=pytest.mark.slow
        ),
    ],
)
def test_issue_forms_are_valid(files: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    found = sorted(FORMS.glob(files))
    assert found
    done = subprocess.run([*command, *found], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_changelog_begins_with_the_version_that_this_is() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    first = re.search(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.M)
    assert first is not None
    assert first[1] == version
