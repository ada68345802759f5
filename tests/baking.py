"""Baking projects from this template, for tests and for `make lint` and `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cookiecutter.main import cookiecutter

__all__ = [
    "TEMPLATE_ROOT",
    "THIS_PYTHON",
    "TOOL",
    "BakedProject",
    "bake_project",
    "contents",
    "environment_variables",
    "install_far",
    "isolated_variables",
    "project_in",
]

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
TOOL = TEMPLATE_ROOT / "src"
"""The tool as it is here; generated from a local folder, a project pins no version of it."""
NOT_SHARED = (".git", ".lab", "lab.local.toml")
"""What of a project is not the same for everybody who has it."""
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""What to answer where a project is to use the Python that is here."""


@dataclass(frozen=True)
class BakedProject:
    """A project that the template has just made."""

    path: Path
    package: str

    def read(self, name: str) -> str:
        """Return the text of the file `name`."""
        return (self.path / name).read_text(encoding="utf-8")

    def contents(self) -> dict[str, tuple[int, bytes]]:
        """Return every file with its mode, but git's own and that of this computer alone."""
        return {
            str(path.relative_to(self.path)): (path.stat().st_mode, path.read_bytes())
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path.relative_to(self.path).parts[0] not in NOT_SHARED
        }

    def run(
        self, *command: str | Path, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder, its package importable, and return the outcome.

        Raises AssertionError with the command's output when `check` is set and it fails.
        """
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": f"{self.path / 'src'}{os.pathsep}{TOOL}", **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if check:
            assert done.returncode == 0, f"{command} failed\n{done.stdout}\n{done.stderr}"
        return done


def isolated_variables(home: Path) -> dict[str, str | None]:
    """Return the environment variables that keep a bake away from the person's own files.

    `None` stands for a variable to remove. `home` is created, with a git identity in it.
    """
    home.mkdir(parents=True, exist_ok=True)
    git_configuration = home / ".gitconfig"
    git_configuration.write_text("[user]\nname = Tess Ter\nemail = tess@example.com\n")
    real_cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return {
        "HOME": str(home),
        # uv and the other tools that are beside this interpreter, also when it was called by its
        # path.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LAB_SSH_DIR": str(home / ".ssh"),
        "GIT_CONFIG_GLOBAL": str(git_configuration),
        "GIT_CONFIG_NOSYSTEM": "1",
        # The downloaded wheels stay shared: several gigabytes.
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", f"{real_cache}/uv"),
        # Tests share the processor: threads of torch that wait for each other would take it.
        "OMP_NUM_THREADS": "1",
        # The tool is imported from PYTHONPATH, without uv, which lab.local.toml would call for.
        "LAB_TOOL": "",
        "VIRTUAL_ENV": None,
        "PYTHONPATH": None,
        "XDG_CONFIG_HOME": None,
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path, with its content."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def install_far(project: BakedProject) -> None:
    """Put the far half into a project, as a setup leaves it."""
    # Not above: `make lint` bakes a project without the tool on its path.
    from ml_remote.far.installed import FAR, install, make_current

    make_current(install(project.path / FAR))


@contextmanager
def environment_variables(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set these variables (`None` removes one) for the duration of a block."""
    before = {name: os.environ.get(name) for name in variables}
    _set_variables(variables)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Make this process's temporary files go there: cookiecutter leaves some."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def bake_project(
    destination: Path,
    *,
    home: Path,
    overwrite: bool = False,
    accept_hooks: bool = True,
    template: Path = TEMPLATE_ROOT,
    **answers: object,
) -> BakedProject:
    """Bake a project below `destination` with `answers`, and return it.

    `home` stands in for the person's home directory: cookiecutter's own files, git's configuration
    and the SSH directory are looked for there.
    """
    destination.mkdir(parents=True, exist_ok=True)
    configuration = home / ".cookiecutterrc"
    with environment_variables(isolated_variables(home)), _temporary_files_in(home):
        configuration.write_text(
            f"cookiecutters_dir: {home}/cookiecutters\nreplay_dir: {home}/replay\n"
        )
        path = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(destination),
            config_file=str(configuration),
            overwrite_if_exists=overwrite,
            accept_hooks=accept_hooks,
        )
    return project_in(Path(path))


def project_in(folder: Path) -> BakedProject:
    """Return the project that is in a folder."""
    packages = {path.name for path in (folder / "src").iterdir()}
    (package,) = packages - {"remote"}  # a copy of the tool, which older projects hold
    return BakedProject(path=folder, package=package)
