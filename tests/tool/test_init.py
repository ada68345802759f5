"""`lab init`: a repository that exists becomes a project, and nothing of it is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from template_copy import TEMPLATE_FOLDER
from tool_helpers import at_terminal, run_tool

from ml_remote.initialising import proposed_files
from ml_remote.project import Project
from ml_remote.version import Version

SECRET = "TOKEN=4711\n"
OTHER_MOMENTS = [pytest.param(renames, marks=pytest.mark.slow) for renames in (0, 1, 2, 4, 5, 6)]
ANSWERS = ("--alias", "gpu", "--address", "ada@gpu.example.com")

KILLED = """
import os, sys
from ml_remote.cli import main
real, left = os.replace, int(sys.argv[1])
def replace(*names):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return real(*names)
os.replace = replace
sys.exit(main(sys.argv[2:]))
"""
"""A `lab` that is killed at the rename after this many."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return somebody's own repository, with an ignored secret and uncommitted work."""
    monkeypatch.setenv("LAB_SSH_DIR", str(tmp_path / "ssh"))
    root = tmp_path / "My Leaves"
    (root / "src" / "leaves").mkdir(parents=True)
    files = {
        "train.py": "print('learning')\n",
        "requirements.txt": "six\n",
        ".gitignore": ".env\n",
        "src/leaves/__init__.py": "",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / ".env").write_text(SECRET)
    (root / "notes.txt").write_text("mine\n")
    monkeypatch.chdir(root)
    return root


