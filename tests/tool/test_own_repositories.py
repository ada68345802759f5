"""Three repositories of somebody's own, on a real machine: init, connect, up, run, results home."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import openssh_server
import pytest
from baking import THIS_PYTHON, TOOL
from conda_clients import conda_client
from fresh_machine import fresh_machine
from openssh_server import Laptop
from session_kernel import Kernel
from started import read_until, start_in_session
from tool_helpers import known_machine, run_tool

pytestmark = pytest.mark.slow

TRAIN = """\
import os
from pathlib import Path
import {module}
results = Path(os.environ["LAB_OUTPUT_DIR"])
(results / "where.txt").write_text({module}.__file__)
print("trained with", {module}.__name__)
"""
PACKAGE = f"""\
[build-system]
requires = ["uv_build>=0.8,<1"]
build-backend = "uv_build"

[project]
name = "leaves"
version = "1"
requires-python = ">={THIS_PYTHON}"
dependencies = ["six>=1.16"]
"""
CONDA = f"""\
name: leaves
channels:
  - conda-forge
dependencies:
  - python={THIS_PYTHON}
  - pip
"""


@dataclass(frozen=True)
class Own:
    """A repository of somebody's own, on the laptop."""

    root: Path

    def lab(self, *words: str, code: int = 0) -> str:
        """Run `lab`, as `uvx --from ... lab` does; return all that it printed."""
        done = run_tool(self.root, *words)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def run_cell(self, code: str) -> str:
        """Run code in a notebook of `lab jupyter`, and return what it prints."""
        command = [sys.executable, "-B", "-m", "ml_remote", "jupyter", "--no-browser"]
        process = start_in_session(["env", f"PYTHONPATH={TOOL}", *command], self.root)
        said = read_until(process, "open file://")
        read_until(process, "Next:")
        printed = Kernel(Path(unquote(said.rpartition("open file://")[2].strip()))).run(code)
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0
        return printed

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout

    def results(self, name: str) -> str:
        """Return what a run has written, which came home."""
        (path,) = (self.root / "outputs").glob(f"{name}/*/where.txt")
        return path.read_text()


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path / "leaves")


def begin(own: Own, files: dict[str, str]) -> None:
    for name, text in files.items():
        (own.root / name).parent.mkdir(parents=True, exist_ok=True)
        (own.root / name).write_text(text)
    own.git("init", "-q", "-b", "main")
    own.git("add", ".")
    own.git("commit", "-qm", "Begin")


@pytest.fixture
def address(laptop: Laptop) -> Iterator[str]:
    """Yield a machine with uv, and an account whose home is below the temporary folder."""
    with fresh_machine("openssh", laptop) as made:
        yield made


def become_a_project(own: Own, address: str) -> None:
    own.lab("init", "--alias", "gpu", "--address", address, "--yes")
    own.git("add", "lab.toml", "lab.py", ".gitignore", ".vscode")
    own.git("commit", "-qm", "Work on a machine")
    assert "logs in without a password" in own.lab("up", "--no-code", "--yes")


def test_flat_script_with_requirements(own: Own, address: str) -> None:
    files = {"train.py": TRAIN.format(module="six"), "requirements.txt": "-r base.txt\n",
             "base.txt": "six==1.16.0  # as ever\n"}  # fmt: skip
    begin(own, files)
    become_a_project(own, address)
    assert "trained with six" in own.lab("run", "--", "python", "train.py")
    assert "/.lab/envs/uv-" in own.results("train")
    assert "1.16.0" in own.lab("shell", "--", "python", "-c", "import six; print(six.__version__)")
    assert "jupyter" in own.lab("shell", "--", "jupyter", "--version")
    assert "The environment is up to date" in own.lab("setup")

    # A list that this one names.
    (own.root / "base.txt").write_text("six==1.17.0 \\\n    --hash=sha256:00\n")
    assert "The hashes in requirements.txt are not checked" in own.lab("setup")
    assert "1.17.0" in own.lab("shell", "--", "python", "-c", "import six; print(six.__version__)")

    (own.root / "base.txt").write_text("six==1.16.0\ntraitlets==4.3.3\n")
    said = " ".join(own.lab("setup", code=1).split())  # JupyterLab needs a newer one
    assert "ipykernel" in said
    assert "traitlets==4.3.3" in said
    assert "Change a bound in requirements.txt. Packages that are not in it are" in said
    assert "1.17.0" in own.lab("shell", "--", "python", "-c", "import six; print(six.__version__)")
    own.git("checkout", "-q", "base.txt")
    assert own.git("status", "--porcelain") == ""
    own.lab("init", "--remove", "--yes")
    assert {path.name for path in own.root.iterdir()} - {".git", ".lab", "outputs"} == set(files)


def test_package_with_a_lock_of_uv(own: Own, address: str) -> None:
    files = {"pyproject.toml": PACKAGE, "src/leaves/__init__.py": "",
             "scripts/train.py": TRAIN.format(module="leaves")}  # fmt: skip
    begin(own, files)
    subprocess.run(["uv", "lock", "--quiet"], cwd=own.root, check=True)
    lock = (own.root / "uv.lock").read_bytes()
    own.git("add", ".")
    own.git("commit", "-qm", "Lock")
    become_a_project(own, address)
    assert "trained with leaves" in own.lab("run", "--", "python", "scripts/train.py")
    assert own.results("train").endswith("/src/leaves/__init__.py")
    code = "import leaves, six; print(leaves.__file__, six.__file__)"
    package, six = own.run_cell(code).split()
    assert package.endswith("/src/leaves/__init__.py")
    assert "/.lab/envs/uv-" in six
    assert "was ended" in own.lab("jupyter", "--stop")
    assert (own.root / "uv.lock").read_bytes() == lock
    assert "/.lab/envs/uv-" in own.lab("shell", "--", "python", "-c", "import six; print(six)")
    assert "uv add NAME" in own.lab("add", "timm", code=2)


def test_conda_project_with_notebooks(own: Own, laptop: Laptop, tmp_path: Path) -> None:
    client = conda_client("mamba-2.0.5", tmp_path / "person")
    files = {"environment.yml": CONDA, "notebooks/look.ipynb": "{}",
             "train.py": TRAIN.format(module="json")}  # fmt: skip
    begin(own, files)
    with openssh_server.account(own=True) as account:
        variables = {**client.variables, "HOME": str(account.home), "LAB_MINIMUM_FREE_GB": "0"}
        setting = " ".join(f'"{name}={value}"' for name, value in variables.items())
        with openssh_server.openssh_server(account, SetEnv=setting) as server:
            known_machine(laptop, server)
            folder = account.home / "leaves"
            own.lab("init", "--alias", "machine", "--folder", str(folder), "--yes")
            own.git("add", "lab.toml", "lab.py", ".gitignore")
            own.git("commit", "-qm", "Work on a machine")
            said = own.lab("up", "--no-code", "--yes")
            assert "logs in without a password" in said
            assert "The environment is complete" in said
            assert "trained with json" in own.lab("run", "--", "python", "train.py")
            assert own.results("train")
            assert (folder / ".venv").resolve().name.startswith("mamba-")
            assert (own.root / "environment.yml").read_text() == CONDA
            assert "edit environment.yml" in own.lab("add", "timm", code=2)
