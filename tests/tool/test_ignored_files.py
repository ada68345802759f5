"""`lab push` and `lab pull` never replace or remove a file that git does not track."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Bake
from openssh_server import Laptop, OpenSSHServer
from remote_project import RemoteProject, new_remote_project
from tool_helpers import without_waiting

pytestmark = pytest.mark.slow

ODD = 'a\n"b" \\c\\ü%d'
ODD_SHOWN = r'"data/a\n\"b\" \\c\\ü%d"'
WORK = {
    "outputs/lab/1/weights.pt": b"weights",
    "outputs/lab/1/link": None,
    "data/labels.csv": b"mine",
    "data/deep": b"mine",
    "labs/mnistlab.ipynb": b"mine",
    f"data/{ODD}": b"mine",
}
IDENTITY = ("-c", "user.name=Tess", "-c", "user.email=tess@example.com")


def commit_files(folder: Path) -> None:
    """Change what the other side has been working in: files, and a folder where it has a file."""
    (folder / "labs" / "mnistlab.ipynb").write_text("from the other side\n")
    (folder / "data" / "deep").mkdir(parents=True)
    for name in ("labels.csv", "deep/file", ODD):
        (folder / "data" / name).write_text("from the other side\n")


def commit_links(folder: Path) -> None:
    """Make a link where the other side has results, and a file where it has data sets."""
    (folder / "outputs").symlink_to("/nonexistent/scratch")
    (folder / "data").write_text("a file\n")


CASES: list[tuple[Callable[[Path], None], list[str]]] = [
    (commit_files, ["data/labels.csv", "labs/mnistlab.ipynb", "data/deep", ODD_SHOWN]),
    (commit_links, ["outputs/lab/1/weights.pt", "outputs/lab/1/link", "data/labels.csv"]),
]


def make_work(folder: Path) -> None:
    """Make files that git ignores."""
    for name, content in WORK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.symlink_to("weights.pt")
        else:
            path.write_bytes(content)


def assert_work(folder: Path) -> None:
    """Check that every file that git ignores is unchanged."""
    for name, content in WORK.items():
        path = folder / name
        assert path.is_symlink() if content is None else path.read_bytes() == content, name


def remove_work(folder: Path) -> None:
    """Remove what git ignores."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "labs" / "mnistlab.ipynb").unlink(missing_ok=True)


