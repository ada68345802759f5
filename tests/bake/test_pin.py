"""Which version of the tool a project uses: pinned in lab.py, or a folder on this computer."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
from baking import TEMPLATE_ROOT, BakedProject, contents, project_in
from hooks_as_modules import load_hook
from template_copy import TEMPLATE_FOLDER, commit_all, make_repository

ADDRESS = "https://example.com/org/ml-remote-template"
TOKEN = "glpat-Zx81"
LAB = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "lab.py").read_text(encoding="utf-8")
NO_TOOL = "lab.py does not say which version of the tool to use."
C = "0123456789abcdef0123456789abcdef01234567"
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return load_hook("post_gen_project")


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("https://github.com/org/t.git", "https://github.com/org/t"),
        ("https://github.com/org/t/", "https://github.com/org/t"),
        ("https://ada:secret@host/t.git", "https://host/t"),
        ("https://oauth2@host:8443/a/t.git", "https://host:8443/a/t"),
        ("https://host/t.git?private_token=x#y", "https://host/t"),
        ("git@github.com:org/t.git", "ssh://git@github.com/org/t"),
        ("gitlab.lan:org/t", "ssh://gitlab.lan/org/t"),
        ("ssh://git@host:2222/org/t.git", "ssh://git@host:2222/org/t"),
        ("ssh://git:secret@host/org/t", "ssh://git@host/org/t"),
        ("ssh://git@[2001:db8::1]:22/t", "ssh://git@[2001:db8::1]:22/t"),
        ("git+https://host/t.git", "https://host/t"),
        ("file:///srv/my templates/t.git", "file:///srv/my%20templates/t"),
        ('https://host/a"b', "https://host/a%22b"),
        ("/srv/t", None),
        ("../t", None),
        ("C:\\t", None),
        ("ext::sh -c touch% canary", None),
        ("https:///t", None),
        ("https://host:port/t", None),
        ("", None),
    ],
)
def test_address_is_cleaned(hook: ModuleType, given: str, cleaned: str | None) -> None:
    assert hook.clean_address(given) == cleaned


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://github.com/org/t", f"https://github.com/org/t/tree/{C}"),
        ("https://gitlab.example.com/a/t", f"https://gitlab.example.com/a/t/tree/{C}"),
        ("https://host/t", f"https://host/t at commit {C}."),
        ("ssh://git@github.com/org/t", f"ssh://git@github.com/org/t at commit {C}."),
    ],
)
def test_lab_script_says_where_the_source_of_its_version_can_be_read(
    hook: ModuleType, url: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.py").write_text(LAB)
    hook.pin_tool(url, C)
    text = Path("lab.py").read_text()
    assert f'\n# dependencies = ["ml-remote @ git+{url}@{C}"]\n' in text
    assert source in str(ast.get_docstring(ast.parse(text)))
    changed = set(text.splitlines()) ^ set(LAB.splitlines())
    assert len(changed) == 5  # the dependencies, and one line of the docstring that becomes two


def test_no_file_depends_on_the_tool_by_its_bare_name(default_project: BakedProject) -> None:
    """Nobody owns it at the package index yet, so a stranger could."""
    for path in [*default_project.path.rglob("*.*"), TEMPLATE_ROOT / "README.md"]:
        if path.is_file() and ".git" not in path.parts:
            for found in re.finditer(r"""["' ]ml[-_]remote["' =<>~\[]""", path.read_text("utf-8")):
                text = found.string[found.start() :].replace(" *", " ")  # also as a pattern
                assert text.startswith(('"ml-remote @ git+', '"ml_remote"')), f"{path}: {found[0]}"


class Remote:
    """A repository of the template at an address of the network, which git is led away from."""

    def __init__(self, folder: Path, home: Path) -> None:
        source = make_repository(folder / "source")
        self.path = folder / "served.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", source, self.path], check=True)
        with (home / ".gitconfig").open("a") as file:
            file.write(f'[url "file://{folder}/served"]\n\tinsteadOf = {ADDRESS}\n')
            file.write(f"\tinsteadOf = {ADDRESS.replace('//', f'//ada:{TOKEN}@')}\n")
        git = ["git", "-C", str(self.path), "rev-parse", "HEAD"]
        self.commit = subprocess.check_output(git, text=True).strip()

    @property
    def pin(self) -> str:
        """The line of lab.py that names it."""
        return f'# dependencies = ["ml-remote @ git+{ADDRESS}@{self.commit}"]'


