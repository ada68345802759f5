"""A small conda-forge of stand-ins, which real conda and mamba install from.

pip and hatchling are the real ones. Python is the one that runs the tests: its package only leads
there. torch has a CUDA build and a CPU build, as on conda-forge, and a file large enough to be
killed in. Everything else has a version, the metadata of the distribution, and nothing to run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["LARGE_FILE", "make_channel"]

LARGE_FILE = "site-packages/torch/libtorch.bin"
"""The path of torch's large file in the package cache's folder of the package."""

_SIZE = 12_000_000
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_SITE = f"lib/python{_PYTHON}/site-packages"
_PLAIN = """
ipykernel=7.0 ipywidgets=8.1 jupyterlab=4.5 jupytext=1.19 nbconvert=7.16 numpy=2.2 pandas=2.3
papermill=2.6 psutil=7.0 scikit-learn=1.7 seaborn=0.13 tensorboard=2.20 torchvision=0.24 tqdm=4.67
mypy=1.18 pre-commit=4.3 pytest=8.4 ruff=0.13 ruff=0.14 timm=1.0
"""
_RENAMED = {"python-graphviz": "graphviz=0.20", "matplotlib-base": "matplotlib=3.10"}
_TORCH = '''\
"""A stand-in that has no card, though this build may be for one."""

__version__ = "2.9.0"


class version:
    cuda = {cuda!r}


class accelerator:
    @staticmethod
    def current_accelerator(check_available=False):
        return None


class cuda:
    @staticmethod
    def is_available():
        return False

    @staticmethod
    def device_count():
        return 0
'''


def make_channel(folder: Path) -> None:
    """Write the channel: its packages, and the list of them for each platform."""
    with tempfile.TemporaryDirectory() as temporary:
        channel = _Channel(folder, Path(temporary))
        channel.add_python()
        for name, requirements in (("pip", ["pip"]), ("hatchling", ["hatchling", "editables"])):
            channel.add_real(name, requirements)
        for stand_in in _PLAIN.split():
            channel.add_stand_in(stand_in.partition("=")[0], stand_in)
        for name, distribution in _RENAMED.items():
            channel.add_stand_in(name, distribution)
        channel.add_dot()
        channel.add_torch("cpu_0", 0, cuda=None)
        channel.add_torch("cuda126_0", 200, cuda="12.6")
        channel.write_lists()


class _Channel:
    """The packages so far."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self._folder = folder
        self._temporary = temporary
        self._packages: dict[str, dict[str, Any]] = {"linux-64": {}, "noarch": {}}
        for subdirectory in self._packages:
            (folder / subdirectory).mkdir(parents=True)

    def write_lists(self) -> None:
        """Write the repodata.json of each platform."""
        for name, packages in self._packages.items():
            content = {"info": {"subdir": name}, "packages": packages, "packages.conda": {}}
            (self._folder / name / "repodata.json").write_text(json.dumps(content))

    def add_python(self) -> None:
        """Add a Python that is the one here, as in a virtual environment."""
        tree = self._tree("python")
        (tree / "bin").mkdir()
        base = Path(sys.base_prefix) / "bin" / f"python{_PYTHON}"
        (tree / "bin" / f"python{_PYTHON}").symlink_to(base)
        for name in ("python", "python3"):
            (tree / "bin" / name).symlink_to(f"python{_PYTHON}")
        settings = f"home = {base.parent}\ninclude-system-site-packages = false\n"
        (tree / "pyvenv.cfg").write_text(settings)
        site = tree / _SITE / "README.txt"
        site.parent.mkdir(parents=True)
        site.write_text("Third-party packages.\n")
        self._add("python", sysconfig.get_python_version() + ".7", tree, depends=())

    def add_real(self, name: str, requirements: list[str]) -> None:
        """Add a package with what pip installs for these requirements."""
        tree = self._tree(name)
        command = [f"{Path(sys.executable).parent}/uv", "pip", "install", "--quiet"]
        command += ["--python", sys.executable, "--target", str(tree / _SITE), *requirements]
        subprocess.run(command, check=True)
        shutil.rmtree(tree / _SITE / "bin", ignore_errors=True)
        (information,) = (tree / _SITE).glob(f"{name}-*.dist-info")
        version = information.name.removesuffix(".dist-info").partition("-")[2]
        # For one platform, though it is Python only: else each installation compiles it all.
        self._add(name, version, tree)

    def add_stand_in(self, name: str, distribution: str) -> None:
        """Add an importable module with a version and metadata."""
        tree = self._tree(name)
        project, _, version = distribution.partition("=")
        self._write_module(tree, project, version, f"__version__ = {version!r}\n")
        self._add(name, version, tree, noarch=True)

    def add_dot(self) -> None:
        """Add graphviz, whose program `dot` the labs call."""
        tree = self._tree("graphviz")
        (tree / "bin").mkdir()
        (tree / "bin" / "dot").write_text("#!/bin/sh\necho dot - graphviz version 12\n")
        (tree / "bin" / "dot").chmod(0o755)
        self._add("graphviz", "12", tree, depends=())

    def add_torch(self, build: str, number: int, *, cuda: str | None) -> None:
        """Add a build of torch."""
        tree = self._tree("torch")
        self._write_module(tree, "torch", "2.9.0", _TORCH.format(cuda=cuda))
        (tree / LARGE_FILE).write_bytes(os.urandom(_SIZE))
        needs = ("python", "__cuda") if cuda else ("python",)
        self._add("pytorch", "2.9.0", tree, depends=needs, build=build, number=number, noarch=True)

    def _tree(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._temporary))

    def _write_module(self, tree: Path, project: str, version: str, text: str) -> None:
        site = tree / "site-packages"
        module = site / project.replace("-", "_")
        information = site / f"{module.name}-{version}.dist-info"
        for folder in (module, information):
            folder.mkdir(parents=True)
        (module / "__init__.py").write_text(text)
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        (information / "METADATA").write_text(metadata)
        (information / "INSTALLER").write_text("conda\n")

    def _add(
        self,
        name: str,
        version: str,
        tree: Path,
        *,
        depends: tuple[str, ...] = ("python",),
        build: str = "0",
        number: int = 0,
        noarch: bool = False,
    ) -> None:
        """Pack a tree of files, and put it on the list of its platform."""
        subdirectory = "noarch" if noarch else "linux-64"
        index: dict[str, Any] = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": number,
            "depends": list(depends),
            "subdir": subdirectory,
        }
        if noarch:
            index["noarch"] = "python"
        files = sorted(path for path in tree.rglob("*") if path.is_file() or path.is_symlink())
        paths = [_entry(tree, path) for path in files]
        information = {
            "info/index.json": json.dumps(index),
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
            "info/files": "".join(f"{entry['_path']}\n" for entry in paths),
        }
        if noarch:
            link = {"noarch": {"type": "python"}, "package_metadata_version": 1}
            information["info/link.json"] = json.dumps(link)
        archive = self._folder / subdirectory / f"{name}-{version}-{build}.tar.bz2"
        with tarfile.open(archive, "w:bz2", compresslevel=1) as packed:
            for path, text in information.items():
                member = tarfile.TarInfo(path)
                member.size = len(text.encode())
                packed.addfile(member, io.BytesIO(text.encode()))
            for file in files:
                packed.add(file, arcname=str(file.relative_to(tree)), recursive=False)
        content = archive.read_bytes()
        self._packages[subdirectory][archive.name] = {
            **index,
            "md5": hashlib.md5(content).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }


def _entry(tree: Path, path: Path) -> dict[str, Any]:
    """Describe a file of a package."""
    content = path.read_bytes()
    return {
        "_path": str(path.relative_to(tree)),
        "path_type": "softlink" if path.is_symlink() else "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