def files(root: Path) -> dict[str, bytes]:
    """Return all that is in the repository, but what git and `lab` keep for themselves."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".git", ".lab"} & set(path.relative_to(root).parts)
    }


def status(root: Path) -> list[str]:
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_repository_becomes_a_project_and_is_one_no_longer(repository: Path) -> None:
    before = files(repository)
    done = run_tool(repository / "src", "init", *ANSWERS, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('git commit -m "Work on a machine"; then: uv run lab.py up\n')
    assert "New file: lab.py" in done.stdout
    assert "+++ lab.toml" in done.stdout
    assert "lab.py pins no version of the tool yet. To see how: uv run lab.py" in done.stderr
    entry = Path(os.environ["LAB_SSH_DIR"]) / "ml-remote.d" / "gpu.conf"
    assert "HostName gpu.example.com" in entry.read_text()
    after = files(repository)
    assert {name: after[name] for name in before if name != ".gitignore"} == {
        name: data for name, data in before.items() if name != ".gitignore"
    }
    assert set(after) - set(before) == {
        ".vscode/settings.json", "lab.local.toml", "lab.py", "lab.toml",
    }  # fmt: skip
    assert "+/outputs" in done.stdout
    assert status(repository) == [
        " M .gitignore", "?? .vscode/", "?? lab.py", "?? lab.toml", "?? notes.txt",
    ]  # fmt: skip
    settings = Project(root=repository).settings
    assert (settings.alias, settings.folder, settings.package) == ("gpu", "My Leaves", "leaves")
    assert settings.source == "requirements.txt"
    assert json.loads(after[".vscode/settings.json"]) == {
        "python.defaultInterpreterPath": "${workspaceFolder}/.venv/bin/python"
    }

    again = run_tool(repository, "init", *ANSWERS, "--yes")
    assert "is already a project of lab; nothing was changed" in again.stdout
    assert files(repository) == after
    refused = run_tool(repository, "add", "timm")
    assert refused.returncode == 2
    assert "edit requirements.txt" in refused.stderr

    done = run_tool(repository, "init", "--remove", "--yes")
    assert done.returncode == 0, done.stderr
    assert files(repository) == before
    assert not (repository / ".vscode").exists()


@pytest.mark.parametrize("renames", [3, *OTHER_MOMENTS])
def test_one_that_was_killed_is_continued_and_taken_back(repository: Path, renames: int) -> None:
    before = files(repository)
    words = ("init", "--alias", "gpu", "--yes")
    command = [sys.executable, "-B", "-c", KILLED, str(renames), *words]
    assert subprocess.run(command, cwd=repository, capture_output=True).returncode == -9
    shutil.copytree(repository, repository.with_name("copy"), symlinks=True)

    done = run_tool(repository, *words)
    assert done.returncode == 0, done.stderr
    assert ("`lab init` was interrupted" in done.stderr) == (renames > 0)
    assert "git add lab.toml lab.py .gitignore .vscode/settings.json" in done.stdout
    assert set(files(repository)) - set(before) == {
        ".vscode/settings.json", "lab.local.toml", "lab.py", "lab.toml",
    }  # fmt: skip
    assert "already a project" in run_tool(repository, *words).stdout
    for root in (repository, *([repository.with_name("copy")] if renames else [])):
        done = run_tool(root, "init", "--remove", "--yes")
        assert done.returncode == 0, done.stderr
        assert files(root) == before
        assert status(root) == ["?? notes.txt"]


def test_second_one_keeps_what_the_first_has_recorded(repository: Path) -> None:
    before = files(repository)
    run_tool(repository, "init", "--alias", "gpu", "--yes")
    (repository / "lab.toml").unlink()
    (repository / "lab.py").write_text("# mine\n" + (repository / "lab.py").read_text())
    refused = run_tool(repository, "init", "--alias", "gpu", "--yes")
    assert "lab.py already exists" in refused.stderr
    (repository / "lab.py").unlink()
    done = run_tool(repository, "init", "--alias", "gpu", "--yes")
    assert done.returncode == 0, done.stderr
    done = run_tool(repository, "init", "--remove", "--yes")
    assert "Undone." in done.stdout
    assert files(repository) == before


@pytest.mark.slow
def test_what_was_changed_since_is_kept(repository: Path) -> None:
    run_tool(repository, "init", *ANSWERS, "--yes")
    with (repository / "lab.toml").open("a") as file:
        file.write("# mine\n")
    done = run_tool(repository, "init", "--remove", "--yes")
    assert "so they were kept: lab.toml" in done.stdout
    assert (repository / "lab.toml").is_file()
    assert not (repository / "lab.py").exists()


@pytest.mark.slow
def test_lines_that_are_refused_are_ignored_in_this_clone_only(repository: Path) -> None:
    gitignore = (repository / ".gitignore").read_bytes()
    code, screen = at_terminal(
        [sys.executable, "-B", "-m", "ml_remote", "init"],
        answers={
            "(- to decide later):": "-",
            "know it by [my-leaves]:": "",
            "Add lab.toml, lab.py, lab.local.toml? [Y/n]:": "y",
            "Change .gitignore? [Y/n]:": "n",
            "Add .vscode/settings.json? [Y/n]:": "n",
        },
        folder=repository,
    )
    assert code == 0, screen
    assert Project(root=repository).settings.alias == "my-leaves"
    assert (repository / ".gitignore").read_bytes() == gitignore
    assert not (repository / ".vscode").exists()
    assert status(repository) == ["?? lab.py", "?? lab.toml", "?? notes.txt"]


@pytest.mark.slow
def test_package_is_asked_for_where_there_are_several(repository: Path) -> None:
    (repository / "src" / "roots").mkdir()
    (repository / "src" / "roots" / "__init__.py").touch()
    question = "The package that programs import (leaves, roots; - for none):"
    command = [sys.executable, "-B", "-m", "ml_remote", "init", "--alias", "gpu"]
    answers = {question: "roots", "Add lab.toml, lab.py, lab.local.toml? [Y/n]:": "n"}
    code, screen = at_terminal(command, answers=answers, folder=repository)
    assert code == 1, screen
    assert '+package = "roots"' in screen
    assert not (repository / "lab.toml").exists()
    done = run_tool(repository, "init", *ANSWERS, "--package", "stems", "--yes")
    assert (done.returncode, "'stems' in src/. Its packages: leaves, roots." in done.stderr) == (
        2,
        True,
    )
    done = run_tool(repository, "init", *ANSWERS, "--yes")
    assert "several packages, and lab.toml names none. To name one: --package NAME" in done.stderr
    assert Project(root=repository).settings.package is None
    run_tool(repository, "init", "--remove", "--yes")
    run_tool(repository, "init", *ANSWERS, "--package", "leaves", "--yes")
    assert Project(root=repository).settings.package == "leaves"


@pytest.mark.slow
def test_nothing_is_changed_without_an_answer(repository: Path) -> None:
    before = files(repository)
    for words in ((), ("--alias", "gpu"), ("--alias", "no such", "--yes")):
        done = run_tool(repository, "init", *words)
        assert done.returncode == 2, done.stderr
        assert files(repository) == before
    assert "--alias NAME" in run_tool(repository, "init").stderr
    assert "--yes" in run_tool(repository, "init", "--alias", "gpu").stderr


@pytest.mark.slow
def test_file_in_the_place_of_ours_is_named_and_kept(repository: Path) -> None:
    (repository / "lab.py").write_text("mine\n")
    before = files(repository)
    done = run_tool(repository, "init", *ANSWERS, "--yes")
    assert done.returncode == 1
    assert "lab.py already exists" in done.stderr
    assert files(repository) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lab.py", ".gitignore", ".vscode", ".lab"])
def test_folder_in_the_place_of_a_file_is_named(repository: Path, name: str) -> None:
    (repository / ".gitignore").unlink()
    if name in (".vscode", ".lab"):
        (repository / name).write_text("mine\n")
    else:
        (repository / name).mkdir()
    before = files(repository)
    done = run_tool(repository, "init", "--alias", "gpu", "--yes")
    assert done.returncode == 1
    said = ".lab is a file, but lab needs" if name == ".lab" else "Nothing was written: "
    assert said in done.stderr
    assert name in done.stderr
    assert files(repository) == before


def test_settings_of_the_editor_keep_all_that_is_in_them(repository: Path) -> None:
    own = '{\n  // mine\n  "editor.rulers": [80],\n}\n'
    (repository / ".vscode").mkdir()
    (repository / ".vscode" / "settings.json").write_text(own)
    run_tool(repository, "init", *ANSWERS, "--yes")
    text = (repository / ".vscode" / "settings.json").read_text()
    assert (
        text.replace(
            '\n  "python.defaultInterpreterPath": "${workspaceFolder}/.venv/bin/python",', ""
        )
        == own
    )
    run_tool(repository, "init", "--remove", "--yes")
    assert (repository / ".vscode" / "settings.json").read_text() == own


@pytest.mark.slow
def test_odd_files_of_ones_own_are_kept_and_told(repository: Path) -> None:
    (repository / ".vscode").mkdir()
    (repository / ".vscode" / "settings.json").write_text('{"a": }\n')
    (repository / ".gitignore").write_bytes(b"*.tmp\r\n.env")
    done = run_tool(repository, "init", *ANSWERS, "--yes")
    assert done.returncode == 0, done.stderr
    assert ".vscode/settings.json was not changed: " in done.stderr
    assert (repository / ".vscode" / "settings.json").read_text() == '{"a": }\n'
    assert "\n-.env\n\\ No newline at end of file\n+.env\n" in done.stdout
    assert (repository / ".gitignore").read_bytes().startswith(b"*.tmp\r\n.env\r\n\r\n# What")
    assert "Next: git add lab.toml lab.py .gitignore; git commit -m " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "the rig"\n[project]\nlab = "b"\n', "it is not the file that lab needs"),
        ("this is no TOML", "not valid TOML"),
    ],
)
def test_lab_toml_of_another_program_is_named_and_kept(
    repository: Path, text: str, said: str
) -> None:
    (repository / "lab.toml").write_text(text)
    before = files(repository)
    done = run_tool(repository, "init", *ANSWERS, "--yes")
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert files(repository) == before


@pytest.mark.slow
def test_repository_in_an_odd_state_becomes_a_project(repository: Path, tmp_path: Path) -> None:
    def git(folder: Path, *words: str) -> None:
        subprocess.run(["git", "-c", "protocol.file.allow=always", *words], cwd=folder, check=True)

    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")  # no commit yet
    git(repository, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    git(repository, "submodule", "--quiet", "add", str(repository), "dep")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    for root in (tmp_path / "empty", tmp_path / "tree", repository / "dep"):
        done = run_tool(root, "init", "--alias", "gpu", "--yes")
        assert done.returncode == 0, done.stderr
        assert Project(root=root).settings.alias == "gpu"
        assert run_tool(root, "init", "--remove", "--yes").returncode == 0
        assert ".lab/" not in "".join(status(root))
    done = run_tool(tmp_path / "bare", "init", "--alias", "gpu", "--yes")
    assert (done.returncode, "is not in a git repository with files" in done.stderr) == (2, True)


def test_results_that_git_tracks_are_not_ignored(repository: Path) -> None:
    (repository / "outputs").mkdir()
    (repository / "outputs" / "kept.txt").write_text("kept\n")
    subprocess.run(["git", "add", "outputs"], cwd=repository, check=True)
    assert "/outputs" not in proposed_files.missing_lines(repository)
    assert ".lab" in proposed_files.missing_lines(repository)


def test_folder_without_git_is_told(tmp_path: Path) -> None:
    done = run_tool(tmp_path, "init", *ANSWERS, "--yes")
    assert done.returncode == 2
    assert "git init" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_record_of_somebody_else_writes_nothing(repository: Path) -> None:
    outside = repository.parent / "outside.txt"
    outside.write_text("mine\n")
    (repository / ".lab").mkdir()
    records: tuple[object, ...] = (
        {str(outside): {"before": "theirs", "after": ""}},
        {"../outside.txt": {"before": "theirs", "after": ""}},
        {"lab.toml": 3},
        [],
    )
    for record in records:
        (repository / ".lab" / "init.json").write_text(json.dumps(record))
        done = run_tool(repository, "init", "--remove", "--yes")
        assert done.returncode == 1
        assert "is not what `lab init` wrote" in done.stderr
    assert outside.read_text() == "mine\n"


@pytest.mark.slow
def test_what_is_left_stays_ignored_and_a_folder_may_move(repository: Path) -> None:
    run_tool(repository, "init", *ANSWERS, "--yes")
    (repository / "outputs").mkdir()
    (repository / "outputs" / "weights.pt").write_text("mine\n")
    with (repository / "lab.local.toml").open("a") as file:
        file.write("# secret\n")
    moved = repository.rename(repository.with_name("moved"))
    done = run_tool(moved, "init", "--remove", "--yes")
    assert done.returncode == 0, done.stderr
    assert "kept: lab.local.toml" in done.stdout
    assert status(moved) == ["?? notes.txt"]


@pytest.mark.slow
def test_links_that_lead_out_are_not_followed(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.mkdir()
    (repository / ".vscode").symlink_to(outside)
    run_tool(repository, "init", *ANSWERS, "--yes")
    assert list(outside.iterdir()) == []


@pytest.mark.slow
def test_folder_with_a_quote_in_its_name(repository: Path) -> None:
    done = run_tool(repository, "init", *ANSWERS, "--folder", 'a"b', "--yes")
    assert done.returncode == 0, done.stderr
    assert Project(root=repository).settings.folder == 'a"b'


def test_folder_that_cannot_be_is_told_before_there_is_a_file(repository: Path) -> None:
    before = files(repository)
    done = run_tool(repository.rename(repository.with_name("~")), "init", *ANSWERS, "--yes")
    assert done.returncode == 2
    assert "Error: lab.toml cannot be made: folder in [remote] is '~'" in done.stderr
    assert "Next: lab init --folder NAME" in done.stderr
    assert files(repository.with_name("~")) == before


def test_script_is_that_of_the_template_with_the_commit_of_the_tool() -> None:
    template = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "lab.py").read_text()
    assert proposed_files.script(Version(number="1")) == template
    commit = "0123456789abcdef0123456789abcdef01234567"
    url = "https://github.com/org/ml-remote-template"
    text = proposed_files.script(Version(number="1", url=url, commit=commit))
    assert f'# dependencies = ["ml-remote @ git+{url}@{commit}"]\n' in text
    assert f"{url}/tree/{commit}\n" in text
