"""`lab setup --carry`: a machine that reaches no package index gets its packages from here."""

from __future__ import annotations

import ensurepip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import openssh_server
import pytest
from baking import THIS_PYTHON, TOOL
from environment_events import BACKEND, PYPROJECT, SCRIPT, TORCH, build_wheel
from openssh_server import Laptop, OpenSSHServer
from programs import path_without
from tool_helpers import known_machine

from ml_remote.carrying import sending
from ml_remote.carrying.sending import send_wheels
from ml_remote.carrying.target import Target
from ml_remote.carrying.wheels import Wheel, find_wheels
from ml_remote.errors import UsageError
from ml_remote.machine import Machine
from ml_remote.package_lists.converting import INTERACTIVE
from ml_remote.ssh.client import Client

UNREACHABLE = "http://127.0.0.1:9/simple"
NEEDS = '\ndef get_requires_for_build_editable(config_settings=None):\n    return ["beta"]\n'


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return what the laptop's package index has: stand-ins, pip, and one without a wheel."""
    folder = tmp_path / "index"
    build_wheel(folder, "torch", "2.9", TORCH)
    build_wheel(folder, "alpha", "1.0", needs="delta")
    for name in ("beta", "delta"):
        build_wheel(folder, name, "1.0")
    # Debian and Fedora keep the wheel of pip elsewhere than Python itself does.
    kept = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    (pip,) = Path(kept).glob("pip-*.whl")
    shutil.copy(pip, folder)
    source = tmp_path / "sourceonly-1.0"
    source.mkdir()
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: sourceonly\nVersion: 1.0\n")
    with tarfile.open(folder / "sourceonly-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    return folder


@pytest.fixture
def machine_folder(tmp_path: Path, laptop: Laptop) -> Iterator[Path]:
    """Yield the project's folder on a machine with Python and uv, but without internet."""
    programs = path_without(tmp_path, "conda", "mamba", "micromamba")
    path = f"{Path(sys.executable).parent}{os.pathsep}{programs}"
    with machine_with(laptop, path) as folder:
        yield folder


@contextmanager
def machine_with(laptop: Laptop, path: str) -> Iterator[Path]:
    """Run a machine without internet, whose programs are those on `path`."""
    with openssh_server.account(own=True) as account:
        variables = {
            "HOME": str(account.home),
            "PATH": path,
            "LAB_PROGRAM_FOLDERS": "",
            "LAB_MINIMUM_FREE_GB": "0",
            "UV_INDEX_URL": UNREACHABLE,
            "PIP_INDEX_URL": UNREACHABLE,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_RETRIES": "0",
            "UV_HTTP_RETRIES": "0",
        }
        setting = " ".join(f'"{name}={value}"' for name, value in variables.items())
        with openssh_server.openssh_server(account, SetEnv=setting) as server:
            known_machine(laptop, server)
            yield account.home / "carried"


def write_project(root: Path, *names: str) -> None:
    (root / "scripts").mkdir(parents=True, exist_ok=True)
    (root / "src").mkdir(exist_ok=True)
    shutil.copy(SCRIPT, root / "scripts")
    (root / "backend.py").write_text(BACKEND + NEEDS)
    (root / "pyproject.toml").write_text(PYPROJECT.format(lab=json.dumps(["torch", *names])))
    (root / "lab.toml").write_text(
        'format = 2\n[remote]\nalias = "machine"\nfolder = "carried"\n'
        f'[environment]\npython = "{THIS_PYTHON}"\n'
    )


Setup = Callable[..., tuple[int, str]]


@pytest.fixture
def lab(tmp_path: Path, packages: Path) -> Setup:
    """Run a command of `lab` in tmp_path/here, with the packages of that index."""
    bounds = tmp_path / "bounds.txt"
    bounds.write_text("delta<1\n")  # for what pip installs on this computer

    def run(*words: str, path: str = os.environ["PATH"]) -> tuple[int, str]:
        variables = {
            "PYTHONPATH": str(TOOL),
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(tmp_path / "cache"),  # the shared one knows the index
            "UV_FIND_LINKS": str(packages),
            "PIP_CONSTRAINT": str(bounds),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        }
        done = subprocess.run(
            [sys.executable, "-B", "-m", "ml_remote", *words],
            cwd=tmp_path / "here",
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.slow
def test_machine_without_internet_gets_its_packages_from_here(
    tmp_path: Path, packages: Path, machine_folder: Path, lab: Setup
) -> None:
    root = tmp_path / "here"
    write_project(root, "alpha", "sourceonly")
    shutil.copytree(root, machine_folder)

    # A package without a wheel is named before anything is fetched.
    code, said = lab("setup", "--carry", "--yes")
    assert (code, "sourceonly" in said, "Nothing was downloaded" in said) == (1, True, True), said
    assert not (root / ".lab/wheels").exists()

    # The size is shown, and nothing is fetched unless somebody agrees.
    write_project(root, "alpha")
    shutil.copytree(root, machine_folder, dirs_exist_ok=True)
    code, said = lab("setup", "--carry")
    size = re.search(r": 4, \d+\.\d kB; ", said)
    assert (code, size is not None, "--yes" in said) == (2, True, True), said
    assert not (root / ".lab/wheels").exists()

    # Without it the machine has no way to the packages; what works there, or does not, stays.
    code, said = lab("setup")
    assert code == 1, said
    assert not (machine_folder / ".venv").exists()

    # A transfer that was interrupted left a part of one wheel, and the rest of an older call.
    there = machine_folder / ".lab/wheels"
    there.mkdir(parents=True)
    part = (packages / "torch-2.9-py3-none-any.whl").read_bytes()[:100]
    (there / "torch-2.9-py3-none-any.whl").write_bytes(part)
    (there / "old-1.0-py3-none-any.whl").write_bytes(b"old")
    code, said = lab("setup", "--carry", "--yes")
    assert code == 0, said
    assert "The environment is complete" in said
    names = {path.name for path in there.iterdir()}
    assert names == {path.name for path in (root / ".lab/wheels").iterdir()}
    assert {name.partition("-")[0] for name in names} == {"torch", "alpha", "beta", "delta"}
    python = machine_folder / ".venv/bin/python"
    subprocess.run([python, "-c", "import torch, alpha, delta"], check=True)
    record = json.loads((machine_folder / ".venv/lab-environment.json").read_text())
    assert (record["manager"], record["complete"]) == ("uv", True)

    # The second call has nothing to do, and asks nothing.
    code, said = lab("setup", "--carry")
    assert (code, "up to date" in said) == (0, True), said

    # By pip, and by sftp: it can add nothing to a file that is damaged, which is sent again.
    (root / "lab.local.toml").write_text('[environment]\nmanager = "venv"\n')
    torch = there / "torch-2.9-py3-none-any.whl"
    whole = torch.read_bytes()
    torch.write_bytes(b"x" * len(whole))
    alpha = there / "alpha-1.0-py3-none-any.whl"
    alpha.write_bytes(alpha.read_bytes()[:50])
    code, said = lab("setup", "--carry", "--yes", path=path_without(packages, "rsync"))
    assert code == 0, said
    assert torch.read_bytes() == whole
    subprocess.run([python, "-c", "import torch, alpha, delta"], check=True)
    record = json.loads((machine_folder / ".venv/lab-environment.json").read_text())
    assert (record["manager"], record["complete"]) == ("venv", True)


# Stands in for a Python that is too old: it only says so.
OLD_PYTHON = """\
#!/bin/sh
case "$*" in *"(3, 11)"*) exit 1 ;; esac
exec {python} "$@"
"""


def python_to_fetch(folder: Path) -> Path:
    """Make an archive as uv fetches it, which leads to the Python here; return uv's list."""
    (programs := folder / "python" / "bin").mkdir(parents=True)
    (library := folder / "python" / "lib" / f"python{THIS_PYTHON}").mkdir(parents=True)
    (library / "_sysconfigdata__linux_.py").write_text(
        "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n"
    )
    real = Path(sys.base_prefix) / "bin" / f"python{THIS_PYTHON}"
    mark = 'case $0 in */.lab/python/*) : >"$0.used" ;; esac'
    (programs / real.name).write_text(f'#!/bin/sh\n{mark}\nexec {real} "$@"\n')
    (programs / real.name).chmod(0o755)
    with tarfile.open(folder / "python.tar.gz", "w:gz") as archive:
        archive.add(folder / "python", "python")
    major, minor = map(int, THIS_PYTHON.split("."))
    machine = platform.machine()
    one = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": 99,
        "prerelease": "",
        "url": (folder / "python.tar.gz").as_uri(),
        "sha256": sha256((folder / "python.tar.gz").read_bytes()).hexdigest(),
        "variant": None,
        "build": "20260101",
    }
    listed = folder / "pythons.json"
    listed.write_text(json.dumps({f"cpython-{THIS_PYTHON}.99-linux-{machine}-gnu": one}))
    return listed


@pytest.mark.slow
def test_machine_whose_python_is_too_old_gets_one(
    tmp_path: Path, packages: Path, laptop: Laptop
) -> None:
    root = tmp_path / "here"
    write_project(root, "alpha")
    pythons = [f"python3.{minor}" for minor in range(30)]
    programs = path_without(tmp_path, "conda", "mamba", "micromamba", "python", "python3", *pythons)
    old = Path(programs) / "python3"
    old.write_text(OLD_PYTHON.format(python=sys.executable))
    old.chmod(0o755)
    with machine_with(laptop, programs) as folder:
        shutil.copytree(root, folder)
        done = subprocess.run(
            [sys.executable, "-B", "-m", "ml_remote", "setup", "--carry", "--yes"],
            cwd=root,
            env={
                **os.environ,
                "PYTHONPATH": str(TOOL),
                "UV_OFFLINE": "1",
                "UV_CACHE_DIR": str(tmp_path / "cache"),
                "UV_FIND_LINKS": str(packages),
                "UV_PYTHON": sys.executable,
                "UV_PYTHON_DOWNLOADS": "never",
                "UV_PYTHON_DOWNLOADS_JSON_URL": str(python_to_fetch(tmp_path / "fetched")),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Python {THIS_PYTHON} will be sent too" in done.stdout
        (brought,) = (folder / ".lab" / "python").iterdir()
        assert brought.name.startswith(f"cpython-{THIS_PYTHON}.99-linux-")
        assert (brought / "bin" / f"python{THIS_PYTHON}.used").exists()
        subprocess.run([folder / ".venv/bin/python", "-c", "import torch, alpha"], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("program", "limit"), [("rsync", "--bwlimit=1000"), ("sftp", "-l8000")])
def test_sending_tells_how_much_has_come(
    tmp_path: Path,
    machine: Client,
    server: OpenSSHServer,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    limit: str,
) -> None:
    source = tmp_path / "wheels"
    source.mkdir()
    machine.run("mkdir", "project")
    name, content = "big-1.0-py3-none-any.whl", os.urandom(3_000_000)
    (source / name).write_bytes(content)
    wheel = Wheel(url=f"https://example.com/{name}", sha256=sha256(content).hexdigest(), size=0)
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / program).write_text(f'#!/bin/sh\nexec {shutil.which(program)} {limit} "$@"\n')
    (slow / program).chmod(0o755)
    others = path_without(tmp_path, program, *(["rsync"] if program == "sftp" else []))
    monkeypatch.setenv("PATH", f"{slow}{os.pathsep}{others}")
    there = Machine(client=machine, folder="project")
    # On a busy computer a look takes long, and there would be no second one in these three seconds.
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: 0.0))
    seen: list[tuple[int, int]] = []
    send_wheels(there, [wheel], source, lambda *told: seen.append(told))
    come = server.account.home / "project/.lab/wheels" / name
    assert come.read_bytes() == content
    assert {total for _, total in seen} == {len(content)}
    assert [one for one, _ in seen] == sorted(one for one, _ in seen)
    assert any(0 < one < len(content) for one, _ in seen), seen


