"""Commits from the machine that would change what runs on this computer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from remote_project import RemoteProject
from template_copy import TEMPLATE_FOLDER
from tool_helpers import at_terminal

from ml_remote.errors import LabError
from ml_remote.transfer.incoming_commits import IncomingCommits, examine, settle
from ml_remote.ui.console import Console

URL = "https://git.example.com/team/tool"
ONE, TWO = "1" * 40, "2" * 40
LAB = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "lab.py").read_text(encoding="utf-8")
QUESTION = "Accept these commits? [y/N]:"


def script(commit: str, url: str = URL, more: str = "") -> str:
    pinned = f'# dependencies = ["ml-remote @ git+{url}@{commit}"]'
    return LAB.replace("# dependencies = []", pinned) + more


class Repository:
    """A repository with one commit, and what a second one on top would change."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.git("init", "--quiet", "--initial-branch", "main")
        self.old = self.commit({"lab.py": script(ONE), "lab.toml": "format = 2\n", "a.py": "1\n"})

    def git(self, *words: str) -> str:
        return subprocess.check_output(["git", "-C", self.root, *words], text=True).strip()

    def commit(self, files: Mapping[str, str | None], *, link: bool = False) -> str:
        """Commit these files, or their removal, and return the commit."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.symlink_to(text) if link else path.write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "Try \x1b]52;c;aGk=\x07 this")
        return self.git("rev-parse", "HEAD")

    def coming(self, files: Mapping[str, str | None], *, link: bool = False) -> IncomingCommits:
        """Return what a commit with these files would change."""
        new = self.commit(files, link=link)
        try:
            return examine(self.root, self.old, new)
        finally:
            self.git("reset", "--quiet", "--hard", self.old)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def agree(incoming: IncomingCommits, *, accepted: bool = False) -> None:
    settle(incoming, Console(), accepted=accepted, source="gpu")


def test_commit_that_changes_what_runs_here_is_named(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "lab.toml": "format = 2\n\n",
        ".vscode/tasks.json": "{}",
        ".devcontainer/devcontainer.json": "{}",
        ".pre-commit-config.yaml": "repos: []",
        "hooks/post-merge": "",
        "labs/uv.toml": "",
        "gpu.Code-Workspace": "{}",
        ".zed/settings.json": "{}",
        "data.txt": "",
    }
    repository.git("config", "core.hooksPath", "tools/githooks")
    coming = repository.coming({**files, "tools/githooks/post-merge": ""})
    assert set(coming.touched) == {*files, "tools/githooks/post-merge"} - {"data.txt"}
    agree(coming)
    said = capsys.readouterr().err
    assert "New commits from gpu change what runs on this computer" in said
    assert "Try \\x1b]52;c;aGk=\\x07 this: " in said
    assert "\x1b" not in said.replace("\x1b[33m", "").replace("\x1b[0m", "")
    agree(repository.coming({"a.py": "2\n", "labs/b.py": ""}))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("way", ["absolute", "home", "link to a hook", "link to the folder"])
def test_hooks_in_the_repository_are_found_however_git_is_led_there(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    hook = "tools/checks/post-merge"
    repository.old = repository.commit({hook: "#!/bin/sh\n"})
    hooks = repository.root / ".git/hooks"
    if way == "absolute":
        repository.git("config", "core.hooksPath", str(repository.root / "tools/checks"))
    elif way == "home":
        monkeypatch.setenv("HOME", str(repository.root))
        repository.git("config", "core.hooksPath", "~/tools/checks")
    elif way == "link to a hook":
        hooks.mkdir(exist_ok=True)
        (hooks / "post-merge").symlink_to(f"../../{hook}")
    else:
        repository.old = repository.commit({"ours": "tools/checks"}, link=True)
        repository.git("config", "core.hooksPath", "ours")
        assert repository.coming({"ours": "tools"}, link=True).touched == ("ours",)
    assert repository.coming({hook: "#!/bin/sh\nrm -r ~\n", "a.py": "2\n"}).touched == (hook,)
    shutil.rmtree(repository.root / "tools")
    new = repository.commit({"tools": "elsewhere"}, link=True)
    repository.git("reset", "--quiet", "--hard", repository.old)
    assert "tools" in examine(repository.root, repository.old, new).touched


def test_names_that_this_disk_confuses_are_not_taken(repository: Repository) -> None:
    root, old = repository.root, repository.commit({"was/There": "1", "was/there": "2"})
    fine = repository.commit({"src/A.py": "1", "src/b.py": "2", "was/other": "3", "was/There": "4"})
    alike = repository.commit({"SRC/c.py": "1"})
    examine(root, old, alike)  # the disk of the test has both
    repository.git("config", "core.ignoreCase", "true")
    examine(root, old, fine)
    with pytest.raises(LabError, match=r"only in capitals.*: SRC, src\. Nothing was changed"):
        examine(root, fine, alike)


@pytest.mark.parametrize(
    ("files", "beforehand"),
    [
        ({"lab.py": script(TWO)}, True),
        ({"lab.py": script(TWO, "https://evil.example/tool")}, False),
        ({"lab.py": script(TWO, more="print('more')\n")}, False),
        ({"lab.py": script(ONE, more=f"# {TWO}\n")}, False),
        ({"lab.py": script(TWO).replace('"]', '", "evil"]')}, False),
        ({"lab.py": script(TWO).replace("# ///", '# [tool.uv]\n# index-url="x"\n# ///', 1)}, False),
        ({"lab.py": None}, False),
        ({"lab.py": LAB}, False),
        ({"lab.py": "# /// script\n# dependencies = [\n# ///\n"}, False),
        ({"lab.py": script(TWO), "lab.py.lock": "version = 1\n"}, False),
        ({"lab.py.lock": "version = 1\n"}, False),
        ({"uv.toml": 'index-url = "https://evil.example"\n'}, False),
        ({"pyproject.toml": '[tool.uv]\nextra-index-url = ["https://evil.example"]\n'}, False),
    ],
)
def test_another_tool_is_only_taken_when_somebody_agrees(
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str | None],
    beforehand: bool,
) -> None:
    coming = repository.coming(files)
    assert coming.changes_tool
    with pytest.raises(LabError, match="No commits were accepted") as refused:
        agree(coming)
    said = capsys.readouterr().err
    assert f"{URL} at commit {ONE}" in said
    assert ("--accept-tool" in str(refused.value.hint)) is beforehand
    if beforehand:
        assert f"{URL} at commit {TWO}" in said
        agree(coming, accepted=True)
        return
    with pytest.raises(LabError, match="No commits were accepted"):
        agree(coming, accepted=True)


@pytest.mark.parametrize(
    "files", [{"pyproject.toml": "[tool.uv]\nmanaged = false\n"}, {"a.py": "2\n"}]
)
def test_other_changes_are_taken_unasked(repository: Repository, files: dict[str, str]) -> None:
    agree(repository.coming(files))


@pytest.mark.parametrize(
    ("name", "link", "said"),
    [
        ("lab.local.toml", False, "must not come from a commit"),
        ("Lab.Local.TOML", False, "must not come from a commit"),
        ("lab.local.toml ", False, "must not come from a commit"),
        ("lab\u200b.local.toml", False, "must not come from a commit"),
        (".lab/far/1/__main__.py", False, "must not come from a commit"),
        (".venv", True, "must not come from a commit"),
        ("LAB.py", False, "some computers confuse with lab.py"),
        (".VSCode/tasks.json", False, "some computers confuse with .vscode"),
        ("lab.py", True, "make lab.py a link"),
        ("uv.toml", True, "make uv.toml a link"),
    ],
)
def test_files_that_no_commit_may_bring_are_refused(
    repository: Repository, name: str, link: bool, said: str
) -> None:
    with pytest.raises(LabError, match=said):
        repository.coming({name: "elsewhere"}, link=link)


@pytest.mark.slow
def test_pull_stops_before_the_tool_becomes_another_one(
    remote_project: RemoteProject, home: Path
) -> None:
    remote_project.commit("lab.py", script(ONE))
    hook = remote_project.project.path / ".git" / "hooks" / "post-merge"
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    remote_project.push()
    before = remote_project.git("rev-parse", "HEAD")
    remote_project.write_there("outputs/mnistlab/1/x.txt", "a result")

    first = remote_project.commit_there("lab.py", script(TWO))
    refused = remote_project.lab("pull")
    assert refused.returncode == 1
    assert f"now:    {URL} at commit {ONE}" in refused.stderr
    assert f"then:   {URL} at commit {TWO}" in refused.stderr
    assert "lab pull --accept-tool" in refused.stderr
    assert remote_project.git("rev-parse", "HEAD") == before
    assert (remote_project.project.path / "outputs" / "mnistlab" / "1" / "x.txt").exists()
    accepted = remote_project.lab("pull", "--accept-tool")
    assert accepted.returncode == 0, accepted.stderr
    assert "change what runs on this computer" in accepted.stderr
    assert remote_project.git("rev-parse", "HEAD") == first
    assert not (remote_project.project.path / "ran").exists()

    last = remote_project.commit_there("lab.py", script(TWO, "https://evil.example/tool"))
    refused = remote_project.lab("pull", "--accept-tool")
    assert refused.returncode == 1
    assert "Pull in a terminal" in refused.stderr
    assert remote_project.git("rev-parse", "HEAD") == first
    pull = [sys.executable, "-B", "lab.py", "pull"]
    folder = remote_project.project.path
    no, screen = at_terminal(pull, answers={QUESTION: "n"}, folder=folder)
    assert no == 1
    assert "https://evil.example/tool" in screen
    yes, _ = at_terminal(pull, answers={QUESTION: "y"}, folder=folder)
    assert yes == 0
    assert remote_project.git("rev-parse", "HEAD") == last
    memory = next(home.rglob("ml-remote/trusted"))
    assert f"https://evil.example/tool at commit {TWO}" in memory.read_text()
