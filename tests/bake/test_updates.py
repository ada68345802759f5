"""A project that its owner has changed is brought forward with the template, by cruft."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, contents
from template_copy import TEMPLATE_FOLDER, commit_all, copy_template

REMOTE = "charles@number-cruncher.example.net:50022"
PERSONAL = ("charles", "number-cruncher", "50022")
ENTRY = "ml-remote.d/handwriting-lab.conf"
LAB = "labs/mnistlab.py"
NOTEBOOK = "labs/mnistlab.ipynb"
ADDRESS = "https://example.com/org/ml-remote-template"
VENDORED = "98ef0cf"  # the last commit whose projects hold the tool themselves
# How the lab begins, in the template of today and in the older one.
(TITLE,) = re.findall(
    "^# # (.+)$", (TEMPLATE_ROOT / TEMPLATE_FOLDER / LAB).read_text(encoding="utf-8"), re.MULTILINE
)
OLD_TITLE = "An old title"

pytestmark = pytest.mark.slow


class Cruft:
    """cruft, run as people run it: in a folder that is not a temporary one.

    Of the template there is an older commit, from which projects are made, and this one.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.template = folder / "template"
        self.project = folder / "handwriting-lab"
        temporary = folder / "temporary"
        temporary.mkdir()
        monkeypatch.setenv("TMPDIR", str(temporary))
        for name in ("LAB_TOOL", "PYTHONPATH"):  # the tool is the one that the project names
            monkeypatch.delenv(name, raising=False)
        self.address = str(self.template)
        copy_template(self.template)
        self._make_older()
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", self.template])
        commit_all(self.template, "An older template")

    def _make_older(self) -> None:
        """Undo a few changes that people make to a template."""
        inside = self.template / TEMPLATE_FOLDER
        for name in (LAB, NOTEBOOK):
            text = (inside / name).read_text(encoding="utf-8")
            assert f"# {TITLE}" in text
            (inside / name).write_text(text.replace(TITLE, OLD_TITLE, 1), encoding="utf-8")
        (inside / "tests" / "test_plots.py").unlink()
        (inside / "labs" / "oldlab.py").write_text("# %%\n", encoding="utf-8")

    def serve(self, home: Path) -> None:
        """Give the template an address of the network, which git is led away from."""
        self.address = ADDRESS
        with (home / ".gitconfig").open("a") as file:
            file.write(f'[url "file://{self.template}"]\n\tinsteadOf = {ADDRESS}\n')

    def pin(self) -> str:
        """Return the line of lab.py that pins the template's newest commit."""
        git = ["git", "-C", str(self.template), "rev-parse", "HEAD"]
        commit = subprocess.check_output(git, text=True).strip()
        return f'# dependencies = ["ml-remote @ git+{ADDRESS}@{commit}"]'

    def lab(self, *arguments: str) -> str:
        """Run the project's `lab` and return what it prints."""
        lab = ["uv", "run", "lab.py", *arguments]
        done = subprocess.run(lab, cwd=self.project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def renew_template(self) -> None:
        """Commit what the template is now."""
        copy_template(self.template)
        (self.template / TEMPLATE_FOLDER / "labs" / "oldlab.py").unlink()
        commit_all(self.template, "The template of today")

    def take_template_of(self, commit: str) -> None:
        """Make the template's only commit one of this repository's history."""
        known = subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=TEMPLATE_ROOT)
        if known.returncode != 0:
            pytest.skip(f"this clone of the template has no commit {commit}")
        self.remove_template_files()
        archive = ["git", "archive", commit]
        packed = subprocess.run(archive, cwd=TEMPLATE_ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "x"], cwd=self.template, check=True, input=packed.stdout)
        commit_all(self.template, "With the tool in every project")

    def replace_template(self) -> None:
        """Commit the template of today, whatever it was before."""
        self.remove_template_files()
        copy_template(self.template)
        commit_all(self.template, "The template of today")

    def remove_template_files(self) -> None:
        """Remove everything but git's own."""
        for path in self.template.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def run(self, *arguments: str) -> str:
        """Run cruft in the project, or beside it when there is none yet, and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", "cruft", *arguments],
            cwd=self.project if self.project.exists() else self.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def create(self, **answers: object) -> str:
        """Make the project from the older template, and commit what cruft noted down."""
        given = json.dumps(answers)
        said = self.run("create", self.address, "--no-input", "--extra-context", given)
        self.commit("Note down where the project comes from")
        return said

    def git(self, *arguments: str) -> str:
        """Run git in the project and return its output."""
        done = subprocess.run(["git", *arguments], cwd=self.project, capture_output=True, text=True)
        return done.stdout

    def commit(self, message: str) -> str:
        """Commit everything in the project as its owner does, and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def read(self, name: str) -> str:
        """Return a file of the project."""
        return (self.project / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Change a file of the project, as its owner."""
        (self.project / name).write_text(text, encoding="utf-8")


@pytest.fixture
def cruft(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Cruft:
    """Return the template under cruft's control."""
    return Cruft(tmp_path, monkeypatch)


def test_project_keeps_nothing_personal(cruft: Cruft, ssh: Path) -> None:
    cruft.create(remote=REMOTE, description="counted with charm")
    assert "number-cruncher" in (ssh / ENTRY).read_text()
    answers = json.loads(cruft.read(".cruft.json"))["context"]["cookiecutter"]
    assert answers["remote"] == ""
    assert answers["description"] == "counted with charm"
    for word in PERSONAL:
        assert cruft.git("grep", "--fixed-strings", "--ignore-case", word, "HEAD") == ""


def test_update_changes_the_pin_and_nothing_else_of_the_tool(
    cruft: Cruft, ssh: Path, home: Path
) -> None:
    cruft.serve(home)
    cruft.create(remote=REMOTE)
    assert "number-cruncher" in (ssh / ENTRY).read_text()  # by the tool that the pin names
    old = cruft.read("lab.py")
    assert cruft.pin() in old.splitlines()
    assert "lab.local.toml" not in {path.name for path in cruft.project.iterdir()}
    entries = contents(ssh)
    with (cruft.template / "src" / "ml_remote" / "__init__.py").open("a") as file:
        file.write("print('the new tool')\n")
    commit_all(cruft.template, "A better tool")

    cruft.run("update", "--skip-apply-ask")
    assert cruft.git("diff", "--name-only", "HEAD").split() == [".cruft.json", "lab.py"]
    assert cruft.pin() in cruft.read("lab.py").splitlines()
    changed = set(cruft.read("lab.py").splitlines()) ^ set(old.splitlines())
    assert len(changed) == 4  # the pin, and where its source can be read
    assert "the new tool" in cruft.lab("--help")
    assert contents(ssh) == entries


def test_project_of_a_local_template_names_its_folder_for_this_computer_only(
    cruft: Cruft, ssh: Path
) -> None:
    cruft.create(remote=REMOTE)
    assert f'path = "{cruft.template}"' in cruft.read("lab.local.toml")
    before = cruft.read("lab.py"), cruft.read("lab.local.toml")
    cruft.renew_template()
    cruft.run("update", "--skip-apply-ask")
    assert (cruft.read("lab.py"), cruft.read("lab.local.toml")) == before
    assert cruft.git("ls-files", "lab.local.toml") == ""
    assert "lab connect" in cruft.lab("--help")


def test_project_that_holds_the_tool_itself_is_brought_over(
    cruft: Cruft, ssh: Path, home: Path
) -> None:
    cruft.take_template_of(VENDORED)
    cruft.serve(home)
    cruft.create()
    assert (cruft.project / "src" / "remote" / "cli.py").is_file()
    settings = cruft.read("lab.toml")
    for own in ('folder = "work/mine"', "idle_hours = 3", 'manager = "uv"'):
        name = own.partition(" =")[0]
        settings = re.sub(rf"^{name} = \S+", own, settings, count=1, flags=re.MULTILINE)
    cruft.write("lab.toml", settings + "\n[mine]\nkey = 1\n")
    cruft.write("labs/birdlab.py", "# %%\nmine = 2\n")
    cruft.commit("What I changed")
    own_settings = tomllib.loads(cruft.read("lab.toml"))
    cruft.replace_template()

    cruft.run("update", "--skip-apply-ask")
    assert not list(cruft.project.rglob("*.rej"))
    assert "UU" not in cruft.git("status", "--porcelain")
    assert tomllib.loads(cruft.read("lab.toml")) == {"format": 2, **own_settings}
    assert not (cruft.project / "src" / "remote").exists()
    assert cruft.read("labs/birdlab.py") == "# %%\nmine = 2\n"
    assert cruft.pin() in cruft.read("lab.py").splitlines()
    assert "lab connect" in cruft.lab("--help")
    cruft.lab("connect", "--offline", "--yes", REMOTE)
    assert "number-cruncher" in (ssh / ENTRY).read_text()


def without_uv(folder: Path) -> dict[str, str]:
    (folder / "programs").mkdir()
    (folder / "programs" / "git").symlink_to(str(shutil.which("git")))
    return {"PATH": str(folder / "programs")}


def without_network(folder: Path) -> dict[str, str]:
    return {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(folder / "empty")}


@pytest.mark.parametrize(
    ("lacking", "reason"), [(without_uv, "uv: No such file"), (without_network, "error: ")]
)
def test_entry_that_cannot_be_written_is_told_with_its_command(
    cruft: Cruft,
    ssh: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacking: Callable[[Path], dict[str, str]],
    reason: str,
) -> None:
    cruft.serve(home)
    for name, value in lacking(cruft.folder).items():
        monkeypatch.setenv(name, value)
    before = contents(ssh)
    said = cruft.create(remote=REMOTE)
    assert reason in said
    assert f"No SSH entry was written. Later: uv run lab.py connect {REMOTE}" in said
    assert "Traceback" not in said
    assert contents(ssh) == before
    assert cruft.pin() in cruft.read("lab.py").splitlines()


def test_address_that_cannot_be_used_is_refused_by_the_tool_itself(
    cruft: Cruft, ssh: Path, home: Path
) -> None:
    """cruft does not tell the hook where the rules are: it has checked the other answers only."""
    cruft.serve(home)
    before = contents(ssh)
    said = cruft.create(remote="ada@gpu:99999")
    assert "99999" in said
    assert "uv run lab.py connect" in said
    assert contents(ssh) == before


def test_update_brings_what_is_new_and_keeps_what_the_owner_changed(
    cruft: Cruft, ssh: Path
) -> None:
    cruft.create(remote=REMOTE)
    cruft.write(LAB, cruft.read(LAB) + "\n# %%\nmine = 1\n")
    cruft.write("labs/birdlab.py", "# %%\nmine = 2\n")
    cruft.write("README.md", "# My own words\n")
    cruft.write(NOTEBOOK, cruft.read(NOTEBOOK).replace('"outputs": []', '"outputs": [ ]', 1))
    (cruft.project / "labs" / "treelab.py").unlink()
    last_commit = cruft.commit("What I changed")
    notebook, entries = cruft.read(NOTEBOOK), contents(ssh)
    cruft.renew_template()

    said = cruft.run("update", "--skip-apply-ask")
    assert "does not exist in index" not in said
    assert TITLE in cruft.read(LAB)
    assert cruft.read(LAB).endswith("mine = 1\n")
    assert (cruft.project / "tests" / "test_plots.py").is_file()
    assert not (cruft.project / "labs" / "oldlab.py").exists()
    assert cruft.read("labs/birdlab.py") == "# %%\nmine = 2\n"
    assert cruft.read("README.md") == "# My own words\n"
    assert not (cruft.project / "labs" / "treelab.py").exists()
    assert cruft.read(NOTEBOOK) == notebook
    assert cruft.git("rev-parse", "HEAD") == last_commit
    assert contents(ssh) == entries
    assert not list(cruft.project.rglob("*.rej"))
    assert "up to date" in cruft.run("check")


def test_line_that_both_have_changed_shows_both(cruft: Cruft) -> None:
    cruft.create()
    cruft.write(LAB, cruft.read(LAB).replace(OLD_TITLE, "My own title"))
    cruft.commit("Mine")
    cruft.renew_template()
    cruft.run("update", "--skip-apply-ask")
    ours, _, theirs = cruft.read(LAB).partition("=======\n")
    assert "<<<<<<< ours" in ours
    assert "# My own title" in ours
    assert theirs.startswith(f"# # {TITLE}\n")
    assert f"UU {LAB}" in cruft.git("status", "--porcelain")


def test_changes_that_are_not_committed_stop_an_update(cruft: Cruft) -> None:
    cruft.create()
    cruft.write("README.md", "# My own words\n")
    cruft.renew_template()
    done = subprocess.run(
        [sys.executable, "-m", "cruft", "update", "--skip-apply-ask"],
        cwd=cruft.project, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "clean" in done.stdout
    assert cruft.git("status", "--porcelain") == " M README.md\n"


def test_machine_that_somebody_put_into_the_answers_gets_no_entry(cruft: Cruft, ssh: Path) -> None:
    cruft.create(remote=REMOTE)
    answers = json.loads(cruft.read(".cruft.json"))
    answers["context"]["cookiecutter"] |= {"remote": "eve@other.example.net", "ssh_alias": "other"}
    cruft.write(".cruft.json", json.dumps(answers))
    cruft.commit("A machine in the answers")
    cruft.renew_template()
    before = contents(ssh)
    assert "ssh_alias" not in cruft.run("diff")
    cruft.run("update", "--skip-apply-ask")
    assert contents(ssh) == before
    assert "eve" not in cruft.read(".cruft.json")


def test_project_made_without_cruft_is_linked_first(cruft: Cruft, ssh: Path, home: Path) -> None:
    configuration = home / "configuration.yaml"
    configuration.write_text(f"replay_dir: {home}/replay\ncookiecutters_dir: {home}/templates\n")
    command = [sys.executable, "-m", "cookiecutter", str(cruft.template), "--no-input"]
    options = ["--config-file", str(configuration), f"remote={REMOTE}"]
    subprocess.run([*command, *options], cwd=cruft.folder, check=True, stdout=subprocess.DEVNULL)
    before = contents(ssh)
    cruft.run("link", str(cruft.template), "--no-input")
    cruft.commit("Note down where the project comes from")
    cruft.renew_template()
    cruft.run("update", "--skip-apply-ask")
    assert TITLE in cruft.read(LAB)
    assert contents(ssh) == before
    assert "number-cruncher" not in cruft.read(".cruft.json")
