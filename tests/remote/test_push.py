"""`lab push` and `lab pull`: code goes there and back by git, over a real OpenSSH server."""

from __future__ import annotations

import json
import os
import shutil

import openssh_server
import pytest
from place import Place


def test_first_push_makes_a_repository_and_the_second_has_nothing_to_do(place: Place) -> None:
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    assert "Pushed 2 commits to machine" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lab setup"
    assert done.stderr == ""
    place.assert_same()
    assert place.there("config", "receive.denyCurrentBranch") == "updateInstead"
    again = place.lab("push")
    assert again.returncode == 0
    assert "Nothing to push" in again.stdout


@pytest.mark.slow
def test_push_adds_changes_and_removes_files_there(place: Place) -> None:
    place.lab("push")
    (place.project.path / "README.md").unlink()
    place.commit("größe 'x' \"y\".txt", "new")
    place.commit("labs/mnistlab.py", "# changed\n")
    done = place.lab("push")
    assert "Pushed 2 commits" in done.stdout, done.stderr
    place.assert_same()
    assert not (place.folder / "README.md").exists()


@pytest.mark.parametrize(
    "kind",
    [
        "changed",
        pytest.param("added", marks=pytest.mark.slow),
        pytest.param("deleted", marks=pytest.mark.slow),
    ],
)
def test_uncommitted_work_there_is_never_overwritten(place: Place, kind: str) -> None:
    place.lab("push")
    before = place.there("rev-parse", "HEAD")
    if kind == "changed":
        place.write_there("README.md", "mine")
    elif kind == "added":
        place.write_there("new.txt", "mine")
        place.there("add", "new.txt")
    else:
        (place.folder / "README.md").unlink()
    place.commit("README.md", "yours")
    for _ in range(2):
        done = place.lab("push")
        assert done.returncode == 1
        name = "new.txt" if kind == "added" else "README.md"
        assert f"uncommitted work on machine, in {place.folder}: {name}" in done.stderr
        assert "git stash" in done.stderr
        assert place.there("rev-parse", "HEAD") == before
    if kind == "changed":
        assert (place.folder / "README.md").read_text() == "mine"


@pytest.mark.slow
def test_files_in_the_way_there_are_named(place: Place) -> None:
    place.lab("push")
    place.write_there("new file.txt", "mine")
    place.commit("new file.txt", "yours")
    done = place.lab("push")
    assert done.returncode == 1
    assert "new file.txt" in done.stderr
    assert "git does not know" in done.stderr
    assert (place.folder / "new file.txt").read_text() == "mine"
    (place.folder / "new file.txt").unlink()
    assert place.lab("push").returncode == 0
    place.assert_same()


@pytest.mark.slow
def test_uncommitted_work_here_is_named_and_sent_on_request(place: Place) -> None:
    place.lab("push")
    project = place.project
    (project.path / "README.md").write_text("not committed")
    (project.path / "notes.txt").write_text("new")
    place.git("add", "notes.txt")
    (project.path / "data").mkdir()
    (project.path / "data" / "big").write_text("ignored")
    before = (place.git("rev-parse", "HEAD"), place.git("status", "--porcelain"))
    done = place.lab("push")
    assert done.returncode == 0
    assert "2 files are not committed and not pushed: " in done.stderr

    for _ in range(2):
        done = place.lab("push", "--dirty")
        assert done.returncode == 0, done.stderr
        assert (place.folder / "README.md").read_text() == "not committed"
        assert (place.folder / "notes.txt").read_text() == "new"
        assert not (place.folder / "data").exists()
        assert place.there("status", "--porcelain") == ""
        assert (place.git("rev-parse", "HEAD"), place.git("status", "--porcelain")) == before
    assert "Nothing to push" in done.stdout

    (project.path / "README.md").write_text("later")
    assert place.lab("push", "--dirty").returncode == 0
    assert (place.folder / "README.md").read_text() == "later"
    place.commit("README.md", "committed")
    assert place.lab("push").returncode == 0
    place.assert_same()
    assert place.there("symbolic-ref", "--short", "HEAD") == "main"


@pytest.mark.slow
def test_commits_on_top_of_uncommitted_work_there_are_not_replaced(place: Place) -> None:
    place.lab("push")
    (place.project.path / "README.md").write_text("not committed")
    place.lab("push", "--dirty")
    made = place.commit_there("there.txt", "there")
    (place.project.path / "README.md").write_text("later")
    done = place.lab("push", "--dirty")
    assert done.returncode == 1
    assert "git branch -m lab-uncommitted" in done.stderr
    assert place.there("rev-parse", "HEAD") == made
    assert "merge.directoryRenames=false cherry-pick" in place.lab("pull").stderr
    # A file that git does not know any more there would come up again on the way.
    place.write_there("data/set.csv", "mine")
    place.there("add", "--force", "data/set.csv")
    place.there("commit", "--quiet", "--message", "Add by mistake")
    place.there("rm", "--quiet", "--cached", "data/set.csv")
    place.there("commit", "--quiet", "--message", "Take it back")
    said = place.lab("pull").stderr
    assert "in the way of putting them on main: data/set.csv" in said
    assert "cherry-pick" not in said


@pytest.mark.slow
def test_another_branch_is_checked_out_there_too(place: Place) -> None:
    place.lab("push")
    place.git("switch", "--quiet", "--create", "idea")
    place.commit("idea.txt", "idea")
    assert place.lab("push").returncode == 0
    place.assert_same()
    place.git("switch", "--quiet", "main")
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    place.assert_same()
    assert not (place.folder / "idea.txt").exists()


