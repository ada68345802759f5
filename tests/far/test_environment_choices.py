"""What the far half finds and decides, in folders that only look like environments."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from environment_events import SCRIPT

from ml_remote.far.login.environment import lock, making, obstacles, processes
from ml_remote.far.login.environment.choosing import choose_manager
from ml_remote.far.login.environment.environments import Environments
from ml_remote.far.login.environment.failures import Failure
from ml_remote.far.login.environment.inside import Inventory, prove_device
from ml_remote.far.login.environment.lists import Lists, find_lists
from ml_remote.far.login.environment.managers import MANAGERS, Work, pip, uv
from ml_remote.far.login.environment.managers.installing import requirement_options
from ml_remote.far.login.environment.probes import installed
from ml_remote.far.login.environment.record import Record
from ml_remote.far.login.environment.settings import Settings, read_settings
from ml_remote.far.login.environment.signs import Sign
from ml_remote.far.login.environment.state import State
from ml_remote.far.login.environment.users import users_of


def made(prefix: Path, root: Path, *, at: float = 0.0) -> Path:
    """Make what looks like a complete environment of the project."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").touch()
    record = {"manager": "uv", "project": str(root), "complete": True, "made": at}
    (prefix / "lab-environment.json").write_text(json.dumps(record))
    return prefix


def test_environment_whose_link_is_gone_is_kept_until_there_is_another(tmp_path: Path) -> None:
    environments = Environments(tmp_path)
    old = made(environments.folder / "uv-20260101-000000", tmp_path, at=1.0)
    newest = made(environments.folder / "uv-20250101-000000", tmp_path, at=2.0)
    made(environments.folder / "uv-20260102-000000", tmp_path / "elsewhere", at=3.0)
    assert environments.spare == newest
    environments.link.symlink_to("nowhere")
    assert environments.spare == newest
    environments.remove_unused(spare=newest)
    assert not old.exists()
    environments.lead_to_spare(newest)
    assert environments.current == newest
    assert environments.spare is None


def test_link_that_cannot_be_made_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = Environments(tmp_path)
    made(environments.link, tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(Failure, match="cannot be linked"):
        environments.exchange(made(environments.folder / "uv-20260101-000000", tmp_path))
    assert (environments.link / "bin" / "python").is_file()
    assert environments.is_earlier


def test_environment_in_another_folder_of_before_is_known(tmp_path: Path) -> None:
    environments = Environments(tmp_path / "project", str(tmp_path / "disk"))
    environments.root.mkdir()
    environments.link.symlink_to(
        made(environments.folder / "uv-20260101-000000", environments.root)
    )
    assert not Environments(environments.root).leads_elsewhere
    assert Environments(environments.root).current is not None
    # One that somebody has moved to another disk by hand is not replaced on this one.
    environments.link.unlink()
    environments.link.symlink_to(made(tmp_path / "moved", environments.root))
    assert Environments(environments.root).leads_elsewhere


@pytest.mark.parametrize(
    ("owner", "boot", "refused"),
    [
        ("{me} {host}", "{me} {started} {boot}", "already running (process {me}, since"),
        (
            "{me} another",
            "{me} {started} {boot}",
            "already running (process {me}, since",
        ),  # the machine has got another name
        ("{me} {host}", "{me} 1 {boot}", ""),  # the number was given again
        ("{me} {host}", "{me} {started} of-before pid:[1]", ""),  # restarted
        ("{me} {host}", "{me} {started} {id} pid:[1]", "on another container on"),
        ("{me} another", "{me} {started} another pid:[1]", "on another, since"),
        ("{me} {host}", "", "already"),  # the script alone writes no more
        ("", "", ""),
    ],
)
@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="processes are known by /proc")
def test_lock_is_taken_over_only_from_a_setup_that_has_ended(
    tmp_path: Path, owner: str, boot: str, refused: str
) -> None:
    words = {
        "me": str(os.getpid()),
        "host": platform.node(),
        "started": processes.started(os.getpid()),
        "boot": processes.this_boot(),
        "id": processes.this_boot().split()[0],
    }
    path = tmp_path / "environment.lock"
    path.mkdir()
    for name, text in (("owner", owner), ("boot", boot)):
        if text:
            (path / name).write_text(text.format(**words) + "\n")
    alone = ["sh", "-c", f"{lock_of_the_script()} take_lock; cat $lock/owner", "sh", str(path)]
    variables = {**os.environ, "LAB_WAIT_SECONDS": "0"}
    shutil.copytree(path, tmp_path / "other" / "environment.lock")
    alone[-1] = str(tmp_path / "other" / "environment.lock")
    done = subprocess.run(alone, cwd=tmp_path, env=variables, capture_output=True, text=True)
    if refused:
        expected = re.escape(refused.format(**words))
        with pytest.raises(Failure, match=expected), lock.locked(path, patience=0):
            pass
        assert re.search(expected, done.stderr), done.stderr
        assert done.returncode == 1
    else:
        with lock.locked(path, patience=0):
            assert (path / "owner").read_text().split()[0] == words["me"]
        assert not path.exists()
        assert (done.returncode, done.stdout.split()[1:]) == (0, [words["host"]]), done.stderr
        assert not (tmp_path / "other" / "environment.lock").exists()


