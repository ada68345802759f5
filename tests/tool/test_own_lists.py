"""A repository's own lists, in the form that the machine takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ml_remote.errors import LabError, UsageError
from ml_remote.package_lists import pyproject
from ml_remote.package_lists.converting import INTERACTIVE, has_hashes
from ml_remote.package_lists.local import texts_here
from ml_remote.package_lists.sources import how_to_add, how_to_list, refuse_to_change, source_of
from ml_remote.settings import is_source

UV_LOCK = f"""\
version = 1
requires-python = ">=3.11"

[[package]]
name = "shape"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "six" }}]

[package.metadata]
requires-dist = [{{ name = "six", specifier = ">=1" }}]

[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://example.com/simple" }}
sdist = {{ url = "https://example.com/six-1.16.0.tar.gz", hash = "sha256:{"0" * 64}", size = 9 }}
"""


def wanted(root: Path, *, with_interactive: bool = False) -> list[str]:
    """Return what the environment is made from, without what `lab jupyter` needs."""
    lines = pyproject.requirements(texts_here(root)["pyproject.toml"])
    return [line for line in lines if with_interactive or line not in INTERACTIVE]


def write(root: Path, files: dict[str, str]) -> None:
    (root / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "own"\n')
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        (
            {"requirements.txt": "# mine\na>=1  # new\n\nb[socks] ; os_name=='posix'\n"},
            ["a>=1", "b[socks] ; os_name=='posix'"],
        ),
        (
            {
                "requirements.txt": "-r more/base.txt\n-e .\n",
                "more/base.txt": "numpy==2.0 \\\n    --hash=sha256:00\n-r ../deep.txt\n",
                "deep.txt": "six @ https://example.com/six.zip\n",
            },
            ["numpy==2.0", "six @ https://example.com/six.zip"],
        ),
        (
            {"pyproject.toml": "[project]\ndependencies = ['a']\n[project.optional-dependencies]\n"
             "dev = ['b']\ndocs = ['c']\n[dependency-groups]\ndev = ['d', {include-group = 't'}]\n"
             "t = ['e']\n"},
            ["a", "b", "d", "e"],
        ),
        (
            {
                "pyproject.toml": "[project]\ndynamic = ['dependencies']\n"
                "[tool.setuptools.dynamic]\ndependencies = {file = ['in.txt']}\n",
                "in.txt": "a\n",
            },
            ["a"],
        ),
        (
            {"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.11'\na = '^1.2.3'\n"
             "b = '~1.2'\nc = '*'\nd = '1.*'\ne = '>= 1, < 3'\nf = '^0.0.3'\n"
             "g = {version = '2', extras = ['x'], python = '>=3.12'}\n"
             "h = {git = 'https://example.com/h', tag = 'v1'}\n"
             "[tool.poetry.group.dev.dependencies]\ni = '^0.2'\n"},
            [
                "a>=1.2.3,<2", "b>=1.2,<1.3", "c", "d==1.*", "e>=1,<3", "f>=0.0.3,<0.0.4",
                "g[x]==2; python_version >= '3.12'", "h @ git+https://example.com/h@v1",
                "i>=0.2,<0.3",
            ],
        ),
    ],
)  # fmt: skip
def test_lists_are_read_as_their_own_programs_read_them(
    tmp_path: Path, files: dict[str, str], lines: list[str]
) -> None:
    write(tmp_path, files)
    found = wanted(tmp_path)
    assert [Requirement(line) for line in found] == [Requirement(line) for line in lines]
    assert set(INTERACTIVE) <= set(wanted(tmp_path, with_interactive=True))


def test_uv_lock_is_read_and_not_changed(tmp_path: Path) -> None:
    own = "[project]\nname = 'shape'\nversion = '1'\ndependencies = ['six>=1']\n"
    write(tmp_path, {"uv.lock": UV_LOCK, "pyproject.toml": own, "requirements.txt": "other\n"})
    assert wanted(tmp_path) == ["six==1.16.0"]
    assert texts_here(tmp_path)["requirements.lock"] == "six==1.16.0\n"
    assert (tmp_path / "uv.lock").read_text() == UV_LOCK
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lab.toml", "pyproject.toml", "requirements.txt", "uv.lock",
    ]  # fmt: skip


def test_list_of_powershell_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": ""})
    text = "six==1.16.0\r\n# für alle\r\ntqdm>=4\r\n"
    (tmp_path / "requirements.txt").write_bytes(text.encode("utf-16"))
    assert wanted(tmp_path) == ["six==1.16.0", "tqdm>=4"]
    (tmp_path / "requirements.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(LabError, match=r"requirements\.txt cannot be read"):
        wanted(tmp_path)


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pyproject.toml"])
def test_list_that_is_half_merged_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "<<<<<<< HEAD\nsix==1\n=======\nsix==2\n>>>>>>> other\n"})
    with pytest.raises(LabError, match=f"{name} is half merged"):
        texts_here(tmp_path)


def test_constraints_and_indexes_of_a_list_are_kept(tmp_path: Path) -> None:
    text = "--extra-index-url https://example.com/simple\n-c pins.txt\nnumpy\n"
    write(tmp_path, {"requirements.txt": text, "pins.txt": "numpy==2.1\n"})
    texts = texts_here(tmp_path)
    assert texts["requirements.lock"] == "numpy==2.1\n"
    assert pyproject.options(texts["pyproject.toml"]) == [text.splitlines()[0]]


@pytest.mark.parametrize(
    ("line", "editable"),
    [
        ("-e .", "."),
        (".", "."),
        ("-e .[train]", ".[train]"),
        ("--editable=.[a,b]", ".[a,b]"),
        ("a", "."),
    ],
)
def test_project_itself_is_installed_with_what_it_needs(
    tmp_path: Path, line: str, editable: str
) -> None:
    write(tmp_path, {"requirements.txt": f"{line}\n"})
    assert pyproject.editable(texts_here(tmp_path)["pyproject.toml"]) == editable


def test_names_of_somebodys_own_are_not_looked_for_on_the_public_index(tmp_path: Path) -> None:
    text = (
        "[project]\ndependencies = ['a[x]>=1', 'b', 'c']\n[tool.uv.sources]\n"
        "a = {git = 'https://example.com/a', tag = 'v1'}\nb = {url = 'https://example.com/b.whl'}\n"
        "[[tool.uv.index]]\nurl = 'https://example.com/simple'\ndefault = true\n"
        "[[tool.uv.index]]\nurl = 'https://example.com/torch'\nexplicit = true\n"
    )
    write(tmp_path, {"pyproject.toml": text})
    assert wanted(tmp_path) == [
        "a[x] @ git+https://example.com/a@v1", "b @ https://example.com/b.whl", "c",
    ]  # fmt: skip
    options = pyproject.options(texts_here(tmp_path)["pyproject.toml"])
    assert options == ["--index-url https://example.com/simple"]


def test_indexes_of_poetry_are_kept_and_optional_packages_left_out(tmp_path: Path) -> None:
    text = (
        "[tool.poetry.dependencies]\na = {version = '1', source = 'PyPI'}\n"
        "b = {version = '1', optional = true}\nc = {version = '2', optional = true}\n"
        "[tool.poetry.extras]\ndev = ['c']\ndocs = ['b']\n"
        "[[tool.poetry.source]]\nname = 'own'\nurl = 'https://example.com/own'\n"
        "[[tool.poetry.source]]\nname = 'x'\nurl = 'https://example.com/x'\npriority = 'explicit'\n"
    )
    write(tmp_path, {"pyproject.toml": text})
    assert wanted(tmp_path) == ["a==1", "c==2"]
    options = pyproject.options(texts_here(tmp_path)["pyproject.toml"])
    assert options == ["--extra-index-url https://example.com/own"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[tool.poetry.dependencies]\na = {version = '1', source = 'own'}", "package indexes"),
        (
            "[project]\ndependencies = ['a']\n[tool.poetry.dependencies]\na = {source = 'own'}",
            "poetry source",
        ),
        ("[project]\ndependencies = 'torch'", "a list of strings"),
        (
            "[project]\ndynamic = ['dependencies']\n"
            "[tool.setuptools.dynamic]\ndependencies = {file = '../in.txt'}",
            "not a file in the project",
        ),
        ("[project]\ndynamic = 5", "a list of strings"),
        ("[project.optional-dependencies]\ndev = 'pytest'", "a list of strings"),
        ("[dependency-groups]\ndev = 'pytest'", "a list"),
        ("[tool.poetry.dependencies]\na = {extras = [1]}", "a list of strings"),
    ],
)
def test_list_that_would_install_something_else_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    write(tmp_path, {"pyproject.toml": f"{text}\n"})
    with pytest.raises(LabError, match=why):
        texts_here(tmp_path)


def test_conda_list_on_one_line_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"environment.yml": "dependencies: [python=3.12, conda-forge::jupyterlab]\n"})
    found = texts_here(tmp_path)["environment.yml"]
    assert "- conda-forge::jupyterlab\n" in found
    assert "- papermill>=2.6\n" in found
    assert "- jupyterlab" not in found


def test_conda_list_gets_what_is_missing_in_its_copy_only(tmp_path: Path) -> None:
    text = "dependencies:\n  - python=3.12\n  - jupyterlab\n  - pip:\n    - a\n"
    write(tmp_path, {"environment.yml": text})
    found = texts_here(tmp_path)
    assert set(found) == {"environment.yml"}
    assert "ipykernel>=6.29\n" in found["environment.yml"]
    assert found["environment.yml"].count("jupyterlab") == 1
    assert (tmp_path / "environment.yml").read_text() == text


@pytest.mark.parametrize("text", ["- [", "a: 2026-13-45", "a: " + "[" * 999])
def test_list_of_conda_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"environment.yml": text})
    with pytest.raises(LabError, match=r"environment\.yml cannot be read"):
        texts_here(tmp_path)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"requirements.txt": "./wheels/own.whl\n"}, "./wheels/own.whl"),
        ({"requirements.txt": "-e ../other\n"}, "-e ../other"),
        ({"requirements.txt": "git+https://example.com/x\n"}, "git+https://example.com/x"),
        ({"requirements.txt": "-r requirements.txt\n"}, "requirements.txt"),
        (
            {
                "pyproject.toml": "[project]\ndependencies = ['a']\n[tool.uv.sources]\n"
                "a = {path = '../a'}\n"
            },
            "a in [tool.uv.sources]",
        ),
        ({"environment.yml": "dependencies: 3\n"}, "dependencies"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\na = {path = '../a'}\n"}, "a"),
        ({"requirements.txt": "a @ file:///home/ada/a.whl\n"}, "a @ file:///home/ada/a.whl"),
        ({"requirements.txt": "a @ git+file:///a\n"}, "a @ git+file:///a"),
        ({"requirements.txt": "--find-links wheels\na\n"}, "--find-links wheels"),
        ({"requirements.txt": "-f ./wheels\na\n"}, "-f ./wheels"),
        ({"requirements.txt": "-i file:///mirror\na\n"}, "-i file:///mirror"),
        (
            {"pyproject.toml": "[project]\nname = 'a'\n[tool.pixi.dependencies]\ncuda = '12'\n"},
            "[tool.pixi.dependencies]",
        ),
        ({"pyproject.toml": "[tool.poetry.dependencies]\na = '^1 || ^2'\n"}, "a = ^1 || ^2"),
    ],
)
def test_line_that_cannot_be_taken_over_is_named(
    tmp_path: Path, files: dict[str, str], line: str
) -> None:
    write(tmp_path, files)
    with pytest.raises(LabError, match=re.escape(repr(line))):
        texts_here(tmp_path)


def test_missing_list_that_a_list_names_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "-r gone.txt\n"})
    with pytest.raises(LabError, match=r"gone\.txt cannot be read: No such file"):
        texts_here(tmp_path)


def test_first_list_counts_or_the_one_that_is_named(tmp_path: Path) -> None:
    names = ["requirements.txt", "pyproject.toml", "environment.yml", "uv.lock"]
    for name in names:
        if name == "pyproject.toml":  # one that sets up tools is no list
            write(tmp_path, {name: "[tool.ruff]\nline-length = 100\n"})
            assert source_of(tmp_path) == "requirements.txt"
        write(tmp_path, {name: "[project]\n" if name == "pyproject.toml" else ""})
        assert source_of(tmp_path) == name
        assert "lab setup" in how_to_add(tmp_path, "timm")
        with pytest.raises(UsageError, match=re.escape(name)):
            refuse_to_change(tmp_path, "add")
    settings = (tmp_path / "lab.toml").read_text()
    (tmp_path / "lab.toml").write_text(f'{settings}[environment]\nfrom = "requirements.txt"\n')
    assert source_of(tmp_path) == "requirements.txt"
    write(tmp_path, {"scripts/setup-environment.sh": ""})
    assert source_of(tmp_path) == ""
    refuse_to_change(tmp_path, "add")


def test_hashes_are_left_out_and_told(tmp_path: Path) -> None:
    text = "--require-hashes\na==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
    write(tmp_path, {"requirements.txt": text, "plain.txt": "a==1\n"})
    assert wanted(tmp_path) == ["a==1"]
    assert pyproject.options(texts_here(tmp_path)["pyproject.toml"]) == []
    assert has_hashes(tmp_path, "requirements.txt")
    assert not has_hashes(tmp_path, "plain.txt")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("pixi.toml", "pixi workspace export conda-environment environment.yml"),
        ("Pipfile", "pipenv requirements > requirements.txt"),
        ("setup.py", "echo '-e .' > requirements.txt"),
        ("setup.cfg", "echo '-e .' > requirements.txt"),
        ("notes.txt", ""),
    ],
)
def test_list_of_another_program_is_named_with_what_makes_one(
    tmp_path: Path, name: str, how: str
) -> None:
    write(tmp_path, {name: ""})
    assert source_of(tmp_path) == ""
    assert how_to_list(tmp_path).endswith(how)
    assert bool(how) == (name in how_to_list(tmp_path))


def test_lists_outside_the_repository_are_none() -> None:
    for name in (
        "../x.txt",
        "/etc/x.txt",
        ".lab/x.txt",
        ".git/x.txt",
        "x.toml",
        "",
        "setup.py",
        "a;b.txt",
        "$(a).txt",
    ):
        assert not is_source(name)
    for name in ("uv.lock", "env/gpu.yaml", "requirements-gpu.txt", "pyproject.toml"):
        assert is_source(name)


def test_nothing_is_written_where_git_looks(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "a\n"})
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    texts_here(tmp_path)
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert status.stdout.split() == ["??", "lab.toml", "??", "requirements.txt"]


def test_list_in_a_subfolder_is_proposed_as_the_one_to_name(tmp_path: Path) -> None:
    write(tmp_path, {".venv/uv.lock": "", "old/pyproject.toml": "[tool.ruff]\n"})
    assert how_to_list(tmp_path) == ""
    write(tmp_path, {"model/pyproject.toml": '[project]\nname = "x"\n'})
    said = how_to_list(tmp_path)
    assert said.startswith("To use model/pyproject.toml, add to lab.toml, under [environment]: ")
    write(tmp_path, {"lab.toml": f"format = 2\n[environment]\n{said.rpartition(': ')[2]}\n"})
    assert source_of(tmp_path) == "model/pyproject.toml"