@pytest.mark.slow
def test_commits_made_there_come_back(place: Place) -> None:
    place.lab("push")
    made = place.commit_there("there.txt", "there")
    place.commit_there("more.txt", "more")
    done = place.lab("pull")
    assert done.returncode == 0, done.stderr
    assert "2 commits came from machine" in done.stdout
    assert (place.project.path / "there.txt").read_text() == "there"
    assert place.git("rev-parse", "HEAD~1") == made
    again = place.lab("pull")
    assert "No new commits on machine" in again.stdout
    assert "outputs/ has everything" in again.stdout


@pytest.mark.slow
def test_new_commits_on_both_sides_are_left_to_the_person(place: Place) -> None:
    place.lab("push")
    place.commit_there("there.txt", "there")
    made = place.commit("here.txt", "here")
    place.write_there("outputs/mnistlab/1/metrics.json", "{}")
    pushed = place.lab("push")
    assert pushed.returncode == 1
    assert "commits on main that are not here" in pushed.stderr
    assert "Next: lab pull" in pushed.stderr
    pulled = place.lab("pull")
    assert pulled.returncode == 1
    assert "git -c merge.directoryRenames=false rebase refs/lab/main" in pulled.stderr
    assert place.git("rev-parse", "HEAD") == made
    # The results have come all the same.
    assert (place.project.path / "outputs/mnistlab/1/metrics.json").read_text() == "{}"
    place.git("rebase", "--quiet", "refs/lab/main")
    assert place.lab("push").returncode == 0
    place.assert_same()


@pytest.mark.slow
def test_pull_keeps_work_that_is_not_committed_here(place: Place) -> None:
    place.lab("push")
    place.commit_there("README.md", "there")
    (place.project.path / "README.md").write_text("mine")
    done = place.lab("pull")
    assert done.returncode == 1
    assert "not committed here: README.md" in done.stderr
    assert (place.project.path / "README.md").read_text() == "mine"


@pytest.mark.slow
def test_outputs_come_once_and_kept_files_are_named(place: Place) -> None:
    place.lab("push")
    place.write_there("outputs/mnistlab/1/metrics.json", "{}")
    place.write_there("README.md", "changed there")
    done = place.lab("pull")
    assert done.returncode == 0, done.stderr
    assert "1 file came to outputs/" in done.stdout
    assert "README.md" in done.stderr  # not committed there, so it stays there
    brought = place.project.path / "outputs/mnistlab/1/metrics.json"
    brought.write_text("mine")
    done = place.lab("pull")
    assert done.returncode == 0
    assert "kept: mnistlab/1/metrics.json" in done.stderr
    assert brought.read_text() == "mine"
    assert place.lab("pull", "--overwrite").returncode == 0
    assert brought.read_text() == "{}"
    assert place.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_nothing_there_is_told_with_what_to_do(place: Place) -> None:
    done = place.lab("pull")
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "Next: Send the project there: lab up" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("no commit", "git add . && git commit"),
        ("no identity", "git config --global user.name"),
        ("no repository", "git init && git checkout -b main"),
        ("inside another", "a folder of another repository"),
        ("no branch", "git checkout --no-overwrite-ignore main"),
    ],
)
def test_repository_here_that_cannot_be_pushed(place: Place, damage: str, said: str) -> None:
    project = place.project
    variables = {}
    if damage == "no branch":
        place.git("checkout", "--quiet", "--detach")
    else:
        shutil.rmtree(project.path / ".git")
    if damage in ("no commit", "no identity"):
        place.git("init", "--quiet", "--initial-branch", "main")
    if damage == "no identity":
        variables["GIT_CONFIG_GLOBAL"] = os.devnull
    if damage == "inside another":
        openssh_server.run("git", "init", "--quiet", str(project.path.parent))
    done = place.lab("push", **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert not place.folder.exists()


@pytest.mark.slow
def test_notebook_run_there_does_not_block_the_next_push(place: Place) -> None:
    place.lab("push")
    notebook = json.loads((place.project.path / "labs" / "mnistlab.ipynb").read_text())
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            output = {"output_type": "stream", "name": "stdout", "text": [f"{number}\n"]}
            cell.update(execution_count=number, outputs=[output])
    place.write_there("labs/mnistlab.ipynb", json.dumps(notebook))
    place.commit("labs/mnistlab.py", "# changed\n")
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    place.assert_same()
    assert json.loads((place.folder / "labs/mnistlab.ipynb").read_text()) == notebook


@pytest.mark.slow
def test_removed_folder_is_made_anew(place: Place) -> None:
    place.lab("push")
    shutil.rmtree(place.folder)
    assert place.lab("push").returncode == 0
    place.assert_same()


@pytest.mark.slow
def test_server_that_does_not_answer_is_told(place: Place) -> None:
    place.client.close()
    place.server.stop()
    for command in (["push"], ["pull"], ["setup"], ["up", "--no-code", "--yes"]):
        done = place.lab(*command)
        assert done.returncode == 1
        assert "nothing listens on its port" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["~/lab", ".", "../lab", "/"])
def test_folder_that_would_surprise_is_refused(place: Place, folder: str) -> None:
    settings = place.project.read("lab.toml").replace(place.name, folder)
    (place.project.path / "lab.toml").write_text(settings, encoding="utf-8")
    done = place.lab("push")
    assert done.returncode == 1
    assert f"folder in [remote] is {folder!r}" in done.stderr
    assert list(place.server.account.home.iterdir()) == [place.server.account.home / ".ssh"]
