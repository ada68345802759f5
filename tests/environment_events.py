"""Random sequences of what happens to an environment, with real uv, venv and pip.

The packages are stand-ins of a few lines, wheels in a local folder; the project is as small as one
can be. After each event the environment that worked before must work, or a newer complete one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from baking import TEMPLATE_ROOT, THIS_PYTHON
from programs import path_without

from ml_remote.far.installed import install

__all__ = ["EVENTS", "TORCH", "Computer", "Trial", "build_wheel", "run_sequence"]

SCRIPT = TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "scripts" / "setup-environment.sh"
TORCH = """
__version__ = "2.9"
class accelerator:
    @staticmethod
    def current_accelerator(check_available):
        return None
class cuda:
    @staticmethod
    def is_available():
        return False
"""
# A build backend in the project itself: nothing is fetched to install it.
BACKEND = """
import os, zipfile
def _wheel(folder, files):
    name = "trial-1.0-py3-none-any.whl"
    about = "trial-1.0.dist-info/"
    files = dict(files, **{
        about + "METADATA": "Metadata-Version: 2.1\\nName: trial\\nVersion: 1.0\\n" + _requires(),
        about + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"})
    record = "".join(path + ",,\\n" for path in files) + about + "RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in {**files, about + "RECORD": record}.items():
            wheel.writestr(path, text)
    return name
def _requires():
    import tomllib
    with open("pyproject.toml", "rb") as file:
        lists = tomllib.load(file)["project"]["optional-dependencies"]
    lines = [f"Provides-Extra: {extra}\\n" for extra in lists]
    for extra, names in lists.items():
        lines += [f"Requires-Dist: {name} ; extra == '{extra}'\\n" for name in names]
    return "".join(lines)
def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"trial.pth": os.getcwd() + "/src\\n"})
def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"trial.py": ""})
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "trial"
version = "1.0"
requires-python = ">=3.11"
[project.optional-dependencies]
lab = {lab}
dev = []
"""


def build_wheel(folder: Path, name: str, version: str, text: str = "", needs: str = "") -> None:
    """Write a wheel that has one module."""
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": text + f'\n__version__ = "{version}"\n',
        f"{about}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{about}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in {**files, f"{about}/RECORD": record}.items():
            wheel.writestr(path, content)


@dataclass(frozen=True)
class Computer:
    """What all trials share: packages, programs, the far half."""

    folder: Path
    wheels: Path
    programs: str
    """A PATH without any manager."""
    uv: str
    """The folder of uv alone."""
    far: Path

    @classmethod
    def new(cls, folder: Path) -> Computer:
        """Prepare everything below a folder."""
        wheels = folder / "wheels"
        build_wheel(wheels, "torch", "2.9", TORCH)
        for name in ("alpha", "beta", "gamma"):
            for version in ("1.0", "1.1", "2.0"):
                build_wheel(wheels, name, version, needs="delta" if name == "gamma" else "")
        build_wheel(wheels, "delta", "1.0")
        programs = path_without(folder, "conda", "mamba", "micromamba", "uv", "uvx")
        uv = folder / "uv"
        uv.mkdir()
        found = shutil.which("uv")
        assert found is not None
        (uv / "uv").symlink_to(found)
        return cls(folder, wheels, programs, str(uv), install(folder / "far"))


@dataclass
class Trial:
    """One project and what is around it now."""

    computer: Computer
    root: Path
    chance: random.Random
    has_uv: bool = True
    is_slow: bool = False
    """Whether pip makes environments here: that takes ten times as long as with uv."""
    wanted: dict[str, str] = field(default_factory=lambda: {"torch": "", "alpha": "==1.0"})
    more: dict[str, str] = field(default_factory=dict)
    """Variables of every setup."""
    said: str = ""
    history: list[str] = field(default_factory=list)

    def begin(self, manager: str) -> None:
        """Write the project, and make its first environment."""
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "scripts")
        (self.root / "src").mkdir()
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "environment.yml").write_text("dependencies: []\n")
        (self.root / "lab.toml").write_text(
            f'[environment]\nmanager = "{manager}"\npython = "{THIS_PYTHON}"\n'
        )
        self.write_lists()
        (self.root / ".lab" / "far").mkdir(parents=True)
        (self.root / ".lab" / "far" / "current").symlink_to(self.computer.far)
        assert self.set_up() == 0, self.said
        self.check()

    def write_lists(self) -> None:
        """Write what the project asks for."""
        lab = [f"{name}{bound}" for name, bound in sorted(self.wanted.items())]
        (self.root / "pyproject.toml").write_text(PYPROJECT.format(lab=json.dumps(lab)))

    def variables(self, **more: str) -> dict[str, str]:
        """Return the variables of a setup."""
        computer = self.computer
        path = f"{computer.uv}{os.pathsep}{computer.programs}" if self.has_uv else computer.programs
        wheels = str(computer.wheels)
        own = {
            "PATH": path,
            "LAB_PROGRAM_FOLDERS": "",
            "LAB_MINIMUM_FREE_GB": "0",
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": wheels,
            "UV_NO_INDEX": "1",
            "UV_CACHE_DIR": str(computer.folder / "cache"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": wheels,
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHONPATH": "",
        }
        return {**os.environ, **own, **self.more, **more}

    def start(self, *, limit: str = "", argument: str = "", **more: str) -> subprocess.Popen[str]:
        """Start a setup in a session of its own."""
        command = f"{limit} exec sh scripts/setup-environment.sh {argument}"
        return subprocess.Popen(
            ["sh", "-c", command],
            cwd=self.root,
            env=self.variables(**more),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_up(self, *, limit: str = "", argument: str = "", **more: str) -> int:
        """Run a setup to its end; return its exit code."""
        with self.start(limit=limit, argument=argument, **more) as process:
            self.said = process.communicate(timeout=300)[0]
        return process.returncode

    def versions(self) -> dict[str, str]:
        """Return what the environment has, as its record says."""
        record = json.loads((self.root / ".venv/lab-environment.json").read_text())
        return dict(record["installed"])

    def check(self) -> None:
        """Find a complete environment, which works."""
        record = json.loads((self.root / ".venv/lab-environment.json").read_text())
        assert record["complete"]
        names = sorted(set(record["installed"]) & {"torch", "alpha", "beta", "gamma", "delta"})
        lines = [f"import {name}" for name in names]
        lines += [f"assert {name}.__version__ == {record['installed'][name]!r}" for name in names]
        done = subprocess.run(
            [self.root / ".venv/bin/python", "-B", "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, "\n".join([*self.history, self.said, done.stderr])

    # Events.

    def change_lists(self) -> None:
        """Ask for another package or version, or for fewer."""
        name = self.chance.choice(["alpha", "beta", "gamma"])
        bound = self.chance.choice(["", "==1.0", "==1.1", ">=1.1", "==2.0", None])
        if bound is None:
            self.wanted.pop(name, None)
        else:
            self.wanted[name] = bound
        self.write_lists()
        assert self.set_up() == 0, "\n".join([*self.history, self.said])
        assert "complete" in self.said or "up to date" in self.said

    def want_what_does_not_exist(self) -> None:
        """Mistype the name of a package."""
        self.wanted["nowhere"] = ""
        self.write_lists()
        assert self.set_up() == 1
        del self.wanted["nowhere"]
        self.write_lists()

    def network_fails(self) -> None:
        """Make the packages unreachable, and change the lists."""
        self.wanted[self.chance.choice(["alpha", "beta", "gamma"])] = ""
        self.write_lists()
        empty = str(self.computer.folder / "programs")
        self.set_up(UV_FIND_LINKS=empty, PIP_FIND_LINKS=empty, UV_NO_CACHE="1")

    def manager_comes_or_goes(self) -> None:
        """Install uv, or remove it; the environment keeps its manager."""
        record = (self.root / ".venv/lab-environment.json").read_text()
        assert self.set_up() in (0, 1)
        self.has_uv = not self.has_uv
        assert self.set_up() == 0, self.said
        if not self.is_slow:
            self.has_uv = True
        assert (
            json.loads(record)["manager"]
            == json.loads((self.root / ".venv/lab-environment.json").read_text())["manager"]
        )

    def disk_fills(self) -> None:
        """Limit the size of files to some KiB."""
        self.wanted[self.chance.choice(["alpha", "beta", "gamma"])] = "==2.0"
        self.write_lists()
        self.set_up(limit=f"ulimit -f {self.chance.choice([0, 1, 2, 8])};")

    def kill(self) -> None:
        """Kill everything at some moment while a change is made."""
        self.wanted[self.chance.choice(["alpha", "beta", "gamma"])] = self.chance.choice(
            ["==1.0", "==1.1", "==2.0"]
        )
        self._set_up_until(signal.SIGKILL)

    def end_politely(self) -> None:
        """Stop a setup; nothing of it may be left running."""
        self.wanted["beta"] = self.chance.choice(["==1.0", "==1.1", "==2.0"])
        self._set_up_until(signal.SIGTERM)

    def _set_up_until(self, number: int) -> None:
        """Start a setup, and send it a signal at some moment unless it has ended."""
        self.write_lists()
        with self.start() as process:
            try:
                process.wait(timeout=self.chance.uniform(0.05, 1.2))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, number)
            self.said = process.communicate(timeout=300)[0]

    def run_while_it_changes(self) -> None:
        """Run a program all the while; what it imports late is of the same environment."""
        python = os.path.realpath(self.root / ".venv/bin") + "/python"
        program = "import alpha, sys; print(alpha.__version__, flush=True); sys.stdin.read(); "
        program += "import torch, importlib.metadata as m; print(m.version('alpha'))"
        self.wanted.setdefault("alpha", "")
        self.change_lists()
        if "alpha" not in self.wanted:
            return
        python = os.path.realpath(self.root / ".venv/bin") + "/python"
        with subprocess.Popen(
            [python, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline().strip()
            self.wanted["alpha"] = "==1.0" if first != "1.0" else "==1.1"
            self.write_lists()
            self.set_up()
            rest = process.communicate("", timeout=60)[0].strip()
        assert rest == first, "\n".join([*self.history, self.said])


EVENTS: tuple[Callable[[Trial], None], ...] = (
    Trial.change_lists,
    Trial.want_what_does_not_exist,
    Trial.network_fails,
    Trial.manager_comes_or_goes,
    Trial.disk_fills,
    Trial.kill,
    Trial.end_politely,
    Trial.run_while_it_changes,
)


def run_sequence(computer: Computer, seed: int, *, events: int = 3) -> list[str]:
    """Apply some events to a new project, and check it after each; return their names.

    Raises AssertionError when an environment was lost.
    """
    chance = random.Random(seed)
    root = computer.folder / f"trial {seed}"
    trial = Trial(computer, root, chance, is_slow=seed % 13 == 0)
    trial.begin("venv" if trial.is_slow else "auto")
    for _ in range(events):
        event = chance.choice(EVENTS)
        trial.history.append(f"seed {seed}: {event.__name__}, uv {trial.has_uv}, {trial.wanted}")
        event(trial)
        trial.check()
    trial.history.append("last setup")
    trial.has_uv = True
    assert trial.set_up() == 0, "\n".join([*trial.history, trial.said])
    trial.check()
    assert len(list((root / ".lab/envs").iterdir())) == 1, trial.history
    shutil.rmtree(root)
    return trial.history