@pytest.mark.slow
def test_list_of_a_repository_of_its_own_is_carried(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    for name in INTERACTIVE:
        build_wheel(packages, name.partition(">")[0], "99")
    (root / "requirements.txt").write_text("alpha\n")
    for name, value in {
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_FIND_LINKS": str(packages),
        "UV_PYTHON": sys.executable,
    }.items():
        monkeypatch.setenv(name, value)
    machine = Target(python="3.12.4", platforms=("manylinux_2_28_x86_64",))
    names = {
        one.name.partition("-")[0] for one in find_wheels(root, machine, torch="", uv_too=False)
    }
    assert {"alpha", "delta", "ipykernel", "papermill"} <= names
    (root / "pyproject.toml").write_text(PYPROJECT.format(lab='["beta"]'))
    (root / "backend.py").write_text(BACKEND)
    (root / "requirements.txt").write_text("-e .[lab]\n")
    names = {
        one.name.partition("-")[0] for one in find_wheels(root, machine, torch="", uv_too=False)
    }
    assert "beta" in names
    assert "trial" not in names
    for name in ("pyproject.toml", "requirements.txt"):
        (root / name).unlink()
    (root / "environment.yml").write_text("dependencies:\n  - alpha\n")
    with pytest.raises(UsageError, match="only has a list for conda"):
        find_wheels(root, machine, torch="", uv_too=False)
