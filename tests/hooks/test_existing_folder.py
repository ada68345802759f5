"""Generating into a folder that was there before: nothing of the person's is lost unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from baking import BakedProject
from conftest import Bake

SLUG = "handwriting-lab"


def bake_again(bake: Bake, **answers: object) -> BakedProject:
    return bake(overwrite=True, **answers)


def commits(project: BakedProject) -> str:
    return project.run("git", "rev-list", "--count", "--all").stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the person's own, with a file that the template has and two that it has not."""
    folder = tmp_path / SLUG
    (folder / "labs").mkdir(parents=True)
    (folder / "README.md").write_text("My own words\n")
    (folder / "labs" / "birdlab.py").write_text("# %%\n")
    (folder / "secret.env").write_text("PASSWORD=x\n")
    return folder


def test_own_files_stay_and_replaced_ones_are_kept_and_named(
    bake: Bake, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake_again(bake)
    assert project.read("labs/birdlab.py") == "# %%\n"
    assert project.read("secret.env") == "PASSWORD=x\n"
    assert project.read("README.md").startswith("# Handwriting Lab")
    (kept,) = (path for path in (folder / ".lab" / "replaced").rglob("*") if path.is_file())
    assert kept.read_text() == "My own words\n"
    warned = capfd.readouterr().err
    assert str(kept.relative_to(folder)) in warned
    assert "birdlab" not in warned


def test_own_files_are_not_committed_unasked(
    bake: Bake, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake_again(bake)
    assert commits(project) == "0"
    assert "git add . && git commit" in capfd.readouterr().err
    untracked = project.run("git", "status", "--porcelain").stdout
    assert "secret.env" in untracked
    assert ".lab" not in untracked


def test_repository_of_the_persons_own_gets_no_commit(bake: Bake) -> None:
    project = bake()
    (project.path / "notes.txt").write_text("mine")
    before = project.run("git", "rev-parse", "HEAD").stdout
    bake_again(bake)
    assert project.run("git", "rev-parse", "HEAD").stdout == before
    assert project.read("notes.txt") == "mine"


def test_same_project_generated_again_is_left_as_it_is(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    before = bake().contents()
    capfd.readouterr()
    assert bake_again(bake).contents() == before
    assert capfd.readouterr().err == ""


def test_changes_that_a_second_generation_takes_back_are_kept(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake(package_name="birds")
    changed = ["lab.toml", "labs/mnistlab.py", "src/birds/data.py", "src/remote/cli.py"]
    for name in changed:
        (project.path / name).write_text(f"# mine: {name}\n")
    bake_again(bake, package_name="birds")
    warned = capfd.readouterr().err
    for name in changed:
        (kept,) = (project.path / ".lab" / "replaced").glob(f"*/{name}")
        assert kept.read_text() == f"# mine: {name}\n"
        assert str(kept.relative_to(project.path)) in warned


def test_many_replaced_files_are_counted(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    project = bake()
    scripts = list((project.path / "src" / "remote").glob("*.py"))
    for path in scripts:
        path.write_text("# mine\n")
    bake_again(bake)
    assert f"and {len(scripts) - 9} more in .lab/replaced" in capfd.readouterr().err
    assert len(list((project.path / ".lab" / "replaced").rglob("*.py"))) == len(scripts)


def test_folder_with_nothing_but_an_environment_gets_its_first_commit(
    bake: Bake, tmp_path: Path
) -> None:
    (tmp_path / SLUG / ".venv").mkdir(parents=True)
    assert commits(bake_again(bake)) == "1"


def test_file_that_cannot_be_kept_stops_everything(
    bake: Bake, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / ".lab").write_text("a file where the folder belongs\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(Exception, match="Hook script failed"):
        bake_again(bake)
    printed = capfd.readouterr()
    assert "Nothing was generated" in printed.err
    assert "Traceback" not in printed.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
