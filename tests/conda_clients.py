"""Real clients of the conda family, and a small channel of stand-ins that they install from.

conda is not on PyPI, so the sources of two versions and a built mamba are in ../shared/conda. Where
that folder is missing, the tests that need it are skipped. All is made once, below build/conda.
Each client gets a home directory, a package cache and a root of its own.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from conda_channel import make_channel
from filelock import FileLock

__all__ = ["CLIENTS", "SOURCES", "Client", "conda_client", "programs_of"]

SOURCES = TEMPLATE_ROOT.parent / "shared" / "conda"
CLIENTS = ("conda-25.3.1", "conda-26.7.1", "mamba-2.0.5")
"""The newest conda, the one before it changed `env create`, and mamba (micromamba is the same)."""

_BUILD = TEMPLATE_ROOT / "build" / "conda"
_RUNTIME = """
archspec boltons charset-normalizer conda-package-handling conda-package-streaming distro
frozendict jsonpatch msgpack packaging platformdirs pluggy pycosat requests ruamel.yaml<0.19
setuptools tqdm truststore zstandard backports.zstd
"""
_CONDA = """#!/bin/sh
PYTHONPATH='{sources}:{stubs}' exec '{python}' -m conda "$@"
"""
_MAMBA = """#!/bin/sh
LD_LIBRARY_PATH='{folder}/lib' exec '{folder}/mamba' "$@"
"""


@dataclass(frozen=True)
class Client:
    """One client, as a person has it installed."""

    name: str
    """Such as conda-26.7.1."""
    programs: Path
    """The folder that holds nothing but the program."""
    home: Path
    """The person's home directory."""
    program: str = field(default="conda")

    @property
    def cache(self) -> Path:
        """The person's package cache."""
        return self.home / "pkgs"

    @property
    def variables(self) -> dict[str, str]:
        """What the person's shell sets."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "CONDA_PKGS_DIRS": str(self.cache),
            "MAMBA_ROOT_PREFIX": str(self.home / "micromamba"),
        }

    def run(
        self, *words: str | Path, check: bool = True, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call the client by hand; its errors come with its output."""
        done = subprocess.run(
            [str(self.programs / self.program), *map(str, words)],
            env={**os.environ, **self.variables, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done


def conda_client(name: str, home: Path) -> Client:
    """Return a client with a home directory of its own; skip the test where there is none."""
    if not SOURCES.is_dir():
        pytest.skip("no real conda and mamba: the folder ../shared/conda is missing")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the conda and mamba in ../shared/conda are for Linux on x86_64")
    with FileLock(_BUILD.with_suffix(".lock")):
        complete, recipe = _BUILD / "complete", _recipe()
        if not complete.exists() or complete.read_text() != recipe:
            _make_all()
            complete.write_text(recipe)
    program = name.partition("-")[0]
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "micromamba" / ".condarc"
    settings.parent.mkdir(exist_ok=True)
    shutil.copyfile(_BUILD / "condarc", settings)
    return Client(name, programs_of(name), home, program)


def programs_of(name: str) -> Path:
    """Return the folder that holds a client's program."""
    return _BUILD / name / "bin"


def _recipe() -> str:
    """Return a hash of what makes them, and of the Python that the channel leads to."""
    digest = hashlib.sha256(sys.version.encode() + sys.base_prefix.encode())
    for name in ("conda_clients.py", "conda_channel.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


def _make_all() -> None:
    """Make the clients and the channel in build/conda, in about half a minute."""
    shutil.rmtree(_BUILD, ignore_errors=True)
    _BUILD.mkdir(parents=True)
    python = _make_runtime(_BUILD / "runtime")
    make_channel(_BUILD / "channel" / "conda-forge")
    condarc = (
        f"channel_alias: file://{_BUILD}/channel\n"
        f"custom_channels:\n  conda-forge: file://{_BUILD}/channel\n"
    )
    (_BUILD / "condarc").write_text(condarc)
    # Where the administrator's settings are: the person's ~/.condarc stays theirs.
    (_BUILD / "runtime" / ".condarc").write_text(f"{condarc}solver: classic\n")
    for name in CLIENTS:
        program, _, version = name.partition("-")
        folder = _BUILD / name
        (folder / "bin").mkdir(parents=True)
        (archive,) = SOURCES.glob(f"{name}*.tar.xz")
        subprocess.run(["tar", "-xf", archive], cwd=folder, check=True)
        launcher = folder / "bin" / program
        if program == "conda":
            (folder / name / "conda" / "_version.py").write_text(f'__version__ = "{version}"\n')
            text = _CONDA.format(
                sources=folder / name, stubs=_BUILD / "runtime" / "stubs", python=python
            )
        else:
            text = _MAMBA.format(folder=folder / name)
        launcher.write_text(text)
        launcher.chmod(0o755)


def _make_runtime(folder: Path) -> Path:
    """Make the Python that runs conda, with the packages it needs; return it."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv is not None
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(python), *_RUNTIME.split()], check=True
    )
    stub = folder / "stubs" / "menuinst" / "__init__.py"  # no such package on PyPI
    stub.parent.mkdir(parents=True)
    stub.write_text("def install(*a, **k): pass\ndef remove(*a, **k): pass\n")
    return python
