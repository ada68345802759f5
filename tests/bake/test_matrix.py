"""Every value of every question, and the pairs that act together: each project is whole.

`COMBINATIONS` is the list; the first tests show that it covers what it claims, from
cookiecutter.json itself.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from baking import TEMPLATE_ROOT, BakedProject, bake_project
from environment import LabEnvironment
from template_copy import TEMPLATE_FOLDER, tracked_files

from ml_remote.editor.json_with_comments import read_object

QUESTIONS = {
    question: default
    for question, default in json.loads(
        (TEMPLATE_ROOT / "cookiecutter.json").read_text(encoding="utf-8")
    ).items()
    if not question.startswith("_")
}
# The oldest that is taken, the default, the newest there is.
PYTHON_VERSIONS = ("3.11", "3.12", "3.14")

# What a project of this name is asked for; every other answer is the default.
COMBINATIONS: dict[str, dict[str, object]] = {
    "nothing but Enter": {},
    "a desktop at home": {
        "project_name": "Pottery",
        "remote": "ada@192.168.1.20",
        "python_version": "3.11",
        "license": "BSD-3-Clause",
        "author": 'Grace "Amazing" O\'Hopper',
    },
    "a server with a port of its own": {
        "project_slug": "bird_song",
        "remote": "ada@gpu.example.com:2222",
        "ssh_alias": "gpu",
        "python_version": "3.14",
        "license": "Apache-2.0",
        "author": "Мария Склодовская 👩‍🔬",
    },
    "conda on a cluster, through an alias that is there already": {
        "project_slug": "tea-leaves",
        "package_name": "tea",
        "description": 'What "tea" tells: 1 < 2 & more',
        "remote": "cluster",
        "ssh_alias": "login.cluster",
        "write_ssh_entry": False,
        "environment_manager": "conda",
        "python_version": "3.11",
        "author": "Grace Hopper",
    },
    "conda in a class, the machine comes later": {
        "project_name": "Machine Learning 101: Übungen",
        "project_slug": "ml101",
        "write_ssh_entry": False,
        "environment_manager": "conda",
        "license": "BSD-3-Clause",
    },
    "conda in a company": {
        "package_name": "acme_vision",
        "ssh_alias": "vision",
        "environment_manager": "conda",
        "python_version": "3.14",
        "license": "Proprietary",
    },
    "uv and an address of version 6": {
        "remote": "ada@[2001:db8::1]:2222",
        "write_ssh_entry": False,
        "environment_manager": "uv",
        "python_version": "3.11",
        "license": "Apache-2.0",
    },
    "uv, own SSH entry kept, names as long as they may be": {
        "project_name": "Handwriting of the nineteenth century in letters and diaries",
        "project_slug": "handwriting-of-the-nineteenth-century-in-letters-a",
        "package_name": "handwriting_of_the_nineteenth_century_in_letters_a",
        "ssh_alias": "archive",
        "write_ssh_entry": False,
        "environment_manager": "uv",
        "license": "Proprietary",
        "author": "Archive (Reading Room) <archive@example.com>",
    },
    "uv and the newest Python, names as short as they may be": {
        "project_slug": "x",
        "package_name": "y",
        "description": "x → y",
        "environment_manager": "uv",
        "python_version": "3.14",
    },
}

# Questions whose answers meet in one file or in one step.
INTERACTING = [
    ("environment_manager", "python_version"),  # lab.toml, environment.yml, the dev container
    ("remote", "write_ssh_entry"),  # whether an entry is written
    ("remote", "ssh_alias"),  # what the entry says
    ("ssh_alias", "write_ssh_entry"),
    ("license", "author"),  # LICENSE
    ("project_slug", "package_name"),  # folders, pyproject.toml
    ("project_name", "project_slug"),  # the one is made from the other
]

# Tests of a generated project that neither train a network nor draw a tree.
QUICK_TESTS = [f"tests/test_{name}.py" for name in ("preprocessing", "project", "runs")]
BYTECODE = TEMPLATE_ROOT / "build" / "cache" / "bytecode"

# What no parser is for; every other file must be readable as what its name says.
PLAIN_FILES = {"LICENSE", ".gitattributes", ".gitignore", "Dockerfile"}


def kinds(question: str) -> set[object]:
    """Return what kinds of answer there are to a question: its choices, or default and own."""
    default = QUESTIONS[question]
    if isinstance(default, list):
        return set(default)
    if isinstance(default, bool):
        return {True, False}
    return set(PYTHON_VERSIONS) if question == "python_version" else {"default", "own"}


def kind(question: str, combination: dict[str, object]) -> object:
    """Return of which kind the answer to a question is in a combination."""
    default = QUESTIONS[question]
    if kinds(question) == {"default", "own"}:
        return "own" if question in combination else "default"
    return combination.get(question, default[0] if isinstance(default, list) else default)


@pytest.mark.parametrize("question", QUESTIONS)
def test_list_has_every_value_of_every_question(question: str) -> None:
    assert {kind(question, one) for one in COMBINATIONS.values()} == kinds(question)


@pytest.mark.parametrize("pair", INTERACTING, ids=" and ".join)
def test_list_has_all_pairs_of_answers_that_act_together(pair: tuple[str, str]) -> None:
    wanted = set(itertools.product(*map(kinds, pair)))
    listed = {tuple(kind(question, one) for question in pair) for one in COMBINATIONS.values()}
    assert listed == wanted


def test_list_gives_no_answer_that_is_the_default_anyway() -> None:
    for combination in COMBINATIONS.values():
        for question, answer in combination.items():
            default = QUESTIONS[question]
            assert answer != (default[0] if isinstance(default, list) else default)


class Combination:
    """A project of the list, the home directory it was made from, and what it was asked for."""

    def __init__(self, answers: dict[str, object], folder: Path) -> None:
        self.home = folder / "home"
        self.project: BakedProject = bake_project(
            folder / "output",
            home=self.home,
            **answers,  # type: ignore[arg-type]
        )
        self.path = self.project.path
        slug = answers.get("project_slug", self.path.name)
        defaults = {
            question: default[0] if isinstance(default, list) else default
            for question, default in QUESTIONS.items()
        }
        derived = {
            "project_slug": slug,
            "package_name": str(slug).replace("-", "_"),
            "ssh_alias": slug,
        }
        self.answers: dict[str, object] = {**defaults, **derived, **answers}

    def files(self) -> list[Path]:
        """Return every file of the project, git's own apart."""
        paths = (path for path in self.path.rglob("*") if path.is_file())
        return [path for path in paths if ".git" not in path.relative_to(self.path).parts]


