"""`lab push` and `lab pull`: code goes there and back by git, over a real OpenSSH server."""

from __future__ import annotations

import json
import os
import shutil

import openssh_server
import pytest
from remote_project import RemoteProject
from tool_helpers import without_waiting


@pytest.mark.slow
def test_first_push_makes_a_repository_and_the_second_has_nothing_to_do(
    remote_project: RemoteProject,
) -> None:
    done = remote_project.lab("push")
    assert done.returncode == 0, done.stderr
    assert "Pushed 2 commits to machine" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lab setup"
    assert without_waiting(done.stderr) == ""
    remote_project.assert_same()
    assert remote_project.there("config", "receive.denyCurrentBranch") == "updateInstead"
    again = remote_project.lab("push")
    assert again.returncode == 0
    assert "Nothing to push" in again.stdout


@pytest.mark.slow
def test_push_adds_changes_and_removes_files_there(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    (remote_project.project.path / "README.md").unlink()
    remote_project.commit("größe 'x' \"y\".txt", "new")
    remote_project.commit("labs/mnistlab.py", "# changed\n")
    done = remote_project.lab("push")
    assert "Pushed 2 commits" in done.stdout, done.stderr
    remote_project.assert_same()
    assert not (remote_project.folder / "README.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["changed", "added", "deleted"])
def test_uncommitted_work_there_is_never_overwritten(
    remote_project: RemoteProject, kind: str
) -> None:
    remote_project.lab("push")
    before = remote_project.there("rev-parse", "HEAD")
    if kind == "changed":
        remote_project.write_there("README.md", "mine")
    elif kind == "added":
        remote_project.write_there("new.txt", "mine")
        remote_project.there("add", "new.txt")
    else:
        (remote_project.folder / "README.md").unlink()
    remote_project.commit("README.md", "yours")
    for _ in range(2):
        done = remote_project.lab("push")
        assert done.returncode == 1
        name = "new.txt" if kind == "added" else "README.md"
        assert f"uncommitted work on machine, in {remote_project.folder}: {name}" in done.stderr
        assert "git stash" in done.stderr
        assert remote_project.there("rev-parse", "HEAD") == before
    if kind == "changed":
        assert (remote_project.folder / "README.md").read_text() == "mine"


@pytest.mark.slow
def test_files_in_the_way_there_are_named(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.write_there("new file.txt", "mine")
    remote_project.commit("new file.txt", "yours")
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "new file.txt" in done.stderr
    assert "untracked files" in done.stderr
    assert (remote_project.folder / "new file.txt").read_text() == "mine"
    (remote_project.folder / "new file.txt").unlink()
    remote_project.push()
    remote_project.assert_same()


@pytest.mark.slow
def test_uncommitted_work_here_is_named_and_sent_on_request(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    project = remote_project.project
    (project.path / "README.md").write_text("not committed")
    (project.path / "notes.txt").write_text("new")
    remote_project.git("add", "notes.txt")
    (project.path / "data").mkdir()
    (project.path / "data" / "big").write_text("ignored")
    before = (remote_project.git("rev-parse", "HEAD"), remote_project.git("status", "--porcelain"))
    done = remote_project.lab("push")
    assert done.returncode == 0
    assert "2 files are not committed and not pushed: " in done.stderr

    for _ in range(2):
        done = remote_project.lab("push", "--dirty")
        assert done.returncode == 0, done.stderr
        assert (remote_project.folder / "README.md").read_text() == "not committed"
        assert (remote_project.folder / "notes.txt").read_text() == "new"
        assert not (remote_project.folder / "data").exists()
        assert remote_project.there("status", "--porcelain") == ""
        assert (
            remote_project.git("rev-parse", "HEAD"),
            remote_project.git("status", "--porcelain"),
        ) == before
    assert "Nothing to push" in done.stdout

    (project.path / "README.md").write_text("later")
    assert remote_project.lab("push", "--dirty").returncode == 0
    assert (remote_project.folder / "README.md").read_text() == "later"
    remote_project.commit("README.md", "committed")
    remote_project.push()
    remote_project.assert_same()
    assert remote_project.there("symbolic-ref", "--short", "HEAD") == "main"


@pytest.mark.slow
def test_commits_on_top_of_uncommitted_work_there_are_not_replaced(
    remote_project: RemoteProject,
) -> None:
    remote_project.lab("push")
    (remote_project.project.path / "README.md").write_text("not committed")
    remote_project.lab("push", "--dirty")
    made = remote_project.commit_there("there.txt", "there")
    (remote_project.project.path / "README.md").write_text("later")
    done = remote_project.lab("push", "--dirty")
    assert done.returncode == 1
    assert "git branch -m lab-uncommitted" in done.stderr
    assert remote_project.there("rev-parse", "HEAD") == made
    assert "merge.directoryRenames=false cherry-pick" in remote_project.lab("pull").stderr
    # A file that git does not know any more there would come up again on the way.
    remote_project.write_there("data/set.csv", "mine")
    remote_project.there("add", "--force", "data/set.csv")
    remote_project.there("commit", "--quiet", "--message", "Add by mistake")
    remote_project.there("rm", "--quiet", "--cached", "data/set.csv")
    remote_project.there("commit", "--quiet", "--message", "Take it back")
    said = remote_project.lab("pull").stderr
    assert "in the way of putting them on main: data/set.csv" in said
    assert "cherry-pick" not in said


@pytest.mark.slow
def test_another_branch_is_checked_out_there_too(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.git("switch", "--quiet", "--create", "idea")
    remote_project.commit("idea.txt", "idea")
    remote_project.push()
    remote_project.assert_same()
    remote_project.git("switch", "--quiet", "main")
    remote_project.push()
    remote_project.assert_same()
    assert not (remote_project.folder / "idea.txt").exists()


@pytest.mark.slow
def test_commits_made_there_come_back(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    made = remote_project.commit_there("there.txt", "there")
    remote_project.commit_there("more.txt", "more")
    done = remote_project.lab("pull")
    assert done.returncode == 0, done.stderr
    assert "2 commits fetched from machine" in done.stdout
    assert (remote_project.project.path / "there.txt").read_text() == "there"
    assert remote_project.git("rev-parse", "HEAD~1") == made
    again = remote_project.lab("pull")
    assert "No new commits on machine" in again.stdout
    assert "outputs/ is already up to date" in again.stdout


@pytest.mark.slow
def test_new_commits_on_both_sides_are_left_to_the_person(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.commit_there("there.txt", "there")
    made = remote_project.commit("here.txt", "here")
    remote_project.write_there("outputs/mnistlab/1/metrics.json", "{}")
    pushed = remote_project.lab("push")
    assert pushed.returncode == 1
    assert "commits on main that are not here" in pushed.stderr
    assert "Next: lab pull" in pushed.stderr
    pulled = remote_project.lab("pull")
    assert pulled.returncode == 1
    assert "git -c merge.directoryRenames=false rebase refs/lab/main" in pulled.stderr
    assert remote_project.git("rev-parse", "HEAD") == made
    # The results have come all the same.
    assert (remote_project.project.path / "outputs/mnistlab/1/metrics.json").read_text() == "{}"
    remote_project.git("rebase", "--quiet", "refs/lab/main")
    remote_project.push()
    remote_project.assert_same()


@pytest.mark.slow
def test_pull_keeps_work_that_is_not_committed_here(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.commit_there("README.md", "there")
    (remote_project.project.path / "README.md").write_text("mine")
    done = remote_project.lab("pull")
    assert done.returncode == 1
    assert "files with uncommitted work: README.md" in done.stderr
    assert (remote_project.project.path / "README.md").read_text() == "mine"


@pytest.mark.slow
def test_outputs_come_once_and_kept_files_are_named(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.write_there("outputs/mnistlab/1/metrics.json", "{}")
    remote_project.write_there("README.md", "changed there")
    done = remote_project.lab("pull")
    assert done.returncode == 0, done.stderr
    assert "1 file copied to outputs/" in done.stdout
    assert "README.md" in done.stderr  # not committed there, so it stays there
    brought = remote_project.project.path / "outputs/mnistlab/1/metrics.json"
    brought.write_text("mine")
    done = remote_project.lab("pull")
    assert done.returncode == 0
    assert "kept: mnistlab/1/metrics.json" in done.stderr
    assert brought.read_text() == "mine"
    assert remote_project.lab("pull", "--overwrite").returncode == 0
    assert brought.read_text() == "{}"
    assert remote_project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_nothing_there_is_told_with_what_to_do(remote_project: RemoteProject) -> None:
    done = remote_project.lab("pull")
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "Next: Send the project to the machine: lab up" in done.stderr


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
def test_repository_here_that_cannot_be_pushed(
    remote_project: RemoteProject, damage: str, said: str
) -> None:
    project = remote_project.project
    variables = {}
    if damage == "no branch":
        remote_project.git("checkout", "--quiet", "--detach")
    else:
        shutil.rmtree(project.path / ".git")
    if damage in ("no commit", "no identity"):
        remote_project.git("init", "--quiet", "--initial-branch", "main")
    if damage == "no identity":
        variables["GIT_CONFIG_GLOBAL"] = os.devnull
    if damage == "inside another":
        openssh_server.run("git", "init", "--quiet", str(project.path.parent))
    done = remote_project.lab("push", **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert not remote_project.folder.exists()


@pytest.mark.slow
def test_notebook_run_there_does_not_block_the_next_push(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    notebook = json.loads((remote_project.project.path / "labs" / "mnistlab.ipynb").read_text())
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            output = {"output_type": "stream", "name": "stdout", "text": [f"{number}\n"]}
            cell.update(execution_count=number, outputs=[output])
    remote_project.write_there("labs/mnistlab.ipynb", json.dumps(notebook))
    remote_project.commit("labs/mnistlab.py", "# changed\n")
    remote_project.push()
    remote_project.assert_same()
    assert json.loads((remote_project.folder / "labs/mnistlab.ipynb").read_text()) == notebook


@pytest.mark.slow
def test_removed_folder_is_made_anew(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    shutil.rmtree(remote_project.folder)
    remote_project.push()
    remote_project.assert_same()


@pytest.mark.slow
def test_server_that_does_not_answer_is_told(remote_project: RemoteProject) -> None:
    remote_project.client.close()
    remote_project.server.stop()
    for command in (["push"], ["pull"], ["setup"], ["up", "--no-code", "--yes"]):
        done = remote_project.lab(*command)
        assert done.returncode == 1
        assert "nothing listens on port" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["~/lab", ".", "../lab", "/"])
def test_folder_that_would_surprise_is_refused(remote_project: RemoteProject, folder: str) -> None:
    settings = remote_project.project.read("lab.toml").replace(remote_project.name, folder)
    (remote_project.project.path / "lab.toml").write_text(settings, encoding="utf-8")
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert f"folder in [remote] is {folder!r}" in done.stderr
    assert list(remote_project.server.account.home.iterdir()) == [
        remote_project.server.account.home / ".ssh"
    ]
