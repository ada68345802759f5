"""`lab setup --carry`: a machine that reaches no package index gets its packages from here."""

from __future__ import annotations

import ensurepip
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import openssh_server
import pytest
from baking import THIS_PYTHON, TOOL
from environment_events import BACKEND, PYPROJECT, SCRIPT, TORCH, build_wheel
from openssh_server import Laptop, OpenSSHServer
from programs import path_without
from remote_fixtures import known_machine

from ml_remote.carrying import fetching, target, wheels
from ml_remote.carrying.sending import send_wheels
from ml_remote.carrying.target import Target
from ml_remote.carrying.wheels import Wheel, find_wheels
from ml_remote.errors import LabError, UsageError
from ml_remote.far.login.environment.bringing import bring_uv
from ml_remote.far.login.environment.record import Record, write_record
from ml_remote.far.login.environment.settings import Settings
from ml_remote.far.login.environment.target import describe
from ml_remote.lists.own_texts import INTERACTIVE
from ml_remote.machine import Machine
from ml_remote.processes import Result
from ml_remote.ssh.client import Client

UNREACHABLE = "http://127.0.0.1:9/simple"
NEEDS = '\ndef get_requires_for_build_editable(config_settings=None):\n    return ["beta"]\n'


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """What the laptop's package index has: stand-ins, pip, and one without a wheel."""
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
    """The project's folder on a machine with Python and uv, but without internet."""
    programs = path_without(tmp_path, "conda", "mamba", "micromamba")
    with openssh_server.account(own=True) as account:
        variables = {
            "HOME": str(account.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{programs}",
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


@pytest.mark.slow
def test_machine_without_internet_gets_its_packages_from_here(
    tmp_path: Path, packages: Path, machine_folder: Path
) -> None:
    root = tmp_path / "here"
    write_project(root, "alpha", "sourceonly")
    shutil.copytree(root, machine_folder)

    def lab(*words: str, path: str = os.environ["PATH"]) -> tuple[int, str]:
        variables = {
            "PYTHONPATH": str(TOOL),
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(tmp_path / "cache"),  # the shared one knows the index
            "UV_FIND_LINKS": str(packages),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        }
        done = subprocess.run(
            [sys.executable, "-B", "-m", "ml_remote", *words],
            cwd=root,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    # A package without a wheel is named before anything is fetched.
    code, said = lab("setup", "--carry", "--yes")
    assert (code, "sourceonly" in said, "Nothing was fetched" in said) == (1, True, True), said
    assert not (root / ".lab/wheels").exists()

    # The size is shown, and nothing is fetched unless somebody agrees.
    write_project(root, "alpha")
    shutil.copytree(root, machine_folder, dirs_exist_ok=True)
    code, said = lab("setup", "--carry")
    assert (code, "4 wheels, " in said, "--yes" in said) == (2, True, True), said
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

    # By pip, and by sftp: it can add nothing to a file that is damaged, which is sent anew.
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
    seen: list[tuple[int, int]] = []
    send_wheels(there, [wheel], source, lambda *told: seen.append(told))
    come = server.account.home / "project/.lab/wheels" / name
    assert come.read_bytes() == content
    assert {total for _, total in seen} == {len(content)}
    assert [one for one, _ in seen] == sorted(one for one, _ in seen)
    assert any(0 < one < len(content) for one, _ in seen), seen


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"keeper": "mamba"}, ["made by mamba", "takes none", "conda-pack"]),
        (
            {"found": "3.9.2"},
            ["has Python 3.9.2", "3.11 or newer", "and no Python", "install_only"],
        ),
        ({"found": "rm -rf"}, ["description of a Python"]),
        ({"keeper": "\x1b[2J"}, ["description of a Python"]),
    ],
)
def test_what_takes_no_wheels_is_told_before_anything_is_fetched(
    answer: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Result(returncode=0, stdout=f"{json.dumps(answer)}\n", stderr="")
    monkeypatch.setattr(target, "ask", lambda *_, **__: done)
    with pytest.raises(LabError) as error:
        target.ask_target(Machine(client=Client(alias="gpu"), folder="lab"), ".lab/far/a", "")
    told = f"{error.value.message} {error.value.hint}"
    assert [word for word in words if word not in told] == []


@pytest.mark.slow
def test_conda_that_keeps_its_environment_is_named(tmp_path: Path) -> None:
    prefix = tmp_path / ".lab/envs/conda-20260102-030405"
    prefix.mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(prefix.relative_to(tmp_path))
    write_record(prefix, Record("conda", complete=True))
    assert json.loads(describe(tmp_path, Settings())) == {"keeper": "conda"}
    uv = json.loads(describe(tmp_path, Settings(manager="uv")))
    assert set(uv) == {"python", "platforms", "uv"}


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
    with pytest.raises(UsageError, match="only list of this project is for conda"):
        find_wheels(root, machine, torch="", uv_too=False)


@pytest.mark.parametrize("name", ["..%2F..%2Fevil-1.0-py3-none-any.whl", "a%0Ab.whl", "%22.whl"])
def test_wheel_of_an_odd_name_is_not_taken(name: str) -> None:
    wheel = {"url": f"https://example.com/{name}", "hashes": {"sha256": "0" * 64}, "size": 1}
    with pytest.raises(LabError, match="has no wheel"):
        wheels._wheel({"name": "evil", "wheels": [wheel]})


def test_uv_is_taken_from_the_wheels_that_were_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/uv-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("uv-1.0.data/scripts/uv", "#!/bin/sh\necho carried\n")
    monkeypatch.setenv("LAB_WHEELS", str(tmp_path / "wheels"))
    program = bring_uv(tmp_path / "project")
    assert subprocess.check_output([program], text=True) == "carried\n"


def test_what_a_killed_call_has_left_is_removed(tmp_path: Path) -> None:
    for name in ("wheels-old", "wheels-now"):
        (tmp_path / name / "pip-unpack").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    for name in ("wheels-old", "wheels"):
        os.utime(tmp_path / name, (0, 0))
    fetching._remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wheels", "wheels-now"]


def test_platform_is_named_as_uv_names_it() -> None:
    for platforms, expected in (
        (["manylinux_2_39_x86_64", "manylinux_2_38_x86_64"], "x86_64-manylinux_2_39"),
        ([f"manylinux_2_{n}_aarch64" for n in range(30, 16, -1)], "aarch64-manylinux_2_28"),
        ([f"manylinux_2_{n}_x86_64" for n in range(45, 16, -1)], "x86_64-manylinux_2_40"),
        (["musllinux_1_2_x86_64", "linux_x86_64"], "x86_64-unknown-linux-musl"),
        (["macosx_14_0_arm64", "macosx_13_0_arm64"], "aarch64-apple-darwin"),
    ):
        assert Target(python="3.12.4", platforms=tuple(platforms)).for_uv == expected
    with pytest.raises(LabError, match="knows no platform"):
        _ = Target(python="3.12.4", platforms=("linux_riscv32",)).for_uv