@pytest.fixture(scope="module", params=COMBINATIONS.values(), ids=list(COMBINATIONS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Combination:
    """Return each of the projects, to look at but not to change."""
    return Combination(request.param, tmp_path_factory.mktemp("combination"))


def test_project_has_exactly_the_files_and_folders_of_the_template(made: Combination) -> None:
    folder = "{{cookiecutter.package_name}}"
    package = str(made.answers["package_name"])
    files = {Path(name.replace(folder, package)) for name in tracked_files(TEMPLATE_FOLDER)}
    folders = {parent for name in files for parent in name.parents} - {Path()}
    found = {path.relative_to(made.path) for path in made.path.rglob("*")}
    own = {path for path in found if path.parts[0] != ".git"}
    assert own == files | folders | {Path("lab.local.toml")}
    assert Path(".git") in found
    assert made.path.name == made.answers["project_slug"]


def test_every_file_can_be_read_as_what_it_is(made: Combination) -> None:
    for path in made.files():
        _read(path)


def _read(path: Path) -> None:
    """Read a file as what its name says it is, or fail."""

    def read_python(text: str) -> None:
        compile(text, path, "exec")

    def read_shell(text: str) -> None:
        subprocess.run(["sh", "-n", path], check=True)

    def read_notebook(text: str) -> None:
        nbformat.validate(nbformat.reads(text, as_version=4))

    def read_json(text: str) -> None:
        read_object(path, hint="")

    readers: dict[str, Callable[[str], object]] = {
        ".toml": tomllib.loads,
        ".yml": yaml.safe_load,
        ".yaml": yaml.safe_load,
        ".json": read_json,
        ".ipynb": read_notebook,
        ".py": read_python,
        ".sh": read_shell,
        ".md": str.strip,
    }
    text = path.read_text(encoding="utf-8")
    assert text.strip(), f"{path} is empty"
    if path.name not in PLAIN_FILES:
        assert path.suffix in readers, f"nothing here reads {path.name}"
        readers[path.suffix](text)


def test_nothing_of_the_template_language_is_left(made: Combination) -> None:
    for path in made.files():
        content = path.read_bytes()
        for mark in (b"{{ cookiecutter", b"{{cookiecutter", b"{% ", b"{%-"):
            assert mark not in content, f"{mark.decode()} in {path}"
        assert "cookiecutter." not in path.name


def test_answers_stand_where_they_belong(made: Combination) -> None:
    answers, read = made.answers, made.project.read
    assert tomllib.loads(read("lab.toml")) == {
        "format": 2,
        "project": {"package": answers["package_name"]},
        "remote": {"alias": answers["ssh_alias"], "folder": answers["project_slug"]},
        "environment": {
            "manager": answers["environment_manager"],
            "python": answers["python_version"],
        },
        "sessions": {"idle_hours": 12},
    }
    assert (
        f"python={answers['python_version']}"
        in yaml.safe_load(read("environment.yml"))["dependencies"]
    )
    metadata = tomllib.loads(read("pyproject.toml"))["project"]
    assert metadata["name"] == answers["project_slug"]
    assert metadata["description"] == answers["description"]
    assert metadata["authors"] == [{"name": answers["author"]}]
    container = read(".devcontainer/Dockerfile")
    assert ("condaforge/miniforge3" in container) is (answers["environment_manager"] == "conda")


LICENCES = {
    "MIT": "Permission is hereby granted",
    "BSD-3-Clause": "Redistributions of source code",
    "Apache-2.0": "Apache License",
    "Proprietary": "All rights reserved",
}


def test_licence_is_the_one_that_was_chosen_and_names_the_author(made: Combination) -> None:
    text, author = made.project.read("LICENSE"), made.answers["author"]
    chosen = LICENCES[str(made.answers["license"])]
    if chosen != LICENCES["BSD-3-Clause"]:  # it says of all rights that they are reserved, too
        assert [words for words in LICENCES.values() if words in text] == [chosen]
    assert chosen in text
    assert text.count(f"Copyright (c) {author}") + text.count(f"Copyright {author}") == 1
    assert text.endswith("\n")
    assert text[0] not in "\n{"


def test_entry_is_written_when_there_is_a_machine_and_it_was_asked_for(made: Combination) -> None:
    alias = str(made.answers["ssh_alias"])
    wanted = bool(made.answers["remote"] and made.answers["write_ssh_entry"])
    entry = made.home / ".ssh" / "ml-remote.d" / f"{alias}.conf"
    assert entry.exists() is wanted
    assert (made.home / ".ssh" / "config").exists() is wanted
    if wanted:
        assert f"Host {alias}\n" in entry.read_text()


def test_everything_is_committed_and_nothing_changed_by_that(made: Combination) -> None:
    assert made.project.run("git", "rev-list", "--count", "HEAD").stdout == "1\n"
    assert made.project.run("git", "status", "--porcelain").stdout == ""
    ignored = made.project.run("git", "check-ignore", "lab.local.toml", "labs/mnistlab.ipynb")
    assert ignored.stdout.split() == ["lab.local.toml", "labs/mnistlab.ipynb"]


def test_ruff_finds_nothing(made: Combination, tmp_path: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    made.project.run(*ruff, "check", "--quiet", "--no-cache")
    made.project.run(*ruff, "format", "--quiet", "--diff", "--no-cache")


@pytest.mark.slow
def test_type_checker_finds_nothing(made: Combination) -> None:
    cache = TEMPLATE_ROOT / "build" / "cache" / "mypy-matrix"
    made.project.run(sys.executable, "-m", "mypy", f"--cache-dir={cache}")


@pytest.mark.slow
def test_generated_tests_pass(made: Combination, environment: LabEnvironment) -> None:
    """The quick ones: all of them pass for the defaults below, and for awkward answers in labs/."""
    run_generated_tests(made.project, environment, *QUICK_TESTS)


@pytest.mark.slow
def test_all_generated_tests_pass_for_the_defaults(environment: LabEnvironment) -> None:
    run_generated_tests(environment.project, environment, "tests")


def run_generated_tests(project: BakedProject, environment: LabEnvironment, *names: str) -> None:
    """Run a project's own tests; what Python compiles for that is kept for the next project."""
    done = project.run(
        environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names,
        PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(BYTECODE),
    )  # fmt: skip
    assert " passed" in done.stdout
