"""Every way to generate a project, with the oldest supported cookiecutter and with the newest."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from baking import BakedProject, environment_variables, isolated_variables, project_in
from needs import IS_ROOT
from template_copy import make_repository

REMOTE = "ada@gpu.example.net:2222"
ENTRY = "ml-remote.d/handwriting-lab.conf"


@dataclass(frozen=True)
class Cookiecutter:
    """One version of cookiecutter, run from the command line."""

    command: tuple[str, ...]
    folder: Path
    """What is generated goes below it."""

    def run(
        self, *arguments: str | Path, before: tuple[str, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it, behind the words `before`, and return the outcome."""
        return subprocess.run(
            [*before, *self.command, *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def generate(self, *arguments: str | Path, to: str = ".") -> tuple[BakedProject, str]:
        """Generate into the folder `to`; return the project and all that was printed."""
        done = self.run(*arguments, "--output-dir", to)
        assert done.returncode == 0, done.stdout + done.stderr
        (lab,) = (self.folder / to).glob("*/lab.py")
        return project_in(lab.parent), done.stdout + done.stderr


@pytest.fixture(params=[pytest.param("2.3.0", marks=pytest.mark.slow), "newest"])
def cookiecutter(request: pytest.FixtureRequest, tmp_path: Path) -> Cookiecutter:
    """Return the oldest and the newest cookiecutter; the tests themselves have the newest."""
    if request.param == "newest":
        return Cookiecutter((sys.executable, "-m", "cookiecutter"), tmp_path)
    uv = [str(Path(sys.executable).parent / "uv"), "tool", "run", "--quiet"]
    version = ["--python", sys.executable, "--from", f"cookiecutter=={request.param}"]
    # As rich and click were when it was new they are no more: it gets the newest, as people do.
    return Cookiecutter((*uv, *version, "cookiecutter"), tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template as a repository, with a tag."""
    folder = tmp_path_factory.mktemp("template")
    with environment_variables(isolated_variables(folder / "home")):
        repository = make_repository(folder / "ml-remote-template")
        subprocess.run(["git", "tag", "v1"], cwd=repository, check=True)
    return repository


def clone(template: Path, folder: Path) -> str:
    subprocess.run(["git", "clone", "--quiet", template, folder / "clone"], check=True)
    return str(folder / "clone")


def git_address(template: Path, folder: Path) -> str:
    return f"git+file://{template}"


def zip_file(template: Path, folder: Path) -> str:
    """Pack the template as GitHub does: in one folder that is named after the branch."""
    path = folder / "template.zip"
    prefix = "--prefix=ml-remote-template-main/"
    subprocess.run(["git", "archive", prefix, "--output", path, "HEAD"], cwd=template, check=True)
    return str(path)


def with_options(*options: str) -> Callable[[Path, Path], str]:
    return lambda template, folder: "\n".join([str(template), *options])


def relative(template: Path, folder: Path) -> str:
    return os.path.relpath(template, folder)


WAYS: dict[str, Callable[[Path, Path], str]] = {
    "a folder": with_options(),
    "a relative path": relative,
    "a clean clone": clone,
    "the address of a repository": git_address,
    "a tag of it": lambda template, folder: f"{git_address(template, folder)}\n--checkout\nv1",
    "a zip file": zip_file,
    "without hooks": with_options("--accept-hooks", "no"),
    "a question answered on the command line": with_options("project_name=Handwriting Lab"),
}


# Where the tool is taken from; the other ways name the template's folder in lab.local.toml.
PINNED = {"the address of a repository", "a tag of it"}
NEITHER = {"a zip file", "without hooks"}


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_every_way_makes_the_same_project(
    name: str, cookiecutter: Cookiecutter, template: Path, default_project: BakedProject
) -> None:
    words = WAYS[name](template, cookiecutter.folder).split("\n")
    project, _ = cookiecutter.generate(*words, "--no-input", to="out")
    made, expected = project.contents(), default_project.contents()
    pins = re.findall(r'^# dependencies = \["(.*)"\]$', project.read("lab.py"), re.MULTILINE)
    if name in PINNED:
        commit = project.run("git", "-C", template, "rev-parse", "HEAD").stdout.strip()
        assert pins == [f"ml-remote @ git+file://{template}@{commit}"]
        made["lab.py"] = expected["lab.py"]
    assert made == expected
    local = project.path / "lab.local.toml"
    assert local.exists() is (name not in PINNED | NEITHER)


@pytest.mark.slow
def test_answers_given_on_the_command_line_are_taken(
    cookiecutter: Cookiecutter, template: Path, home: Path
) -> None:
    answers = ["project_name=Tea Leaves", "license=Proprietary", "write_ssh_entry=no"]
    project, _ = cookiecutter.generate(template, "--no-input", *answers, f"remote={REMOTE}")
    assert project.path.name == "tea-leaves"
    assert "All rights reserved" in project.read("LICENSE")
    assert not (home / ".ssh").exists()


@pytest.mark.parametrize(
    "way",
    [
        pytest.param("a folder", marks=pytest.mark.slow),
        pytest.param("a relative path", marks=pytest.mark.slow),
        pytest.param("a zip file", marks=pytest.mark.slow),
    ],
)
def test_entry_is_written_by_the_interpreter_that_cookiecutter_has(
    cookiecutter: Cookiecutter,
    template: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)  # the tool is the template's own
    address = WAYS[way](template, cookiecutter.folder)
    _, said = cookiecutter.generate(address, "--no-input", f"remote={REMOTE}", to="out")
    assert "Port 2222" in (home / ".ssh" / ENTRY).read_text()
    assert f"Written: {home / '.ssh' / ENTRY}" in said


@pytest.mark.slow
def test_class_shares_one_file_of_answers(cookiecutter: Cookiecutter, template: Path) -> None:
    (cookiecutter.folder / "class.yaml").write_text(
        "default_context:\n"
        "  project_name: Machine Learning 101\n"
        "  author: The class of 2030\n"
        "  ssh_alias: gpu\n"
        "  environment_manager: uv\n"
        "  python_version: 3.13\n"
        "  license: BSD-3-Clause\n"
    )
    laptops = {}
    for user in ("ada", "grace"):
        ssh = cookiecutter.folder / user / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        with environment_variables({"LAB_SSH_DIR": str(ssh)}):
            laptops[user], _ = cookiecutter.generate(
                template, "--no-input", "--config-file", "class.yaml", f"remote={user}@gpu.lan",
                to=user,
            )  # fmt: skip
        assert f"User {user}\n" in (ssh / "ml-remote.d" / "gpu.conf").read_text()
    assert laptops["ada"].contents() == laptops["grace"].contents()
    assert laptops["ada"].path.name == "machine-learning-101"
    assert 'python = "3.13"' in laptops["ada"].read("lab.toml")
    assert "Copyright (c) The class of 2030" in laptops["ada"].read("LICENSE")


@pytest.mark.slow
def test_replay_makes_the_same_project_and_no_second_entry(
    cookiecutter: Cookiecutter, template: Path, home: Path
) -> None:
    answers = ["project_slug=bird_song", "environment_manager=conda", f"remote={REMOTE}"]
    first, _ = cookiecutter.generate(template, "--no-input", *answers, to="first")
    before = {path: path.read_bytes() for path in (home / ".ssh").rglob("*") if path.is_file()}
    second, said = cookiecutter.generate(template, "--replay", to="second")
    assert second.contents() == first.contents()
    assert "The SSH entry for bird_song already exists." in said
    after = {path: path.read_bytes() for path in (home / ".ssh").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.slow
def test_project_made_without_hooks_has_the_command(
    cookiecutter: Cookiecutter, template: Path
) -> None:
    project, _ = cookiecutter.generate(template, "--no-input", "--accept-hooks", "no")
    assert "lab connect" in project.run(sys.executable, "-B", "lab.py", "--help").stdout


@pytest.mark.slow
def test_home_directory_that_cannot_be_written_is_no_hindrance(
    cookiecutter: Cookiecutter, template: Path, home: Path
) -> None:
    """cookiecutter must be told to keep its own files elsewhere; the SSH entry is for later."""
    (cookiecutter.folder / "elsewhere.yaml").write_text(
        f"replay_dir: {cookiecutter.folder}/replay\n"
        f"cookiecutters_dir: {cookiecutter.folder}/templates\n"
    )
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # Root may write where it is forbidden, unless that is taken from it.
    limits = ("setpriv", "--bounding-set=-dac_override") if IS_ROOT else ()
    done = cookiecutter.run(
        template, "--no-input", "--config-file", "elsewhere.yaml", f"remote={REMOTE}",
        before=limits, UV_TOOL_DIR=str(cookiecutter.folder / "tools"),
    )  # fmt: skip
    home.chmod(stat.S_IRWXU)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Permission denied" in done.stderr
    assert f"uv run lab.py connect {REMOTE}" in done.stderr
    project = project_in(cookiecutter.folder / "handwriting-lab")
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert project.run("git", "rev-list", "--count", "HEAD").stdout == "1\n"
    assert list(home.iterdir()) == [home / ".gitconfig"]
