"""What a bake consists of, whatever lies about in the template's checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from baking import TEMPLATE_ROOT, BakedProject, bake_project
from conftest import Bake

TEMPLATE_FOLDER = "{{cookiecutter.project_slug}}"


def contents(project: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a bake, git's own apart, with its mode."""
    return {
        str(path.relative_to(project)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


@pytest.fixture
def clean_clone(tmp_path: Path) -> Path:
    """The template as git has it, with what is not committed yet."""
    folder = tmp_path / "clean-clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=TEMPLATE_ROOT, check=True, capture_output=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TEMPLATE_ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE_ROOT / name, folder / name)
    return folder


def test_bake_from_a_used_checkout_equals_one_from_a_clean_clone(
    clean_clone: Path, tmp_path: Path, home: Path
) -> None:
    used = tmp_path / "used-checkout"
    shutil.copytree(clean_clone, used)
    for name in (
        "src/{{cookiecutter.package_name}}/__pycache__/data.cpython-311.pyc",
        "tests/__pycache__/test_data.cpython-313.pyc",
        "labs/.ipynb_checkpoints/mnistlab-checkpoint.ipynb",
        ".ruff_cache/CACHEDIR.TAG",
        ".mypy_cache/3.11/data.json",
        ".pytest_cache/v/cache/lastfailed",
        "labs/.DS_Store",
    ):
        path = used / TEMPLATE_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind by a tool \x00")
    bakes = [
        contents(bake_project(tmp_path / name, home=home, template=template).path)
        for name, template in (
            ("clean", clean_clone),
            ("used", used),
            ("this checkout", TEMPLATE_ROOT),
        )
    ]
    assert bakes[0].keys() == bakes[1].keys() == bakes[2].keys()
    assert bakes[0] == bakes[1] == bakes[2]


def test_nothing_of_the_template_language_is_left(default_project: BakedProject) -> None:
    for name, (_, content) in contents(default_project.path).items():
        for mark in (b"{{ cookiecutter", b"{{cookiecutter", b"{% ", b"{%-"):
            assert mark not in content, f"{mark.decode()} in {name}"
        assert "cookiecutter." not in name


def test_every_file_can_be_read_as_what_it_is(default_project: BakedProject) -> None:
    for path in default_project.path.rglob("*"):
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".yml", ".yaml"):
            yaml.safe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".ipynb":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".py":
            compile(path.read_bytes(), path, "exec")


@pytest.mark.parametrize(
    ("license_name", "words"),
    [
        ("MIT", "Permission is hereby granted"),
        ("BSD-3-Clause", "Redistributions of source code"),
        ("Apache-2.0", "Apache License"),
        ("Proprietary", "All rights reserved"),
    ],
)
def test_licence_is_the_one_that_was_chosen(bake: Bake, license_name: str, words: str) -> None:
    text = bake(license=license_name, author="Grace Hopper").read("LICENSE")
    assert words in text
    assert text.count("Copyright (c) Grace Hopper") + text.count("Copyright Grace Hopper") == 1
    assert text.endswith("\n")
    assert text[0] not in "\n{"


def test_choices_stand_in_the_projects_settings(bake: Bake) -> None:
    project = bake(
        project_slug="my-lab", ssh_alias="gpu", environment_manager="uv", python_version="3.13"
    )
    assert tomllib.loads(project.read("lab.toml")) == {
        "project": {"package": "my_lab"},
        "remote": {"alias": "gpu", "folder": "my-lab"},
        "environment": {"manager": "uv", "python": "3.13"},
        "sessions": {"idle_hours": 12},
    }
    assert "python=3.13" in project.read("environment.yml")


def test_shell_scripts_keep_their_line_ends_on_windows(bake: Bake) -> None:
    project = bake()
    names = ["scripts/setup-environment.sh", "labs/mnistlab.py"]
    done = project.run("git", "check-attr", "eol", "--", *names)
    assert done.stdout.splitlines() == [f"{name}: eol: lf" for name in names]
