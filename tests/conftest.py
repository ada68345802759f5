"""Fixtures that all tests share: an isolated home, baked projects, one environment for the labs."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import (
    TEMPLATE_ROOT,
    TOOL,
    BakedProject,
    bake_project,
    isolated_variables,
    project_in,
)
from environment import LabEnvironment, lab_environment
from hypothesis import settings
from started import end_started

# Their hooks count the commands of the documents, let the run fail that leaves a process behind and
# the test that hazards.toml names and that was skipped, list what was skipped, take the further
# rows of long tables for slow, and begin with the longest files.
pytest_plugins = [
    "document_summary",
    "first_rows",
    "hazards",
    "leftovers",
    "longest_first",
    "skipped",
]

DEFAULT_PROJECT = pytest.StashKey[tuple[Path, set[str]]]()

Bake = Callable[..., BakedProject]

# The same examples in every run: a failure that is seen can be seen again. What hypothesis notes
# down goes below build/, as everything else.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{TEMPLATE_ROOT}/build/cache/hypothesis")
settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")

# Modules and tests stay until the end: looking through all of them again and again for what may go
# takes a sixth of the quick tests' time.
gc.set_threshold(100_000, 50, 100)

# A program started in the background of a script ignores Ctrl-C, and so would all that it starts.
# Some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same for one that nohup has started, which is to outlive its terminal; what it starts is not.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory for the test, so that nothing of the person's is read or written."""
    folder = tmp_path_factory.mktemp("home")
    for name, value in isolated_variables(folder).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    # `lab.py` takes the tool that its interpreter finds; without one it asks uv for its own.
    monkeypatch.setenv("PYTHONPATH", str(TOOL))
    return folder


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """End the commands that a test which failed has left running."""
    yield
    end_started()


@pytest.fixture
def ssh(home: Path) -> Path:
    """Return the SSH directory, with a configuration of the person's own in it."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text("Host *\n    ServerAliveInterval 15\n")
    return folder


@pytest.fixture
def bake(
    tmp_path: Path,
    home: Path,
    baked: dict[str, BakedProject],
    baked_folder: Path,
    request: pytest.FixtureRequest,
) -> Bake:
    """Bake a project with the given answers into this test's own folder.

    With `copied` it is a copy of one with the same answers, for tests of what comes after the bake.
    """

    def bake_here(
        destination: Path = tmp_path, *, copied: bool = False, **options: object
    ) -> BakedProject:
        if not copied:
            return bake_project(destination, home=home, **options)  # type: ignore[arg-type]
        answers = repr(sorted(options.items()))
        if not options:
            baked[answers] = request.getfixturevalue("default_project")
        elif answers not in baked:
            folder = baked_folder / str(len(baked))
            baked[answers] = bake_project(folder, home=home, **options)  # type: ignore[arg-type]
        original = baked[answers].path
        path = shutil.copytree(original, destination / original.name, symlinks=True)
        return project_in(path)

    return bake_here


@pytest.fixture(scope="session")
def baked() -> dict[str, BakedProject]:
    """Return the projects of which tests get copies, by their answers."""
    return {}


@pytest.fixture(scope="session")
def baked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where they are."""
    return tmp_path_factory.mktemp("baked")


def names_in(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="session")
def default_project(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> BakedProject:
    """Return a project with the default answers, to look at but not to change."""
    folder = tmp_path_factory.mktemp("default")
    project = bake_project(folder / "project", home=folder / "home")
    pytestconfig.stash[DEFAULT_PROJECT] = project.path, names_in(project.path)
    return project


@pytest.fixture(autouse=True)
def default_project_unchanged(pytestconfig: pytest.Config) -> Iterator[None]:
    """Name the test that leaves something in the project that all tests look at."""
    yield
    if DEFAULT_PROJECT in pytestconfig.stash:
        path, names = pytestconfig.stash[DEFAULT_PROJECT]
        # What commands remember there is ignored by git, and no test looks at it.
        left = names_in(path) - names - {".lab", "__pycache__"}
        assert not left, f"this test left {left} in the project that all tests look at"


@pytest.fixture(scope="session")
def environment() -> LabEnvironment:
    """Return the environment that `scripts/setup-environment.sh` makes, once for all tests."""
    return lab_environment()


@pytest.fixture(scope="session")
def mnist_directory() -> Path:
    """Return where the real MNIST is, in LAB_DATA_DIR; no test downloads it."""
    directory = Path(os.environ.get("LAB_DATA_DIR", ""))
    if not (directory / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip("the real MNIST is not here: LAB_DATA_DIR names no folder with MNIST/raw in it")
    return directory
