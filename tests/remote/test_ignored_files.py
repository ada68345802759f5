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
from place import Place, new_place

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
    """Every file that git ignores is as it was made."""
    for name, content in WORK.items():
        path = folder / name
        assert path.is_symlink() if content is None else path.read_bytes() == content, name


def remove_work(folder: Path) -> None:
    """Remove what git ignores."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "labs" / "mnistlab.ipynb").unlink(missing_ok=True)


def belong_to_account(place: Place) -> None:
    """Give everything on the machine to the account that the project is in."""
    owner = place.server.account.home.stat()
    for path in [place.folder, *place.folder.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def test_push_keeps_what_git_ignores_there(place: Place) -> None:
    assert place.lab("push").returncode == 0
    head = place.there("rev-parse", "HEAD")
    make_work(place.folder)
    for (make, names), dirty in zip([*CASES, *CASES], [True, True, False, False], strict=True):
        remove_work(place.project.path)
        make(place.project.path)
        place.git("add", "--all", "--force", ".")
        if not dirty:
            place.git("commit", "--quiet", "--message", make.__name__)
        done = place.lab("push", *(["--dirty"] if dirty else []))
        assert_work(place.folder)
        assert done.returncode == 1, make.__name__
        for name in names:
            assert name in done.stderr
        assert place.there("rev-parse", "HEAD") == head
        assert place.there("status", "--porcelain", "--untracked-files=no") == ""
        place.git("reset", "--quiet", "--hard", head)
    # What is moved away is no obstacle any more.
    remove_work(place.folder)
    commit_files(place.project.path)
    place.git("add", "--all", "--force", "data")
    place.commit("README.md", "changed")
    assert place.lab("push").returncode == 0
    place.assert_same()


def test_pull_and_the_rebase_that_it_proposes_keep_what_git_ignores_here(place: Place) -> None:
    assert place.lab("push").returncode == 0
    head = place.git("rev-parse", "HEAD")
    make_work(place.project.path)
    for (make, names), ours in zip([*CASES, *CASES], [False, False, True, True], strict=True):
        remove_work(place.folder)
        make(place.folder)
        place.there("add", "--all", "--force", ".")
        place.there("commit", "--quiet", "--message", make.__name__)
        if ours:
            place.commit("here.txt", "here")
        before = place.git("rev-parse", "HEAD")
        done = place.lab("pull")
        assert_work(place.project.path)
        assert done.returncode == 1, make.__name__
        assert "git rebase" not in done.stderr
        for name in names:
            assert name in done.stderr
        assert place.git("rev-parse", "HEAD") == before
        assert place.git("status", "--porcelain", "--untracked-files=no") == ""
        place.there("reset", "--quiet", "--hard", head)
        place.git("reset", "--quiet", "--hard", head)
    # A commit of one's own that was taken back would come up again in a rebase.
    place.commit_there("there.txt", "there")
    (place.project.path / "data").rename(place.project.path / "aside")
    (place.project.path / "data").symlink_to("aside")
    place.git("add", "--force", "data")
    place.git("commit", "--quiet", "--message", "Commit a link")
    place.git("rm", "--quiet", "data")
    place.git("commit", "--quiet", "--message", "Take it back")
    (place.project.path / "aside").rename(place.project.path / "data")
    done = place.lab("pull")
    assert done.returncode == 1
    assert "data/labels.csv" in done.stderr
    assert "git rebase" not in done.stderr
    assert_work(place.project.path)


def test_stash_is_proposed_only_where_it_loses_nothing(place: Place) -> None:
    (place.project.path / "data").mkdir(exist_ok=True)
    (place.project.path / "data" / "set.csv").write_text("tracked")
    place.git("add", "--force", "data/set.csv")
    place.commit("notes.txt", "tracked")
    assert place.lab("push").returncode == 0
    place.commit_there("notes.txt", "newer")
    (place.project.path / "notes.txt").write_text("not committed")
    assert "git stash" in place.lab("pull").stderr.partition("Next")[2]
    # Nobody tracks it any more, and it is somebody's work now; git stash would replace it.
    place.git("rm", "--cached", "--quiet", "data/set.csv")
    (place.project.path / "data" / "set.csv").write_text("mine")
    place.there("rm", "--quiet", "notes.txt")
    place.write_there("notes.txt/mine", "mine")
    for word, name in (("pull", "data/set.csv"), ("push", "notes.txt/mine")):
        said = place.lab(word).stderr
        assert f"`git stash` would remove what git does not know: {name}." in said, said
        assert "put it aside" not in said


def test_rebase_that_is_proposed_follows_no_renamed_folder(place: Place) -> None:
    (place.project.path / "old").mkdir()
    for number in range(3):
        (place.project.path / "old" / f"{number}.txt").write_text(f"{number}\n" * 50)
    place.commit("old/more.txt", "more")
    assert place.lab("push").returncode == 0
    place.there("mv", "old", "data")
    place.there("commit", "--quiet", "--message", "Rename the folder")
    place.commit("old/labels.csv", "committed")
    path = place.project.path / "data" / "labels.csv"
    path.parent.mkdir()
    path.write_text("mine")
    command = re.search("Put yours on top: (git .*?);", place.lab("pull").stderr)
    assert command is not None
    place.project.run(*shlex.split(command[1]))
    assert path.read_text() == "mine"
    assert (place.project.path / "old" / "labels.csv").read_text() == "committed"
    # What git refuses leaves a new file alone that is the beginning of the one that comes.
    assert place.lab("push").returncode == 0
    place.commit_there("new.py", "new = 1\n")
    (place.project.path / "new.py").write_text("")
    place.git("add", "new.py")
    assert "not committed here: new.py" in place.lab("pull").stderr
    assert place.git("status", "--porcelain") == "A  new.py"
    assert (place.project.path / "new.py").read_text() == ""


def test_first_push_and_links_of_ones_own_replace_nothing(place: Place, tmp_path: Path) -> None:
    # What is in the folder before its first push is somebody's.
    place.write_there("README.md", "mine")
    done = place.lab("push")
    assert done.returncode == 1
    assert "or remove: README.md" in done.stderr
    assert (place.folder / "README.md").read_text() == "mine"
    (place.folder / "README.md").unlink()
    assert place.lab("push").returncode == 0
    (place.project.path / "outputs").symlink_to(tmp_path)
    (place.project.path / "README.md").write_text("with a link that is ignored")
    done = place.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    (place.project.path / "outputs").unlink()
    place.git("restore", "README.md")
    assert place.lab("push").returncode == 0
    # Older projects ignore folders alone, so a link of that name would be sent as new.
    ignored = place.project.read(".gitignore").replace("/data\n/outputs", "/data/\n/outputs/")
    place.commit(".gitignore", ignored)
    make_work(place.folder)
    (tmp_path / "scratch").mkdir()
    for name in ("outputs", "data"):
        (place.project.path / name).symlink_to(tmp_path / "scratch")
    (place.project.path / "README.md").write_text("not committed")
    done = place.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    assert_work(place.folder)
    assert "outputs" not in place.there("ls-tree", "--name-only", "HEAD").split()
    # Nor does a project that ignores nothing send what belongs to this computer.
    (place.project.path / ".gitignore").write_text("/data\n*.ipynb\n")
    (place.project.path / "outputs").unlink()
    for name in ("outputs/lab/1/a.txt", ".lab/fetched", "lab.local.toml", "new.txt"):
        path = place.project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done = place.lab("push", "--dirty")
    assert done.returncode == 0, done.stderr
    sent = place.there("ls-tree", "-r", "--name-only", "HEAD").split()
    assert "new.txt" in sent
    assert not {"outputs/lab/1/a.txt", ".lab/fetched", "lab.local.toml"} & {*sent}
    assert_work(place.folder)


def test_update_that_was_interrupted_is_completed_on_either_side(place: Place) -> None:
    assert place.lab("push").returncode == 0
    odd = 'a\n"b" \\c.txt'
    for here in (False, True):
        folder = place.project.path if here else place.folder
        # The other side commits; this one has the commit, noted it, and was killed in the middle.
        (place.folder if here else place.project.path).joinpath(odd).write_text("new file\n" * 9)
        commit = place.commit_there if here else place.commit
        new = commit("README.md", f"new text {here}\n" * 9)
        done = place.lab("pull" if here else "push")
        assert done.returncode == 0, done.stderr
        back = place.git if here else place.there
        back("reset", "--quiet", "--hard", "HEAD~1")
        (folder / ".git" / "lab-coming").write_text(f"{new}\n")
        (folder / ".git" / "index.lock").write_text("")
        (folder / "README.md").write_text(f"new text {here}\n" * 4)
        (folder / odd).write_text("new file\n" * 4)
        belong_to_account(place)
        done = place.lab("pull" if here else "push")
        assert done.returncode == 0, done.stderr
        place.assert_same()
        assert (folder / odd).read_text() == "new file\n" * 9
        place.git("rm", "--quiet", "--", odd)
        place.commit("README.md", "gone")
        assert place.lab("push").returncode == 0


def test_case_of_a_name_counts_as_the_disk_counts_it(place: Place) -> None:
    assert place.lab("push").returncode == 0
    # A disk that tells no capitals apart finds this name, too.
    git_folder = place.folder / ".git"
    (git_folder / "hEAD").write_text("")
    place.there("config", "core.ignoreCase", "true")
    place.write_there("data/Labels.csv", "mine")
    (place.folder / "Data").symlink_to("data")
    (place.folder / "data" / "labels.csv").symlink_to("Labels.csv")
    (place.project.path / "Data").mkdir()
    (place.project.path / "Data" / "labels.csv").write_text("yours")
    place.git("add", "--all", "--force", ".")
    place.commit("README.md", "changed")
    done = place.lab("push")
    assert done.returncode == 1
    assert "files that git does not know" in done.stderr
    assert (place.folder / "data" / "Labels.csv").read_text() == "mine"


def test_submodules_are_left_alone_and_named(place: Place, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    subprocess.run(["git", "init", "--quiet", inner], check=True)
    (inner / "a.txt").write_text("one")
    for text in ("one", "two"):
        (inner / "a.txt").write_text(text)
        subprocess.run(["git", "-C", inner, "add", "."], check=True)
        subprocess.run(["git", "-C", inner, *IDENTITY, "commit", "-qm", text], check=True)
    place.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    place.commit("README.md", "with a submodule")
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    for said in (done.stderr, place.lab("push").stderr):
        assert "sub. In" in said
        assert "git submodule update --init" in said
    # git can do nothing where nobody has written down where one comes from.
    shutil.copytree(inner, place.project.path / "nested")
    place.commit("README.md", "with a repository in it")
    done = place.lab("push")
    assert "repositories of their own, so their files are not on machine: nested." in done.stderr
    assert "are not what the commit says: sub. In" in done.stderr
    place.git("rm", "--quiet", "--cached", "nested")
    shutil.rmtree(place.project.path / "nested")
    # The submodule comes there by git; later its commit here is another one.
    shutil.copytree(inner, place.folder / "sub", dirs_exist_ok=True)
    belong_to_account(place)
    place.git("-C", "sub", "checkout", "--quiet", "HEAD~1")
    place.commit("README.md", "with an older submodule")
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    assert "sub. In" in done.stderr
    # A pointer that leads elsewhere there is nobody's uncommitted work.
    place.commit("README.md", "later")
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    place.there("-C", "sub", "checkout", "--quiet", "HEAD~1")
    place.commit("README.md", "later still")
    done = place.lab("push")
    assert (done.returncode, done.stderr) == (0, "")
    # What is in it is not removed when the commit makes it a file, or a folder.
    place.git("rm", "--quiet", "--cached", "sub")
    shutil.rmtree(place.project.path / "sub")
    place.commit("sub", "a file")
    done = place.lab("push")
    assert done.returncode == 1
    assert "or remove: sub." in done.stderr
    assert (place.folder / "sub" / "a.txt").read_text() == "one"


def test_folder_of_another_project_is_left_alone(
    bake: Bake, laptop: Laptop, server: OpenSSHServer, tmp_path: Path
) -> None:
    first, second = (
        new_place(bake, laptop, server, folder="lab", alias=name, destination=tmp_path / name)
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
        assert "Another project is in lab on" in done.stderr
        assert first.there("rev-parse", "HEAD") == place_commit
        assert first.there("for-each-ref") == refs
        assert first.there("status", "--porcelain", "--untracked-files=no") == ""
    assert "Another project" in second.lab("pull").stderr
    # Work that the machine alone has is not hidden by what is not committed here, either.
    first.commit_there("there.txt", "there")
    (first.project.path / "README.md").write_text("not committed")
    done = first.lab("push", "--dirty")
    assert done.returncode == 1
    assert "has commits on main that are not here" in done.stderr
    assert first.there("symbolic-ref", "--short", "HEAD") == "main"
    first.client.close()
    second.client.close()
