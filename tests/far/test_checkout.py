"""The code of one run in a folder of its own, made from git and finished without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from needs import need_root

from ml_remote.far.login import checkout
from ml_remote.far.login.snapshot import CodeError, snapshot

pytestmark = pytest.mark.slow

WHO = (
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.com",
    "-c",
    "protocol.file.allow=always",
)
BIG = b"the weights of a network\n" * 100
OID = "b5cc6d2d7c3ab2a9e3d2ea5b4a1d7cf1ac8b9f13c9f1b5bbd6b0a3e0b0c0d0e0"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(BIG)}\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a repository with all that a copy of its files could lose."""
    library = tmp_path / "library"
    folder = tmp_path / "it's a project"
    for path in (library, folder):
        path.mkdir()
        git(path, "init", "--quiet")
    write(library, part_DOT_py="PART = 1\n")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "one")
    write(tmp_path, shared_DOT_txt="shared")
    files = {
        "lab.toml": "format = 2\n",
        "src/thing/__init__.py": "VALUE = 1\n",
        "labs/thin.py": "print(1)\n",
        "data/tracked.csv": "1\n",
        "paper/plot.py": "left out of archives\n",
        "weights.bin": POINTER,
        ".gitattributes": "paper export-ignore\n*.bin filter=lfs\n",
        ".gitignore": "*.so\n.env\ncache/\n/outputs\n/.lab\n",
        "changed.txt": "committed\n",
        "gone.txt": "committed\n",
        "nämé with\ttab": "odd\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "inside").symlink_to("changed.txt")
    (folder / "outside").symlink_to("../shared.txt")
    git(folder, "submodule", "--quiet", "add", str(library), "library")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one")
    (folder / ".lab" / "jobs" / "one").mkdir(parents=True)
    store = folder / ".git" / "lfs" / "objects" / OID[:2] / OID[2:4] / OID
    store.parent.mkdir(parents=True)
    store.write_bytes(BIG)
    for name in ("src/thing/_core.so", ".env", "cache/big"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("ignored")
    return folder


def test_checkout_is_the_folder_as_it_was_when_the_run_was_asked_for(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert snapshot(project) == (head, False)
    write(project, checkpoints__deep__old_DOT_pt="of an earlier run")
    assert snapshot(project, ["./checkpoints/deep/"]) == (head, False)
    (project / "changed.txt").write_text("edited\n")
    (project / "gone.txt").unlink()
    (project / "new.py").write_text("NEW = 1\n")
    (project / "huge.bin").write_bytes(b"x" * (11 * 2**20))
    before = git(project, "status", "--porcelain")
    taken = snapshot(project, ["checkpoints/deep"])
    assert taken is not None
    commit, is_dirty = taken
    assert (is_dirty, snapshot(project, ["checkpoints/deep"])) == (
        True,
        taken,
    )  # the same code is the same commit
    assert git(project, "status", "--porcelain") == before
    assert git(project, "rev-parse", "HEAD") == head
    # What happens to the folder afterwards changes nothing.
    git(project, "stash", "--quiet", "--include-untracked")
    place = checkout.make(project, "one", commit, ["checkpoints/deep"])
    assert place == project / ".lab" / "code" / "one"
    assert checkout.make(project, "one", commit) == place
    assert (place / "changed.txt").read_text() == "edited\n"
    assert (place / "inside").read_text() == "edited\n"
    assert (place / "outside").read_text() == "shared"
    assert (place / "new.py").read_text() == "NEW = 1\n"
    assert (place / "paper" / "plot.py").exists()
    assert (place / "library" / "part.py").read_text() == "PART = 1\n"
    assert (place / "weights.bin").read_bytes() == BIG
    assert (place / "nämé with\ttab").read_text() == "odd\n"
    assert os.access(place / "run.sh", os.X_OK)
    assert list((place / "checkpoints" / "deep").iterdir()) == []
    assert (place / ".env").read_text() == "ignored"
    assert (place / "src" / "thing" / "_core.so").read_text() == "ignored"
    for name in ("gone.txt", "huge.bin", ".venv", ".git", "library/.git"):
        assert not os.path.lexists(place / name), name
    for name in ("data", "outputs", ".lab"):
        assert (place / name).resolve() == project / name
    with pytest.raises(CodeError, match="another commit"):
        checkout.make(project, "one", head)
    with pytest.raises(CodeError):
        checkout.make(project, "two", "0" * 40)
    assert [path.name for path in sorted(place.parent.iterdir())] == ["one", "one.json"]


def test_what_git_does_not_have_is_copied_or_linked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_remote.far.login.untracked_files._MOST_FILES", 2)
    write(project, cache__many__a="1", cache__many__b="2", cache__few__a="1", cache__few__b="2")
    write(project, cache__many__c="3", cache____pycache____a_DOT_pyc="1", cache__results__old="1")
    write(project, clone__part_DOT_py="PART = 2\n")
    git(project / "clone", "init", "--quiet")
    for name in ("huge.bin", "cache/huge.bin"):
        with (project / name).open("wb") as file:
            file.truncate(11 * 2**20)
    taken = snapshot(project)
    assert taken is not None
    write(project, younger_DOT_py="")
    place = checkout.make(project, "one", taken[0])
    assert (place / "cache").resolve() == project / "cache"  # it has very many files
    monkeypatch.setattr("ml_remote.far.login.untracked_files._MOST_FILES", 20)
    place = checkout.make(project, "two", taken[0], ["cache/results"])
    for name in ("huge.bin", "cache/huge.bin"):
        assert (place / name).resolve() == project / name
    for name in ("younger.py", "cache/results/old", "cache/__pycache__", "clone/.git"):
        assert not os.path.lexists(place / name), name
    assert (place / "clone" / "part.py").read_text() == "PART = 2\n"
    (place / "cache" / "few" / "a").write_text("a run's own")
    (place / "cache" / "new").write_text("new")
    results = project / "outputs" / "thin" / "two"
    assert checkout.finish(project, "two", results)
    names = [str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()]
    assert sorted(names) == ["cache/few/a", "cache/new"]
    assert (project / "cache" / "few" / "a").read_text() == "1"
    assert (project / "cache" / "huge.bin").stat().st_size == 11 * 2**20
    assert checkout.finish(project, "one", results)
    assert (project / "cache" / "many" / "c").read_text() == "3"


def test_env_files_are_copied_and_in_no_commit_though_git_does_not_ignore_them(
    project: Path,
) -> None:
    head = git(project, "rev-parse", "HEAD")
    for name in (".env.local", "src/thing/.env"):
        (project / name).write_text("KEY=secret\n")
    assert snapshot(project) == (head, False)
    place = checkout.make(project, "one", head)
    assert (place / ".env.local").read_text() == "KEY=secret\n"
    (project / "new.py").write_text("NEW = 1\n")
    taken = snapshot(project)
    assert taken is not None
    changed = git(project, "diff", "--name-only", head, taken[0])
    assert changed == "new.py"


def test_file_that_goes_while_the_snapshot_is_made_stops_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [b"changed.txt", b"was here"]
    monkeypatch.setattr("ml_remote.far.login.snapshot._new_files", lambda *_: found)
    assert snapshot(project) == (git(project, "rev-parse", "HEAD"), False)


def test_checkout_of_a_set_stays_while_a_process_of_it_lives(project: Path) -> None:
    taken = snapshot(project)
    assert taken is not None
    results = project / "outputs" / "thin" / "sweep-1"
    place = checkout.make(project, "sweep-1", taken[0])
    command = ["sh", "-c", "echo 1 >first; read line; echo 2 >second"]
    with subprocess.Popen(
        command, cwd=place, env={**os.environ, **checkout.variables(place)}, stdin=subprocess.PIPE
    ) as left:
        assert not checkout.finish(project, "sweep-1", results)
        assert not checkout.finish(project, "sweep-1", results, at_end=True)
        assert place.is_dir()
        left.communicate(b"\n", timeout=30)
    assert checkout.finish(project, "sweep-1", results)
    assert (results / "second").read_text() == "2\n"
    assert not place.exists()


def test_what_is_new_is_moved_and_the_rest_goes(project: Path) -> None:
    taken = snapshot(project)
    assert taken is not None
    place = checkout.make(project, "one", taken[0], ["checkpoints"])
    results = project / "outputs" / "thin" / "one"
    results.mkdir(parents=True)
    (results / "taken.txt").write_text("in LAB_OUTPUT_DIR")
    (results / "elsewhere").symlink_to(project.parent)
    written = {
        "checkpoints/last.pt": "weights",
        "taken.txt": "beside the code",
        "elsewhere/own.txt": "not through the link",
        "changed.txt": "of the run",
        "src/thing/notes.txt": "notes",
        "locked/deep/file": "kept",
    }
    for name, text in written.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    (place / "link").symlink_to("checkpoints")
    (place / "locked").chmod(0o000)
    (place / "src/thing/__pycache__").mkdir()
    (place / "src/thing/__pycache__/x.cpython-311.pyc").write_text("bytecode")
    os.mkfifo(place / "pipe")
    mark = {**os.environ, "LAB_JOB_FOLDER": f"{project}/.lab/jobs/one/"}
    with subprocess.Popen(["sleep", "100"], env=mark) as left:
        # A run that was killed may have left a process; one that has ended has come to its end.
        assert not checkout.finish(project, "one", results)
        assert (place / "taken.txt").exists()
        assert not checkout.finish(project, "one", results, at_end=True)
        assert (results / "checkpoints" / "last.pt").read_text() == "weights"
        assert place.exists()
        left.kill()
    assert checkout.finish(project, "one", results)
    assert checkout.finish(project, "one", results)
    moved = {
        path.relative_to(results).as_posix(): path.read_text()
        for path in results.rglob("*")
        if path.is_file() and path.parent != results / "link" and "elsewhere/" not in f"{path}/"
    }
    moved["code/elsewhere/own.txt"] = (results / "code/elsewhere/own.txt").read_text()
    assert moved == {
        "taken.txt": "in LAB_OUTPUT_DIR",
        "code/taken.txt": "beside the code",
        "checkpoints/last.pt": "weights",
        "code/elsewhere/own.txt": "not through the link",
        "changed.txt": "of the run",
        "src/thing/notes.txt": "notes",
        "locked/deep/file": "kept",
    }
    assert (results / "link").is_symlink()
    assert list((project / ".lab" / "code").iterdir()) == []
    assert (project / "changed.txt").read_text() == "committed\n"
    assert (project / "data" / "tracked.csv").exists()


def test_package_comes_from_the_checkout_or_the_run_says_whence(
    project: Path, tmp_path: Path
) -> None:
    """A .pth file comes after PYTHONPATH; the finder of a compiled extension comes before it."""
    taken = snapshot(project)
    assert taken is not None
    checkout.make(project, "one", taken[0])
    place = project / ".lab" / "code" / "one"
    words = [sys.executable, "-s", "-c", "import thing; print(thing.__file__)"]
    variables = {**os.environ, **checkout.variables(place), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, env=variables, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(place / "src" / "thing" / "__init__.py")
    assert checkout.elsewhere(place) == []
    site = tmp_path / "site"
    site.mkdir()
    (site / "usercustomize.py").write_text(
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        source = {str(project / 'src/thing/__init__.py')!r}\n"
        "        if name == 'thing':\n"
        "            return importlib.util.spec_from_file_location(name, source)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    job = project / ".lab" / "jobs" / "one"
    (job / "code").write_text("checkout\na\na\nclean\np\n\n")
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); import usercustomize; "
    program += "from ml_remote.far.login.checkout import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", program, str(site), "prove", str(place), str(job)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=variables | {
        "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert "this run uses the folder's code: thing from" in done.stdout
    assert (job / "code").read_text().split("\n")[5].startswith("uses the folder's code: thing")


def test_folder_without_a_repository_of_its_own_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")  # of a home directory
    project = tmp_path / "project"
    (project / ".lab" / "jobs" / "one").mkdir(parents=True)
    (project / "lab.toml").write_text("format = 2\n")
    assert snapshot(project) is None
    monkeypatch.chdir(project)
    assert checkout.main(["begin", "one", "outputs/x/", "checkpoints"]) == 0
    job = project / ".lab" / "jobs" / "one"
    assert (job / "code").read_text().startswith("folder\n")
    assert (job / "folders").read_text() == f"{project}/outputs/x/one\ncheckpoints\n"
    assert checkout.main(["kind"]) == 0
    # A repository of its own without a commit has code all the same.
    git(project, "init", "--quiet")
    assert checkout.main(["kind"]) == 0
    assert capsys.readouterr().out == "folder\ncheckout\n"
    taken = snapshot(project)
    assert taken is not None
    assert (checkout.make(project, "one", taken[0]) / "lab.toml").exists()
    (project / ".git" / "HEAD").write_text("damaged")
    with pytest.raises(CodeError):
        snapshot(project)


def test_full_disk_leaves_no_half_of_a_checkout(project: Path) -> None:
    need_root("mount a disk")
    (project / "large.bin").write_bytes(os.urandom(2**20))
    taken = snapshot(project)
    assert taken is not None
    code = project / ".lab/code"
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(code)]
    subprocess.run(["mount", *options], check=True)
    try:
        with pytest.raises((CodeError, OSError)) as error:
            checkout.make(project, "one", taken[0])
        assert "No space left" in str(error.value) or "unable to write" in str(error.value)
        assert list(code.iterdir()) == []
    finally:
        subprocess.run(["umount", code], check=True)
    assert (checkout.make(project, "one", taken[0]) / "large.bin").stat().st_size == 2**20


def test_checkout_whose_list_is_lost_is_kept_whole(project: Path) -> None:
    taken = snapshot(project)
    assert taken is not None
    checkout.make(project, "one", taken[0])
    manifest = project / ".lab" / "code" / "one.json"
    assert json.loads(manifest.read_text())["commit"] == taken[0]
    manifest.write_text("{")
    results = project / "outputs" / "thin" / "one"
    assert checkout.finish(project, "one", results)
    assert (results / "changed.txt").read_text() == "committed\n"
