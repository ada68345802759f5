"""conda without conda: its words explained, its list read, the programs found, the cards kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_remote.far.login.environment.failures import Failure, ManagerError
from ml_remote.far.login.environment.inside import Inventory
from ml_remote.far.login.environment.lists import find_lists
from ml_remote.far.login.environment.managers.base import Work
from ml_remote.far.login.environment.managers.conda import (
    comparing,
    manager,
    packages,
    requirements,
    torch_build,
)
from ml_remote.far.login.environment.managers.conda.errors import ClientInfo, explain
from ml_remote.far.login.environment.managers.conda.finding import find_client
from ml_remote.far.login.environment.managers.conda.output import Shown
from ml_remote.far.login.environment.settings import Settings, read_settings

# What conda 25.3.1 and 26.7.1 and mamba 2.0.5 printed, shortened.
NOT_FOUND = """
PackagesNotFoundInChannelsError: The following packages are not available from current channels:

  - no-such-thing[version='>=1']

Current channels:

  - file:///channel/conda-forge/linux-64
"""
NOT_FOUND_MAMBA = """
error    libmamba Could not solve for environment specs
    The following package could not be installed
    └─ no-such-thing >=1 * does not exist (perhaps a typo or a missing channel).
"""
ALL_MISSING = NOT_FOUND.replace("no-such-thing[version='>=1']", "pip\n  - python=3.11")
CONFLICT = """
error    libmamba Could not solve for environment specs
    The following packages are incompatible
    ├─ ruff 0.13, which can be installed;
    └─ ruff 0.14 conflicts with any installable versions previously reported.
