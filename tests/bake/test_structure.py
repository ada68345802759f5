"""What a bake consists of, whatever lies about in the template's checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, bake_project
from conftest import Bake
from template_copy import TEMPLATE_FOLDER, copy_template


@pytest.fixture
def clean_clone(tmp_path: Path) -> Path:
    """The template as git has it, with what is not committed yet."""
    return copy_template(tmp_path / "clean-clone")


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
        bake_project(tmp_path / name, home=home, template=template).contents()
        for name, template in (
            ("clean", clean_clone),
            ("used", used),
            ("this checkout", TEMPLATE_ROOT),
        )
    ]
    assert bakes[0].keys() == bakes[1].keys() == bakes[2].keys()
    assert bakes[0] == bakes[1] == bakes[2]


def test_shell_scripts_keep_their_line_ends_on_windows(bake: Bake) -> None:
    project = bake()
    names = ["scripts/setup-environment.sh", "labs/mnistlab.py"]
    done = project.run("git", "check-attr", "eol", "--", *names)
    assert done.stdout.splitlines() == [f"{name}: eol: lf" for name in names]