def lock_of_the_script() -> str:
    """Return the functions of the project's script that take the lock, which `$1` names."""
    text = SCRIPT.read_text()
    lock = text[text.index("this_boot() {") : text.index("\nrecorded() {")]
    fail = text[text.index("say() {") : text.index("# setting TABLE")]
    return f"set -eu; lock=$1; {fail}\n{lock}\n"


def test_lock_of_another_host_is_taken_over_when_no_sign_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "_WITHOUT_SIGN", 0.05)
    monkeypatch.setattr(lock, "_BETWEEN_LOOKS", 0.01)
    path = tmp_path / "environment.lock"
    path.mkdir()
    (path / "owner").write_text("1 another\n")
    with pytest.raises(Failure, match="on another"), lock.locked(path, patience=0.1):
        pass  # an earlier version gives no signs
    (path / "sign").touch()
    with lock.locked(path, patience=60):
        assert "Waiting for the setup that is already running (process 1 on another" in (
            capsys.readouterr().out
        )
        # Whoever took it over meanwhile keeps it.
        (path / "owner").write_text("2 another\n")
    assert (path / "owner").read_text() == "2 another\n"


def test_job_of_a_machine_that_has_got_another_name_is_no_job_elsewhere(tmp_path: Path) -> None:
    job = tmp_path / ".lab" / "jobs" / "1"
    job.mkdir(parents=True)
    (job / "pid").write_text("1 another 7\n")
    assert users_of(tmp_path / "environment", tmp_path) == ["job 1"]
    (job / "boot").write_text(f"1 another 7 {processes.this_boot()}\n")
    assert users_of(tmp_path / "environment", tmp_path) == []
    # Another container of this name, with the same home directory.
    (job / "pid").write_text(f"1 {platform.node()} 7\n")
    (job / "boot").write_text(f"1 {platform.node()} 7 {processes.this_boot().split()[0]} pid:[1]\n")
    assert users_of(tmp_path / "environment", tmp_path) == []  # restarted since
    (job / "sign").touch()
    assert users_of(tmp_path / "environment", tmp_path) == ["job 1"]


def test_environment_that_a_kernel_on_another_host_uses_is_kept(tmp_path: Path) -> None:
    used = tmp_path / ".lab" / "envs" / "uv-20260101-000000"
    used.mkdir(parents=True)
    sign = Sign(used)
    for _ in range(2):
        sign.give()
    (path,) = (used / "lab-kernels").iterdir()
    here = json.loads(path.read_text())
    assert users_of(used, tmp_path) == [f"kernel {os.getpid()} on {here['host']}"]
    path.write_text(json.dumps(here | {"start": "1"}))  # it has ended
    assert users_of(used, tmp_path) == []
    path.write_text(json.dumps(here | {"host": "login2", "pid": 7, "boot": "another"}))
    os.mkfifo(used / "lab-kernels" / "pipe")
    Environments(tmp_path).remove_unused()
    assert used.exists()
    assert users_of(used, tmp_path) == ["kernel 7 on login2"]
    os.utime(path, (time.time() - 25 * 3600,) * 2)  # that host has been switched off
    Environments(tmp_path).remove_unused()
    assert not used.exists()
    sign.withdraw()


def test_conda_is_taken_only_where_there_is_a_list_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mamba", "uv"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("LAB_PROGRAM_FOLDERS", "")
    for name in ("CONDA_EXE", "MAMBA_EXE"):
        monkeypatch.delenv(name, raising=False)
    nothing = State(None, None, "there is none")

    def choice() -> str:
        return choose_manager(tmp_path, Settings(), find_lists(tmp_path), nothing).name

    assert choice() == "uv"
    (tmp_path / "environment.yml").touch()
    assert choice() == "mamba"