"""
FULL_CACHE = """
InvalidArchiveError('Error with archive {cache}/pip-26.3-0.tar.bz2.  You probably need to delete and
re-download or re-create this file.  Message was:\n\nfailed with error: [Errno 28] No space left on
device')
"""
BROKEN = """
      File "/conda/common/configuration.py", line 393, in make_raw_parameters_from_file
ruamel.yaml.parser.ParserError: while parsing a flow sequence
If you suspect this error is being caused by a malfunctioning plugin,
"""
INVALID = (
    "CustomValidationError: Parameter channel_priority = 'sometimes' declared in <<merged>> is"
)
INVALID_MAMBA = "Bad conversion of configurable 'channel_priority' from source '~/.condarc' : yaml"
AWAY = "CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://nowhere.invalid/conda-forge>"
AWAY_MAMBA = (
    "Download error (6) Couldn't resolve host name: Could not resolve host: nowhere.invalid"
)
CERTIFICATE = "CondaSSLError: Encountered an SSL error. [SSL: CERTIFICATE_VERIFY_FAILED] unable"
PROXY = "ProxyError: Conda cannot proceed due to an error in your proxy configuration."
CHANNEL = (
    "UnavailableInvalidChannel: HTTP 404 NOT FOUND for channel nodefaults <https://a/nodefaults>"
)
FORBIDDEN = (
    "NotWritableError: The current user does not have write permissions to a required path.\n\
  path: /opt/conda/pkgs/cache"
)


@pytest.mark.parametrize(
    ("text", "condarc", "words"),
    [
        (NOT_FOUND, "", "no package that fits no-such-thing>=1. | lab remove no-such-thing"),
        (NOT_FOUND_MAMBA, "", "no package that fits no-such-thing>=1. | lab remove no-such-thing"),
        (NOT_FOUND, "offline: true", "set to work offline | `offline: true` in ~/.condarc"),
        (ALL_MISSING, "", "not even Python | channels:"),
        (CONFLICT, "", "cannot be installed together | ruff 0.14 conflicts | lab remove NAME"),
        (FULL_CACHE, "", "The disk where conda keeps its packages, {cache}, is full | cache ="),
        (BROKEN, "a: [", "cannot read its settings: ~/.condarc is not valid YAML"),
        (INVALID, "channel_priority: a", "the setting channel_priority in ~/.condarc"),
        (INVALID_MAMBA, "channel_priority: a", "the setting channel_priority in ~/.condarc"),
        (AWAY, "", "cannot reach the channel | HTTPS_PROXY"),
        (AWAY_MAMBA, "", "cannot reach the channel | HTTPS_PROXY"),
        (AWAY, "offline: yes", "set to work offline"),
        (CERTIFICATE, "", "does not trust the certificate | ssl_verify"),
        (f"{CERTIFICATE}: certificate has expired", "", "this machine's clock shows | date"),
        (PROXY, "", "the proxy refuses conda"),
        (CHANNEL, "", "The channel nodefaults does not exist | channels:"),
        (FORBIDDEN, "", "may not write to /opt/conda/pkgs/cache | cache ="),
        ("ERROR: ResolutionImpossible: for help", "", "do not fit together | in environment.yml"),
    ],
)
def test_reason_is_told(text: str, condarc: str, words: str, home: Path, tmp_path: Path) -> None:
    if condarc:
        (home / ".condarc").write_text(f"{condarc}\n")
    info = ClientInfo("conda", "/opt/conda/bin/conda", tmp_path / "pkgs")
    work = Work(tmp_path, tmp_path / "envs" / "new", find_lists(tmp_path), Settings())
    text = text.replace("{cache}", str(info.cache))
    command = ["python", "-m", "pip"] if text.startswith("ERROR: ") else ["conda", "create"]
    known = explain(ManagerError(command, 1, text), work, info)
    assert known is not None
    told = " ".join([known.sentence, *known.hints])
    for part in words.split(" | "):
        assert part.replace("{cache}", str(info.cache)) in told


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_list_is_read_as_people_write_it(tmp_path: Path, newline: str) -> None:
    listed = tmp_path / "environment.yml"
    listed.write_text(
        'channels: [conda-forge, "nodefaults"]\n'
        "dependencies:\n"
        "- python=3.12\n"
        "# a remark\n"
        '- "numpy >=1.26, <3"  # another\n'
        "- conda-forge::pytorch[build=cuda*]\n"
        "- pip:\n"
        "  - timm>=1.0\n"
        "  - -r more.txt\n"
        "- tqdm\n"
        "prefix: /somewhere\n",
        newline=newline,
    )
    read = requirements.read_requirements(listed)
    assert read.channels == ["conda-forge"]
    pytorch = "conda-forge::pytorch[build=cuda*]"
    assert read.specs == ["python=3.12", "numpy>=1.26,<3", pytorch, "tqdm"]
    assert read.pip == ["timm>=1.0", "-r more.txt"]


def test_list_in_flow_form_may_have_commas_in_quotes_and_several_lines(tmp_path: Path) -> None:
    listed = tmp_path / "environment.yml"
    listed.write_text(
        "channels: [conda-forge]\n"
        "dependencies: [python=3.12, 'numpy>=1.26,<3',  # a remark\n"
        '  "ruff", tqdm,\n'
        "  ]\n"
        "name: few\n"
    )
    read = requirements.read_requirements(listed)
    assert read.specs == ["python=3.12", "numpy>=1.26,<3", "ruff", "tqdm"]
    requirements.write_list(listed, read._replace(specs=["python[version='>=3.11']"]))
    assert requirements.read_requirements(listed).channels == ["conda-forge"]
    assert "  - 'python[version=''>=3.11'']'\n" in listed.read_text()


@pytest.mark.parametrize(
    ("text", "spec", "is_told"),
    [
        ('python = "3.13"\n', "python=3.12.*", True),
        ('python = "3.12"\n', "python=3.12", False),
        ('python = "3.12"\n', "python>=3.11,<3.14", False),
        ('python = "3.12"\n', "python-graphviz=0.1", False),
        ("", "python=3.11", False),
    ],
)
def test_python_of_lab_toml_that_conda_does_not_follow_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, spec: str, is_told: bool
) -> None:
    (tmp_path / "lab.toml").write_text(f"[environment]\n{text}")
    wanted = requirements.Requirements([], [spec], [])
    work = Work(tmp_path, tmp_path, find_lists(tmp_path), read_settings(tmp_path))
    manager._tell_python(work, wanted)
    expected = 'environment.yml asks for python=3.12.*, which conda uses; python = "3.13"'
    assert (expected in capsys.readouterr().out) == is_told


@pytest.mark.parametrize("text", ["", "dependencies:\n", "dependencies:\n  - --help\n"])
def test_list_that_asks_for_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.yml").write_text(text)
    with pytest.raises(Failure):
        requirements.read_requirements(tmp_path / "environment.yml")


ROOT = "export MAMBA_ROOT_PREFIX='{home}/root'\n"


@pytest.mark.parametrize(
    ("name", "place", "bashrc", "variable"),
    [
        ("conda", "miniforge3/bin/conda", "", ""),
        ("conda", "miniconda3/condabin/conda", "", ""),
        ("mamba", "miniforge3/bin/mamba", "", ""),
        ("conda", "a folder/bin/conda", "", "CONDA_EXE"),
        ("micromamba", "deep/micromamba", "", "MAMBA_EXE"),
        ("conda", "deep/bin/conda", "__setup=\"$('{program}' 'shell.bash' 'hook')\"\n", ""),
        ("micromamba", "deep/micromamba", "export MAMBA_EXE='{program}';\n" + ROOT, ""),
        ("micromamba", "root/bin/micromamba", ROOT, ""),
    ],
)
def test_client_is_found_where_people_have_it(
    name: str,
    place: str,
    bashrc: str,
    variable: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for other in ("CONDA_EXE", "MAMBA_EXE", "MAMBA_ROOT_PREFIX"):
        monkeypatch.delenv(other, raising=False)
    assert find_client(name) is None
    program = home / place
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 1.2.3\n")
    program.chmod(0o755)
    (home / ".bashrc").write_text(bashrc.format(program=program, home=home))
    if variable:
        monkeypatch.setenv(variable, str(program))
    found = find_client(name)
    assert found is not None
    assert found.program == str(program)
    assert bool(found.root) == ("MAMBA_ROOT_PREFIX" in bashrc)
    program.write_text("#!/bin/sh\nexit 1\n")  # the folder it belonged to is gone
    assert find_client(name) is None


@pytest.mark.parametrize(
    ("name", "marks", "is_removed"),
    [
        ("torch-2.9.0-0", ("info/index.json", "../urls.txt"), True),
        ("torch-2.9.0-0", ("../torch-2.9.0-0.conda", "../urls.txt"), True),
        ("torch-2.9.0-0", ("info/index.json",), False),  # not in a package cache
        ("torch-2.9.0-0", ("../urls.txt",), False),  # not a package
        ("Documents", ("info/index.json", "../urls.txt"), False),
    ],
)
def test_only_damaged_packages_of_a_cache_are_removed(
    tmp_path: Path, name: str, marks: tuple[str, ...], is_removed: bool
) -> None:
    folder = tmp_path / "a cache" / name
    folder.mkdir(parents=True)
    for mark in marks:
        (folder / mark).parent.mkdir(exist_ok=True)
        (folder / mark).touch()
    shown = Shown()
    for path in ("lib/a", "lib/b"):
        shown(f"SafetyError: The package for torch located at {folder}")
        shown(f"appears to be corrupted. The path '{path}'")
    named = packages.damaged_folders("\n".join(shown.damage))
    assert named == [str(folder)]
    assert bool(packages.remove_damaged(named)) == is_removed == (not folder.exists())


def write_torch(prefix: Path, build: str, *depends: str) -> Path:
    (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
    values = {"name": "pytorch", "version": "2.9.0", "build": build, "depends": list(depends)}
    (prefix / "conda-meta" / "pytorch.json").write_text(json.dumps(values))
    return prefix


def test_build_for_a_card_is_known_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONDA_OVERRIDE_CUDA", raising=False)
    monkeypatch.setattr(torch_build, "_has_card", lambda: False)
    card = torch_build.card_of(write_torch(tmp_path / "a", "cuda126_mkl_py312_h1_300", "__cuda"))
    cpu = torch_build.card_of(write_torch(tmp_path / "b", "cpu_mkl_py312_h1_100", "python"))
    assert (card, cpu, torch_build.card_of(tmp_path)) == ("12.6", "", None)
    override = "CONDA_OVERRIDE_CUDA"
    assert torch_build.cuda_variables("", card) == {override: "12.6"}
    assert torch_build.cuda_variables("", cpu) == {}
    assert torch_build.cuda_variables("cu128", cpu) == {override: "12.8"}
    assert torch_build.cuda_variables("cpu", card) == {override: ""}
    with pytest.raises(Failure, match="no torch build"):
        torch_build.cuda_variables("rocm6.3", cpu)
    torch_build.check_build("cpu", card, cpu)
    torch_build.check_build("", cpu, cpu)
    for choice, before in (("", card), ("cu126", cpu)):
        with pytest.raises(Failure, match="CPU build"):
            torch_build.check_build(choice, before, cpu)


@pytest.mark.parametrize(
    ("table", "is_proposed"),
    [
        ("[slurm]\ngpus = 1\n", True),
        ('[slurm]\noptions = ["--gres=gpu:1"]\n', True),
        ("# [slurm]\n# gpus = 1\n", False),
        ('[slurm]\npartition = "cpu"\n', False),
    ],
)
def test_torch_for_cards_is_proposed_where_jobs_have_some(
    table: str,
    is_proposed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch_build, "_has_card", lambda: False)
    (tmp_path / "lab.toml").write_text(table)
    torch_build.propose_card(tmp_path, "", "")
    assert ('torch = "cu126"' in capsys.readouterr().out) == is_proposed


def test_lock_names_every_package_and_no_password(tmp_path: Path) -> None:
    url = "https://you:secret@host/t/token/conda-forge/noarch/{}-1.0-py_0.conda"
    one, two = (
        packages.Package(name, "1.0", "py_0", url.format(name), "0" * 32, [], "")
        for name in ("a-b", "c")
    )
    path = tmp_path / ".lab" / requirements.lock_name()
    requirements.write_lock(path, [one, two], digest="abc", card="12.6")
    text = path.read_text()
    assert "secret" not in text
    assert "token" not in text
    lock = requirements.read_lock(path)
    assert lock is not None
    assert (lock.digest, lock.card) == ("abc", "12.6")
    assert lock.packages == [("a-b", "1.0", "py_0"), ("c", "1.0", "py_0")]


@pytest.mark.parametrize(
    ("version", "bounds", "fitting"),
    [
        ("3.12.4", "=3.12", True),
        ("3.13.0", "=3.12", False),
        ("3.12.4", "==3.12", False),
        ("3.12.0", "==3.12", True),
        ("0.14.1", "<0.14", False),
        ("2.10.0", ">=2.9,<3", True),
        ("2.10.0", ">=2.9,<2.10", False),
        ("1.26.4", "1.26.*", True),
        ("1.27.0", "1.26.*", False),
        ("1.27.0", "!=1.27.*", False),
        ("1.4.9", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("2.9.0+cpu", ">=2.9", True),
        # What only conda can compare is left to it.
        ("1.0rc1", ">=2", True),
        ("3.0", "1.0|2.0", True),
        ("2024a", "<1", True),
        ("1.0", "=2.0=py312_0", True),
        ("1.26.4", " 1.26", True),
    ],
)
def test_bounds_are_compared_where_they_are_plain(version: str, bounds: str, fitting: bool) -> None:
    assert comparing.fits(version, bounds) == fitting


def test_what_the_list_asks_for_in_vain_is_noticed(tmp_path: Path) -> None:
    meta = tmp_path / "conda-meta"
    meta.mkdir()
    for name in (
        "python-3.12.4-h1_0",
        "python-graphviz-0.20-py_0",
        "graphviz-12.0-0",
        "ruff-0.15-0",
    ):
        (meta / f"{name}.json").touch()
    listed = tmp_path / "environment.yml"
    listed.write_text(
        "channels: [conda-forge]\ndependencies:\n  - python=3.12\n  - python-graphviz>=0.20\n"
        "  - conda-forge::graphviz\n  - ruff <0.15\n  - pip:\n    - Only_Here[extra]>=2\n"
        "    - -r more.txt\n    - gone @ https://host/gone.whl\n    - ./other.whl\n"
        "    - other; sys_platform == 'win32'\n"
    )
    found = Inventory({"only-here": "2.1", "seaborn": "0.11"}, [])
    assert comparing.missing_or_other(tmp_path, listed, found, {"seaborn": "0.13"}) == [
        "ruff 0.15 does not fit <0.15",
        "gone is missing",
        "seaborn is 0.11, not 0.13",
    ]
    (meta / "graphviz-12.0-0.json").unlink()
    problems = comparing.missing_or_other(tmp_path, listed, Inventory({}, []), {})
    assert problems[0] == "graphviz is missing"
    assert "only-here is missing" in problems
