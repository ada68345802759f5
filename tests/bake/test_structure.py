"""What a bake consists of, whatever else is in the template's checkout."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, BakedProject, bake_project
from conftest import Bake
from template_copy import TEMPLATE_FOLDER, copy_template

ABOUT_DIGITS = r"MNIST|mnist|\b28\b|Digit|DIGITS"


@pytest.fixture
def clean_clone(tmp_path: Path) -> Path:
    """Return the template as git has it, with what is not committed yet."""
    return copy_template(tmp_path / "clean-clone")


@pytest.mark.slow
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


def test_project_holds_little_that_is_not_its_owners(default_project: BakedProject) -> None:
    """What a person gets, reads and reviews; the tool is pinned, not copied."""
    names = default_project.run("git", "ls-files", "-z").stdout.split("\0")
    tracked = [default_project.path / name for name in names if name]
    assert not [path for path in tracked if path.suffix == ".ipynb"]
    assert len(tracked) <= 45
    assert sum(path.read_bytes().count(b"\n") for path in tracked) <= 5700


def test_what_labs_import_to_run_is_short(default_project: BakedProject) -> None:
    package = default_project.path / "src" / default_project.package
    parts = [package / f"{name}.py" for name in ("runs", "checkpoints", "distributed")]
    assert sum(path.read_bytes().count(b"\n") for path in parts) <= 355


def test_library_knows_of_no_digits(default_project: BakedProject) -> None:
    """What is about digits is in one module, which goes with the lab that reads them."""
    package = default_project.path / "src" / default_project.package
    named = [
        path.name for path in package.glob("*.py") if re.search(ABOUT_DIGITS, path.read_text())
    ]
    assert named == ["digits.py"]