@pytest.fixture
def remote(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Return the template behind a redirected address; the tool comes from no other place."""
    monkeypatch.delenv("LAB_TOOL")
    return Remote(tmp_path, home)


def generate(
    template: str | Path, folder: Path, *, variables: Mapping[str, str] | None = None, cwd: Path
) -> tuple[BakedProject, str]:
    """Generate by cookiecutter's command; return the project and what was printed."""
    configuration = cwd / "configuration.yaml"
    configuration.write_text(f"replay_dir: {cwd}/replay\ncookiecutters_dir: {cwd}/clones\n")
    options = ["--output-dir", str(folder), "--config-file", str(configuration)]
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(template), "--no-input", *options],
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return project_in(folder / "handwriting-lab"), done.stdout + done.stderr


def run_lab(
    project: BakedProject,
    *arguments: str,
    command: tuple[str, ...] = ("uv", "run"),
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run the project's lab.py, the tool not being importable otherwise."""
    words = (*command, "lab.py", *arguments)
    return project.run(*words, check=False, PYTHONPATH="", **variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    "credentials",
    [pytest.param("", id="plain"), pytest.param(f"ada:{TOKEN}@", id="with a token")],
)
def test_address_of_a_repository_is_pinned_and_nothing_secret_with_it(
    remote: Remote, tmp_path: Path, credentials: str
) -> None:
    # What a git hook that calls cookiecutter has in its environment.
    led_astray = {"GIT_DIR": str(TEMPLATE_ROOT / ".git"), "GIT_WORK_TREE": str(TEMPLATE_ROOT)}
    address = f"{ADDRESS}.git".replace("//", f"//{credentials}")
    clone = {} if credentials else led_astray
    subprocess.run(["git", "clone", "--quiet", address, tmp_path / "clones/template"], check=True)
    project, _ = generate("template", tmp_path / "out", variables=clone, cwd=tmp_path)
    assert remote.pin in project.read("lab.py").splitlines()
    assert not (project.path / "lab.local.toml").exists()
    for path, content in contents(project.path).items():
        assert TOKEN.encode() not in content, path


def test_clone_comes_from_its_only_remote_whatever_its_name(
    hook: ModuleType, tmp_path: Path
) -> None:
    git = ("git", "-C", str(tmp_path))
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert hook.remote_address(git) == ""
    for name, address in (("upstream", "first"), ("fork", ""), ("origin", f"{ADDRESS}/origin")):
        command = [*git, "remote", "add", name, f"{ADDRESS}/{name}"]
        subprocess.run(command, check=True)
        assert hook.remote_address(git) == address.replace("first", f"{ADDRESS}/upstream")


@pytest.mark.slow
def test_repository_around_the_template_is_not_taken_for_it(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without .git below somebody's dotfiles, and a zip unpacked there."""
    monkeypatch.delenv("LAB_TOOL")
    repository = make_repository(tmp_path / "template")
    archive = ["git", "archive", "--prefix=t/", "--output", f"{tmp_path}/t.zip", "HEAD"]
    subprocess.run(archive, cwd=repository, check=True)
    dotfiles = tmp_path / "dotfiles"
    subprocess.run(["git", "init", "--quiet", dotfiles], check=True)
    subprocess.run(["git", "remote", "add", "origin", ADDRESS], cwd=dotfiles, check=True)
    (dotfiles / "bashrc").touch()
    commit_all(dotfiles, "Mine")
    (dotfiles / "tmp").mkdir()
    variables = {"TMPDIR": str(dotfiles / "tmp")}
    project, said = generate(
        tmp_path / "t.zip", tmp_path / "out", variables=variables, cwd=tmp_path
    )
    assert project.read("lab.py") == LAB
    assert not (project.path / "lab.local.toml").exists()
    assert "lab.py pins no version of the tool yet" in said
    for command in (("uv", "run"), (sys.executable,)):
        done = run_lab(project, "--help", command=command)
        assert done.returncode == 1
        assert done.stderr.startswith(NO_TOOL)
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("{folder}/template", marks=SLOW),
        pytest.param("template", marks=SLOW),
        "./template/",
    ],
)
def test_folder_is_named_in_a_file_that_git_ignores(tmp_path: Path, home: Path, name: str) -> None:
    """Whatever git says of it: what is changed there and not committed counts."""
    repository = make_repository(tmp_path / "template")
    subprocess.run(["git", "remote", "add", "origin", ADDRESS], cwd=repository, check=True)
    project, _ = generate(name.format(folder=tmp_path), tmp_path / "far" / "out", cwd=tmp_path)
    assert project.read("lab.py") == LAB
    assert f'path = "{tmp_path}/template"' in project.read("lab.local.toml")
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert "lab.local.toml" not in project.run("git", "ls-files").stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["absolute", "relative", "LAB_TOOL"])
def test_tool_of_a_folder_is_used_as_it_is_now(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.delenv("LAB_TOOL")
    template = make_repository(tmp_path / "template")
    project, _ = generate(template, tmp_path / "out", cwd=tmp_path)
    if form == "relative":
        local = project.read("lab.local.toml").replace(f"{tmp_path}/", "../../")
        (project.path / "lab.local.toml").write_text(local)
    if form == "LAB_TOOL":
        (project.path / "lab.local.toml").unlink()
        monkeypatch.setenv("LAB_TOOL", str(template))
    for command in (("uv", "run"), (sys.executable,)):
        assert "lab connect" in run_lab(project, "--help", command=command).stdout
    with (template / "src" / "ml_remote" / "__init__.py").open("a") as file:
        file.write("print('as it is now')\n")
    assert "as it is now" in run_lab(project, "--help").stdout


@pytest.mark.slow
def test_team_mate_gets_the_pinned_tool_and_has_it_offline_afterwards(
    remote: Remote, tmp_path: Path
) -> None:
    mine, _ = generate(f"{ADDRESS}.git", tmp_path / "out", cwd=tmp_path)
    subprocess.run(["git", "clone", "--quiet", mine.path, tmp_path / "theirs"], check=True)
    project = project_in(tmp_path / "theirs")
    cache = str(tmp_path / "cache")
    first = run_lab(project, "--help", UV_CACHE_DIR=cache)
    assert "lab connect" in first.stdout, first.stderr
    remote.path.rename(tmp_path / "gone")
    for command in (("uv", "run"), (sys.executable,), ("sh", "-c", './"$@"', "sh")):
        again = run_lab(project, "--help", command=command, UV_CACHE_DIR=cache, UV_OFFLINE="1")
        assert again.stdout == first.stdout
        assert again.stderr == ""
    assert project.run("git", "status", "--porcelain").stdout == ""

    # A developer of the tool uses another one, here too.
    shutil.copytree(TEMPLATE_ROOT / "src", tmp_path / "tool" / "src")
    shutil.copy2(TEMPLATE_ROOT / "pyproject.toml", tmp_path / "tool")
    with (tmp_path / "tool" / "src" / "ml_remote" / "__init__.py").open("a") as file:
        file.write("print('another one')\n")
    other = run_lab(project, "--help", UV_CACHE_DIR=cache, LAB_TOOL=str(tmp_path / "tool"))
    assert "another one" in other.stdout, other.stderr


@pytest.mark.slow
def test_lock_beside_the_script_is_used_and_never_changed(remote: Remote, tmp_path: Path) -> None:
    project, _ = generate(f"{ADDRESS}.git", tmp_path / "out", cwd=tmp_path)
    project.run("uv", "lock", "--quiet", "--script", "lab.py")
    lock = project.path / "lab.py.lock"
    before = lock.read_bytes()
    # An old lock: one that uv brings up to date unless it is told not to.
    text = project.read("lab.py").replace('">=3.11"', '">=3.11,<4"')
    (project.path / "lab.py").write_text(text)
    done = run_lab(project, "--help", command=(sys.executable,))
    assert "lab connect" in done.stdout, done.stderr
    assert lock.read_bytes() == before
    run_lab(project, "--help")
    assert lock.read_bytes() != before


@pytest.mark.slow
def test_uv_leaves_the_project_as_it_is(remote: Remote, tmp_path: Path) -> None:
    """Also where somebody types `uv run lab.py` in a folder of it, or forgets `lab.py`."""
    project, _ = generate(f"{ADDRESS}.git", tmp_path / "out", cwd=tmp_path)
    before = sorted(path.name for path in project.path.iterdir())
    assert run_lab(project, "--help").returncode == 0
    words = ("sh", "-c", 'cd labs && uv run ../lab.py --help && uv run python -c ""')
    assert project.run(*words, check=False, PYTHONPATH="").returncode == 0
    assert sorted(path.name for path in project.path.iterdir()) == before
    assert project.run("git", "status", "--porcelain", "--ignored", "labs").stdout.count("\n") == 2