def test_uv_of_another_kind_of_machine_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be in a home directory, or a project, that machines of several kinds share."""
    program, brought = tmp_path / "bin" / "uv", tmp_path / ".lab" / "uv" / "bin" / "uv"
    for path in (program, brought):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x7fELF of another machine")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("LAB_PROGRAM_FOLDERS", "")
    assert MANAGERS["uv"].find(tmp_path) is None
    monkeypatch.setattr(uv, "install_uv", lambda _: brought)
    with pytest.raises(Failure, match="does not run"):
        uv.Uv.bring(tmp_path)
    program.write_text("#!/bin/sh\n")
    found = MANAGERS["uv"].find(tmp_path)
    assert found is not None
    assert found.program == str(program)


@pytest.mark.parametrize(
    ("before", "python", "task"),
    [("uv", "3.12", "change"), ("uv", "3.13", "make"), ("mamba", "3.12", "make")],
)
def test_another_manager_or_python_is_made_anew_where_there_is_no_room_beside(
    before: str, python: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = Environments(tmp_path)
    made(environments.link, tmp_path)
    if before == "mamba":
        (environments.link / "conda-meta").mkdir()
    record = {"manager": before, "python": "3.12"}
    (environments.link / "lab-environment.json").write_text(json.dumps(record))
    done: list[str] = []
    manager = MANAGERS["uv"]("uv")
    for name in ("make", "change"):
        monkeypatch.setattr(manager, name, lambda _, name=name: done.append(name))
    monkeypatch.setattr(making, "prove", lambda *_: Record("uv"))
    work = Work(tmp_path, environments.link, find_lists(tmp_path), Settings(python=python))
    making.make_in_place(environments, manager, work)
    assert done == [task]
    assert (environments.link / "bin").exists() == (task == "change")
    assert not environments.incomplete.exists()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[project]\nname = 'x'\n", 1),
        ("[build-system]\nrequires = []\n", 2),
        (" [ build-system ] # x\n", 2),
        ("[build-system]\n[tool.poetry]\npackage-mode = false\n", 1),
        ("[tool.ruff]\nline-length = 100\n", 1),
        ("", 1),
    ],
)
def test_project_that_is_no_package_is_not_installed(tmp_path: Path, text: str, count: int) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    folder = tmp_path / ".lab" / "lists" / "1"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("torch\n")
    lists = find_lists(tmp_path)._replace(requirements=folder / "requirements.txt")
    work = Work(tmp_path, tmp_path / "environment", lists, Settings())
    assert len(requirement_options(work)) == count


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "# mine\n [ project ] # x\n"])
def test_project_with_a_source_folder_is_installed(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "src").mkdir()
    lists = find_lists(tmp_path)._replace(requirements=tmp_path / "requirements.txt")
    work = Work(tmp_path, tmp_path / "environment", lists, Settings())
    assert len(requirement_options(work)) == 2


def test_environment_without_torch_has_no_device(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    found = prove_device(tmp_path)
    assert found is not None
    assert found.summary == f"Python {sys.version.split()[0]}"


@pytest.mark.parametrize(
    ("lock", "left"),
    [("torch==2.9\nold_one==1.0\n", []), ("torch==2.9\n", ["old-one"]), (None, [])],
)
def test_package_that_left_the_lock_is_not_left_in_the_environment_by_pip(
    lock: str | None, left: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "My_Lab"\n')
    if lock is not None:
        (tmp_path / "requirements.lock").write_text(lock)
    installed = dict.fromkeys(("torch", "old-one", "my-lab", "pip"), "1.0")
    record = {"manager": "venv", "installed": installed}
    (tmp_path / "lab-environment.json").write_text(json.dumps(record))
    work = Work(tmp_path, tmp_path, find_lists(tmp_path), Settings())
    found = Inventory({**installed, "by-hand": "1.0"}, [])
    assert pip._left_the_lists(work, found) == left


def test_version_for_another_system_does_not_count(tmp_path: Path) -> None:
    pytest.importorskip("packaging")
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "alpha==1.0 ; sys_platform == 'nowhere'\nbeta==1.0 ; python_version >= '3'\n"
        "gamma==2.0+cpu\n"
    )
    versions = {"alpha": "1.1", "beta": "1.1", "gamma": "2.0"}
    assert installed._differing(lock, versions) == ["beta is 1.1, not 1.0"]


def test_folder_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("envs"))
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    root = tmp_path / "my lab"
    (root / ".lab" / "envs").mkdir(parents=True)
    environments = Environments(root)
    with pytest.raises(Failure, match=r"envs belongs to .*, and you cannot write to it") as raised:
        obstacles.check_obstacles(environments, State(None, None, ""))
    assert f"Make it yours: sudo chown -R \"$(id -un)\" '{root}/.lab/envs'" in raised.value.hints


def test_link_to_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = tmp_path / "my lab"
    (root / ".lab").mkdir(parents=True)
    (root / ".lab" / "envs").symlink_to("/nowhere/envs")
    with pytest.raises(Failure, match="is a link to /nowhere/envs, which does not exist") as raised:
        obstacles.check_obstacles(Environments(root), State(None, None, ""))
    assert any(f"rm '{root}/.lab/envs'" in hint for hint in raised.value.hints)


def test_intel_mac_is_told_that_there_is_no_torch_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('dependencies = ["torch>=2.7"]')
    monkeypatch.setattr(sys, "platform", "darwin")
    for machine, manager, is_told in (
        ("x86_64", "uv", True),
        ("x86_64", "venv", True),
        ("x86_64", "conda", False),
        ("arm64", "uv", False),
    ):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        with pytest.raises(Failure) if is_told else contextlib.nullcontext() as raised:
            obstacles.check_torch_exists(MANAGERS[manager](manager), Lists(tmp_path, ""))
        if raised is not None:
            assert "Intel Macs" in raised.value.sentence
            assert any("lab up" in hint for hint in raised.value.hints)


def test_settings_are_read_without_a_library(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        "[environment] # here\nmanager = 'uv'  # mine\npython = \"3.13\"\n[other]\nfolder = 'x'\n"
    )
    assert read_settings(tmp_path) == Settings("uv", "3.13", named_python="3.13")
    (tmp_path / "lab.local.toml").write_text('[environment]\nfolder = "/big # disk"\n')
    assert read_settings(tmp_path) == Settings(
        "uv", "3.13", named_python="3.13", folder="/big # disk"
    )
