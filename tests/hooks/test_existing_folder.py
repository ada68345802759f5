"""Generating into a folder that was there before: no file in it is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from conftest import Bake
from cookiecutter.exceptions import FailedHookException

SLUG = "handwriting-lab"
SLOW = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a person's folder, with a file that the template has and two that it has not."""
    folder = tmp_path / SLUG
    (folder / "labs").mkdir(parents=True)
    (folder / "README.md").write_text("My own words\n")
    (folder / "labs" / "birdlab.py").write_text("# %%\n")
    (folder / "secret.env").write_text("PASSWORD=x\n")
    return folder


def everything(folder: Path) -> dict[str, tuple[float, bytes]]:
    """Return every file and folder below a folder, with its time of change and its content."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted([folder, *folder.rglob("*")])
    }


def generate(
    output: Path, template: str | Path = TEMPLATE_ROOT, *options: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a person does who insists, into a folder that may be there."""
    (output.parent / "configuration.yaml").write_text(f"replay_dir: {output.parent}/replay\n")
    words = ["--no-input", "--overwrite-if-exists", "--output-dir", str(output)]
    configuration = ["--config-file", str(output.parent / "configuration.yaml")]
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(template), *words, *configuration, *options],
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def insist(bake: Bake, capfd: pytest.CaptureFixture[str], output: Path) -> str:
    """Do the same in this process; return what the hooks print."""
    capfd.readouterr()
    with suppress(FailedHookException):
        bake(output, overwrite=True)
    return capfd.readouterr().err


FORMS = {
    "absolute": str(TEMPLATE_ROOT),
    "relative": os.path.relpath(TEMPLATE_ROOT, TEMPLATE_ROOT.parent),
}


OPTIONS = ("--no-input", "--skip-if-file-exists", "python_version=2.7")
QUICK = {("absolute", "--no-input"), ("relative", "python_version=2.7")}


@pytest.mark.parametrize(
    ("template", "option"),
    [
        pytest.param(
            template, option, id=f"{form}-{option}",
            marks=[] if (form, option) in QUICK else [SLOW],
        )
        for form, template in FORMS.items()
        for option in OPTIONS
    ],
)  # fmt: skip
def test_folder_with_files_is_refused_before_a_byte_changes(
    folder: Path, template: str, option: str
) -> None:
    before = everything(folder)
    done = generate(folder.parent, template, option, cwd=TEMPLATE_ROOT.parent)
    assert done.returncode != 0
    assert f"Nothing was generated: {folder} is not empty" in done.stderr
    assert "Generate into another folder (--output-dir)" in done.stderr
    assert "Traceback" not in done.stderr
    assert everything(folder) == before


@SLOW
def test_repository_is_told_of_lab_init(folder: Path) -> None:
    said = generate(folder.parent).stderr
    assert f"  uvx --from {TEMPLATE_ROOT} lab init" in said


def test_project_of_this_template_is_told_how_to_update(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake(copied=True)
    (project.path / "lab.toml").write_text("# mine\n")
    before = everything(project.path)
    said = insist(bake, capfd, project.path.parent)
    assert f"uvx cruft link {TEMPLATE_ROOT}   (once)" in said
    assert said.index("uvx cruft link") < said.index("uvx cruft update")
    assert everything(project.path) == before


def test_link_is_to_what_the_project_was_made_from(
    folder: Path, bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "lab.toml").touch()
    pin = f"ml-remote @ git+https://host/t@{'1' * 40}"
    (folder / "lab.py").write_text(f'# dependencies = ["{pin}"]\n')
    warned = insist(bake, capfd, folder.parent)
    assert f"uvx cruft link https://host/t --checkout {'1' * 40}" in warned


def test_project_that_cruft_knows_needs_no_link(
    folder: Path, bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "lab.toml").touch()
    (folder / ".cruft.json").touch()
    warned = insist(bake, capfd, folder.parent)
    assert "uvx cruft update" in warned
    assert "cruft link" not in warned


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=SLOW) for name in (".venv", ".lab", "data")), ".hidden"]
)
def test_every_single_thing_counts_as_the_persons(
    tmp_path: Path, bake: Bake, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / SLUG / name).mkdir(parents=True)
    before = everything(tmp_path / SLUG)
    assert "is not empty" in insist(bake, capfd, tmp_path)
    assert everything(tmp_path / SLUG) == before


def test_empty_folder_gets_a_project_and_its_first_commit(tmp_path: Path, bake: Bake) -> None:
    (tmp_path / SLUG).mkdir()
    bake(overwrite=True)
    count = ["git", "rev-list", "--count", "--all"]
    assert subprocess.check_output(count, cwd=tmp_path / SLUG, text=True) == "1\n"


@pytest.mark.slow
def test_repository_of_the_persons_own_gets_no_commit(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / SLUG], check=True)
    assert generate(tmp_path).returncode == 0
    assert (tmp_path / SLUG / "lab.toml").is_file()
    count = ["git", "rev-list", "--count", "--all"]
    assert subprocess.check_output(count, cwd=tmp_path / SLUG, text=True) == "0\n"