def belong_to_account(remote_project: RemoteProject) -> None:
    """Give everything on the machine to the account that the project is in."""
    owner = remote_project.server.account.home.stat()
    for path in [remote_project.folder, *remote_project.folder.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def test_push_keeps_what_git_ignores_there(remote_project: RemoteProject) -> None:
    remote_project.push()
    head = remote_project.there("rev-parse", "HEAD")
    make_work(remote_project.folder)
    for (make, names), dirty in zip([*CASES, *CASES], [True, True, False, False], strict=True):
        remove_work(remote_project.project.path)
        make(remote_project.project.path)
        remote_project.git("add", "--all", "--force", ".")
        if not dirty:
            remote_project.git("commit", "--quiet", "--message", make.__name__)
        done = remote_project.lab("push", *(["--dirty"] if dirty else []))
        assert_work(remote_project.folder)
        assert done.returncode == 1, make.__name__
        for name in names:
            assert name in done.stderr
        assert remote_project.there("rev-parse", "HEAD") == head
        assert remote_project.there("status", "--porcelain", "--untracked-files=no") == ""
        remote_project.git("reset", "--quiet", "--hard", head)
    # What is moved away is no obstacle any more.
    remove_work(remote_project.folder)
    commit_files(remote_project.project.path)
    remote_project.git("add", "--all", "--force", "data")
    remote_project.commit("README.md", "changed")
    remote_project.push()
    remote_project.assert_same()


def test_pull_and_the_rebase_that_it_proposes_keep_what_git_ignores_here(
    remote_project: RemoteProject,
) -> None:
    remote_project.push()
    head = remote_project.git("rev-parse", "HEAD")
    make_work(remote_project.project.path)
    for (make, names), ours in zip([*CASES, *CASES], [False, False, True, True], strict=True):
        remove_work(remote_project.folder)
        make(remote_project.folder)
        remote_project.there("add", "--all", "--force", ".")
        remote_project.there("commit", "--quiet", "--message", make.__name__)
        if ours:
            remote_project.commit("here.txt", "here")
        before = remote_project.git("rev-parse", "HEAD")
        done = remote_project.lab("pull")
        assert_work(remote_project.project.path)
        assert done.returncode == 1, make.__name__
        assert "git rebase" not in done.stderr
        for name in names:
            assert name in done.stderr
        assert remote_project.git("rev-parse", "HEAD") == before
        assert remote_project.git("status", "--porcelain", "--untracked-files=no") == ""
        remote_project.there("reset", "--quiet", "--hard", head)
        remote_project.git("reset", "--quiet", "--hard", head)
    # A commit of one's own that was taken back would come up again in a rebase.
    remote_project.commit_there("there.txt", "there")
    (remote_project.project.path / "data").rename(remote_project.project.path / "aside")
    (remote_project.project.path / "data").symlink_to("aside")
    remote_project.git("add", "--force", "data")
    remote_project.git("commit", "--quiet", "--message", "Commit a link")
    remote_project.git("rm", "--quiet", "data")
    remote_project.git("commit", "--quiet", "--message", "Take it back")
    (remote_project.project.path / "aside").rename(remote_project.project.path / "data")
    done = remote_project.lab("pull")
    assert done.returncode == 1
    assert "data/labels.csv" in done.stderr
    assert "git rebase" not in done.stderr
    assert_work(remote_project.project.path)


def test_stash_is_proposed_only_where_it_loses_nothing(remote_project: RemoteProject) -> None:
    (remote_project.project.path / "data").mkdir(exist_ok=True)
    (remote_project.project.path / "data" / "set.csv").write_text("tracked")
    remote_project.git("add", "--force", "data/set.csv")
    remote_project.commit("notes.txt", "tracked")
    remote_project.push()
    remote_project.commit_there("notes.txt", "newer")
    (remote_project.project.path / "notes.txt").write_text("not committed")
    assert "git stash" in remote_project.lab("pull").stderr.partition("Next")[2]
    # Nobody tracks it any more, and it is somebody's work now; git stash would replace it.
    remote_project.git("rm", "--cached", "--quiet", "data/set.csv")
    (remote_project.project.path / "data" / "set.csv").write_text("mine")
    remote_project.there("rm", "--quiet", "notes.txt")
    remote_project.write_there("notes.txt/mine", "mine")
    for word, name in (("pull", "data/set.csv"), ("push", "notes.txt/mine")):
        said = remote_project.lab(word).stderr
        assert f"`git stash` would remove untracked files: {name}." in said, said
        assert "put it aside" not in said


def test_rebase_that_is_proposed_follows_no_renamed_folder(remote_project: RemoteProject) -> None:
    (remote_project.project.path / "old").mkdir()
    for number in range(3):
        (remote_project.project.path / "old" / f"{number}.txt").write_text(f"{number}\n" * 50)
    remote_project.commit("old/more.txt", "more")
    remote_project.push()
    remote_project.there("mv", "old", "data")
    remote_project.there("commit", "--quiet", "--message", "Rename the folder")
    remote_project.commit("old/labels.csv", "committed")
    path = remote_project.project.path / "data" / "labels.csv"
    path.parent.mkdir()
    path.write_text("mine")
    command = re.search("To put yours on top: (git .*?);", remote_project.lab("pull").stderr)
    assert command is not None
    remote_project.project.run(*shlex.split(command[1]))
    assert path.read_text() == "mine"
    assert (remote_project.project.path / "old" / "labels.csv").read_text() == "committed"
    # What git refuses leaves a new file alone that is the beginning of the one that comes.
    remote_project.push()
    remote_project.commit_there("new.py", "new = 1\n")
    (remote_project.project.path / "new.py").write_text("")
    remote_project.git("add", "new.py")
    assert "files with uncommitted work: new.py" in remote_project.lab("pull").stderr
    assert remote_project.git("status", "--porcelain") == "A  new.py"
    assert (remote_project.project.path / "new.py").read_text() == ""


def test_first_push_and_links_of_ones_own_replace_nothing(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    # What is in the folder before its first push is somebody's.
    remote_project.write_there("README.md", "mine")
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "on machine: README.md. Nothing was changed there." in done.stderr
    assert (remote_project.folder / "README.md").read_text() == "mine"
    (remote_project.folder / "README.md").unlink()
    remote_project.push()
    (remote_project.project.path / "outputs").symlink_to(tmp_path)
    (remote_project.project.path / "README.md").write_text("with a link that is ignored")
    done = remote_project.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    (remote_project.project.path / "outputs").unlink()
    remote_project.git("restore", "README.md")
    remote_project.push()
    # Older projects ignore folders alone, so a link of that name would be sent as new.
    ignored = remote_project.project.read(".gitignore").replace(
        "/data\n/outputs", "/data/\n/outputs/"
    )
    remote_project.commit(".gitignore", ignored)
    make_work(remote_project.folder)
    (tmp_path / "scratch").mkdir()
    for name in ("outputs", "data"):
        (remote_project.project.path / name).symlink_to(tmp_path / "scratch")
    (remote_project.project.path / "README.md").write_text("not committed")
    done = remote_project.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    assert_work(remote_project.folder)
    assert "outputs" not in remote_project.there("ls-tree", "--name-only", "HEAD").split()
    # Nor does a project that ignores nothing send what belongs to this computer.
    (remote_project.project.path / ".gitignore").write_text("/data\n*.ipynb\n")
    (remote_project.project.path / "outputs").unlink()
    for name in ("outputs/lab/1/a.txt", ".lab/fetched", "lab.local.toml", "new.txt"):
        path = remote_project.project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done = remote_project.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    sent = remote_project.there("ls-tree", "-r", "--name-only", "HEAD").split()
    assert "new.txt" in sent
    assert not {"outputs/lab/1/a.txt", ".lab/fetched", "lab.local.toml"} & {*sent}
    assert_work(remote_project.folder)


def test_update_that_was_interrupted_is_completed_on_either_side(
    remote_project: RemoteProject,
) -> None:
    remote_project.push()
    odd = 'a\n"b" \\c.txt'
    for here in (False, True):
        folder = remote_project.project.path if here else remote_project.folder
        # The other side commits; this one has the commit, noted it, and was killed in the middle.
        (remote_project.folder if here else remote_project.project.path).joinpath(odd).write_text(
            "new file\n" * 9
        )
        commit = remote_project.commit_there if here else remote_project.commit
        new = commit("README.md", f"new text {here}\n" * 9)
        done = remote_project.lab("pull" if here else "push")
        assert done.returncode == 0, done.stderr
        back = remote_project.git if here else remote_project.there
        back("reset", "--quiet", "--hard", "HEAD~1")
        (folder / ".git" / "lab-coming").write_text(f"{new}\n")
        (folder / ".git" / "index.lock").write_text("")
        (folder / "README.md").write_text(f"new text {here}\n" * 4)
        (folder / odd).write_text("new file\n" * 4)
        belong_to_account(remote_project)
        done = remote_project.lab("pull" if here else "push")
        assert done.returncode == 0, done.stderr
        remote_project.assert_same()
        assert (folder / odd).read_text() == "new file\n" * 9
        remote_project.git("rm", "--quiet", "--", odd)
        remote_project.commit("README.md", "gone")
        remote_project.push()


def test_case_of_a_name_counts_as_the_disk_counts_it(remote_project: RemoteProject) -> None:
    remote_project.push()
    # A disk that tells no capitals apart finds this name, too.
    git_folder = remote_project.folder / ".git"
    (git_folder / "hEAD").write_text("")
    remote_project.there("config", "core.ignoreCase", "true")
    remote_project.write_there("data/Labels.csv", "mine")
    (remote_project.folder / "Data").symlink_to("data")
    (remote_project.folder / "data" / "labels.csv").symlink_to("Labels.csv")
    (remote_project.project.path / "Data").mkdir()
    (remote_project.project.path / "Data" / "labels.csv").write_text("yours")
    remote_project.git("add", "--all", "--force", ".")
    remote_project.commit("README.md", "changed")
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "untracked files" in done.stderr
    assert (remote_project.folder / "data" / "Labels.csv").read_text() == "mine"


def test_submodules_are_left_alone_and_named(remote_project: RemoteProject, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    subprocess.run(["git", "init", "--quiet", inner], check=True)
    (inner / "a.txt").write_text("one")
    for text in ("one", "two"):
        (inner / "a.txt").write_text(text)
        subprocess.run(["git", "-C", inner, "add", "."], check=True)
        subprocess.run(["git", "-C", inner, *IDENTITY, "commit", "-qm", text], check=True)
    remote_project.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub"
    )
    remote_project.commit("README.md", "with a submodule")
    done = remote_project.lab("push")
    assert done.returncode == 0, done.stderr
    for said in (done.stderr, remote_project.lab("push").stderr):
        assert "sub. In" in said
        assert "git submodule update --init" in said
    # git can do nothing where nobody has written down where one comes from.
    shutil.copytree(inner, remote_project.project.path / "nested")
    remote_project.commit("README.md", "with a repository in it")
    done = remote_project.lab("push")
    assert "repositories of their own, so their files are not on machine: nested." in done.stderr
    assert "are not what the commit says: sub. In" in done.stderr
    remote_project.git("rm", "--quiet", "--cached", "nested")
    shutil.rmtree(remote_project.project.path / "nested")
    # The submodule comes there by git; later its commit here is another one.
    shutil.copytree(inner, remote_project.folder / "sub", dirs_exist_ok=True)
    belong_to_account(remote_project)
    remote_project.git("-C", "sub", "checkout", "--quiet", "HEAD~1")
    remote_project.commit("README.md", "with an older submodule")
    done = remote_project.lab("push")
    assert done.returncode == 0, done.stderr
    assert "sub. In" in done.stderr
    # A pointer that leads elsewhere there is nobody's uncommitted work.
    remote_project.commit("README.md", "later")
    remote_project.push()
    remote_project.there("-C", "sub", "checkout", "--quiet", "HEAD~1")
    remote_project.commit("README.md", "later still")
    done = remote_project.lab("push")
    assert (done.returncode, without_waiting(done.stderr)) == (0, "")
    # What is in it is not removed when the commit makes it a file, or a folder.
    remote_project.git("rm", "--quiet", "--cached", "sub")
    shutil.rmtree(remote_project.project.path / "sub")
    remote_project.commit("sub", "a file")
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "on machine: sub. Nothing was changed there." in done.stderr
    assert (remote_project.folder / "sub" / "a.txt").read_text() == "one"


def test_folder_of_another_project_is_left_alone(
    bake: Bake, laptop: Laptop, server: OpenSSHServer, tmp_path: Path
) -> None:
    first, second = (
        new_remote_project(
            bake, laptop, server, folder="lab", alias=name, destination=tmp_path / name
        )
        for name in ("one", "two")
    )
    (second.project.path / "README.md").write_text("another project")
    assert first.lab("push").returncode == 0
    place_commit = first.there("rev-parse", "HEAD")
    second.git("commit", "--quiet", "--amend", "--all", "--message", "Another beginning")
    second.git("checkout", "--quiet", "--orphan", "other")
    second.git("commit", "--quiet", "--message", "Start")
    (second.project.path / "README.md").write_text("not committed")
    refs = first.there("for-each-ref")
    for command in (["push"], ["push", "--dirty"]):
        done = second.lab(*command)
        assert done.returncode == 1
        assert "lab on two holds another project" in done.stderr
        assert first.there("rev-parse", "HEAD") == place_commit
        assert first.there("for-each-ref") == refs
        assert first.there("status", "--porcelain", "--untracked-files=no") == ""
    assert "holds another project" in second.lab("pull").stderr
    # Work that the machine alone has is not hidden by what is not committed here, either.
    first.commit_there("there.txt", "there")
    (first.project.path / "README.md").write_text("not committed")
    done = first.lab("push", "--dirty")
    assert done.returncode == 1
    assert "has commits on main that are not here" in done.stderr
    assert first.there("symbolic-ref", "--short", "HEAD") == "main"
    first.client.close()
    second.client.close()
