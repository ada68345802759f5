"""Pairs of which nobody has noted when they were in step, and scripts in the middle of a merge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import BakedProject
from conftest import Bake

from ml_remote import cli

OWN = '\n# %%\nprint("my own work")\n'
MARKS = "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> theirs\n"


@pytest.fixture
def project(bake: Bake) -> BakedProject:
    """Return a project with a lab of the person's own, and its notebook."""
    made = bake(copied=True)
    assert cli.main(["new", "own", "--kind", "empty"], root=made.path) == 0
    return made


def sync(project: BakedProject, *words: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "scripts/sync_pairs.py", *words, check=False)


def commit(project: BakedProject, text: str) -> Path:
    """Commit the lab with more text at its end; return its script."""
    script = project.path / "labs" / "own.py"
    script.write_text(script.read_text() + text)
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Change it")
    return script


def test_new_lab_is_known_to_be_in_step(project: BakedProject) -> None:
    script = commit(project, OWN)
    assert "labs/own.py: the script was changed" in sync(project).stdout
    assert script.read_text().endswith(OWN)
    assert "my own work" in script.with_suffix(".ipynb").read_text()


def test_older_notebook_with_edits_of_its_own_is_not_chosen_for_a_person(
    project: BakedProject,
) -> None:
    script = commit(project, OWN)
    notebook = script.with_suffix(".ipynb")
    (project.path / ".lab" / "pairs.json").unlink()
    notebook.write_text(notebook.read_text().replace("import", "import  os,", 1))
    os.utime(notebook, (1_700_000_000, 1_700_000_000))
    before = script.read_bytes(), notebook.read_bytes()
    assert "labs/own.py and its notebook were both changed" in sync(project).stderr
    assert (script.read_bytes(), notebook.read_bytes()) == before
    os.utime(notebook)  # it was saved after the script
    assert "labs/own.py: the notebook was changed" in sync(project).stdout


def test_script_with_the_marks_of_a_merge_is_left_alone(project: BakedProject) -> None:
    script = project.path / "labs" / "own.py"
    text, notebook = script.read_text(), script.with_suffix(".ipynb")
    script.write_text(text + MARKS)
    before = notebook.read_bytes()
    for words in ((), ("--keep", "script", "labs/own.py")):
        done = sync(project, *words)
        assert done.returncode == 1
        assert "labs/own.py has the marks of an unfinished merge" in done.stderr
        assert notebook.read_bytes() == before
    script.write_text(text + MARKS.split("\n", 1)[1])  # no merge: a comparison of something
    assert "the script was changed" in sync(project).stdout
