"""The environment's far half: made, proved and exchanged, with stand-in packages."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from environment_events import Computer, Trial, build_wheel
from tool_helpers import wait_until

from ml_remote.scripts import ExitCode, script

CARD = """
__version__ = "2.9"
class accelerator:
    @staticmethod
    def current_accelerator(check_available):
        class Card:
            type = "cuda"
        return Card
class cuda:
    @staticmethod
    def is_available():
        return True
    @staticmethod
    def device_count():
        return 1
    @staticmethod
    def get_device_name(number):
        return "an old card"
class nn:
    @staticmethod
    def Conv2d(*_):
        raise RuntimeError("CUDA error: {problem}")
"""


@pytest.mark.slow
def test_what_is_installed_is_compared_with_the_lists_and_the_lock(trial: Trial) -> None:
    packages = next((trial.root / ".venv").glob("lib/*/site-packages"))
    shutil.rmtree(next(packages.glob("alpha-*.dist-info")))
    assert trial.set_up(argument="--check") == 1
    assert "not up to date: alpha is missing" in trial.said
    assert trial.set_up() == 0
    trial.check()
    first = (trial.root / ".venv").readlink()
    trial.wanted["alpha"] = ""
    (trial.root / "requirements.lock").write_text("alpha==1.1\ntorch==2.9 ; python_version > '3'\n")
    trial.write_lists()
    assert trial.set_up() == 0
    assert trial.versions()["alpha"] == "1.1"
    assert (trial.root / ".venv").readlink() != first
    assert not (trial.root / first).exists()


@pytest.mark.slow
def test_first_environment_is_there_until_the_complete_one_is(tmp_path: Path) -> None:
    computer = Computer.new(tmp_path / "computer")
    for name in ("ipykernel", "jupytext", "pytest"):
        build_wheel(computer.wheels, name, "7.0")
    trial = Trial(computer, tmp_path / "a project", random.Random(0))
    trial.begin("auto")
    said = "You can open an editor now: its cells wait for the environment."
    assert said in trial.said
    link, envs = trial.root / ".venv", trial.root / ".lab" / "envs"
    incomplete = trial.root / ".lab" / "environment.incomplete"
    assert [path.name for path in envs.iterdir()] == [link.readlink().name]
    assert not incomplete.exists()

    # Where the complete one cannot be made, nothing takes the first for one that works.
    link.unlink()
    shutil.rmtree(envs)
    trial.wanted["nowhere"] = ""
    trial.write_lists()
    assert trial.set_up() == 1
    assert link.readlink().name.startswith("first-")
    assert sorted(path.name for path in link.glob("lib/*/site-packages/lab_kernel*"))
    assert incomplete.exists()
    enter = subprocess.run(["sh", "-c", script("enter")], cwd=trial.root)
    assert enter.returncode == ExitCode.NO_ENVIRONMENT  # runs do not take it for one
    assert trial.set_up(argument="--check") == 1
    assert trial.set_up() == 1
    assert said in trial.said
    assert len(list(envs.iterdir())) == 1
    del trial.wanted["nowhere"]
    trial.write_lists()
    # The first one is never changed into the complete one: by its name no run would take it.
    assert trial.set_up(LAB_CHANGE_IN_PLACE="1") == 0
    trial.check()
    complete = link.readlink()
    assert [path.name for path in envs.iterdir()] == [complete.name]
    assert not complete.name.startswith("first-")
    assert not incomplete.exists()

    # Killed before its last step, a setup does not begin again: what it has made is complete.
    incomplete.write_text("first")
    assert trial.set_up() == 0
    assert link.readlink() == complete
    assert not incomplete.exists()

    # A complete one whose link is gone comes back where no other can be made.
    link.unlink()
    trial.wanted["nowhere"] = ""
    trial.write_lists()
    for _ in range(2):
        assert trial.set_up() == 1
        assert link.resolve() == (trial.root / complete).resolve()
        assert not incomplete.exists()


@pytest.mark.slow
def test_hook_for_kernels_comes_and_goes_with_the_setting(trial: Trial) -> None:
    own = trial.root / "lab.local.toml"

    def hook() -> set[str]:
        return {
            path.name for path in (trial.root / ".venv").glob("lib/*/site-packages/lab_kernel*")
        }

    assert hook() == {"lab_kernel.pth", "lab_kernel.py"}
    own.write_text("[sessions]\nkeep_kernels = false\n")
    assert trial.set_up(argument="--check") == 0  # the lists are the same: nothing is installed
    assert hook() == set()
    own.write_text("[sessions]\nkeep_kernels = true\n")
    assert trial.set_up() == 0
    assert hook() == {"lab_kernel.pth", "lab_kernel.py"}
    own.unlink()
    trial.wanted["beta"] = ""
    trial.write_lists()
    first = (trial.root / ".venv").readlink()
    assert trial.set_up() == 0
    trial.check()
    assert hook() == {"lab_kernel.pth", "lab_kernel.py"}, (first, (trial.root / ".venv").readlink())


@pytest.mark.slow
def test_environment_of_an_earlier_version_is_kept_until_a_new_one_is_proved(trial: Trial) -> None:
    link = trial.root / ".venv"
    target = link.resolve()
    link.unlink()
    target.rename(link)
    (link / "lab-environment.json").unlink()
    old = f"uv {sys.version_info[0]}.{sys.version_info[1]} 1 1 {trial.root}\nuv {trial.root}\nall\n"
    (link / ".lab-environment").write_text(old)
    assert trial.set_up() == 0
    assert "up to date: all" in trial.said
    assert not link.is_symlink()
    trial.wanted["beta"] = ""
    trial.write_lists()
    with subprocess.Popen([link / "bin/python", "-c", "input()"], stdin=subprocess.PIPE) as user:
        assert trial.set_up() == 1
        assert f"Programs run in .venv, which an earlier version made: {user.pid}." in trial.said
        user.communicate(b"\n")
    assert trial.set_up() == 0
    assert link.is_symlink()
    trial.check()
    # A kill between the two renames of the exchange.
    target = link.resolve()
    link.unlink()
    values = {"new": str(target), "old": str(trial.root / "gone")}
    (trial.root / ".lab/environment.exchange").write_text(json.dumps(values))
    assert trial.set_up() == 0
    assert link.resolve() == target
    assert not (trial.root / ".lab/environment.exchange").exists()


@pytest.mark.slow
def test_link_that_somebody_has_removed_costs_no_environment(trial: Trial) -> None:
    first = (trial.root / ".venv").resolve()
    (trial.root / ".venv").unlink()
    trial.wanted["nobody-has-this"] = ""
    trial.write_lists()
    assert trial.set_up() == 1
    assert (trial.root / ".venv").resolve() == first
    del trial.wanted["nobody-has-this"]
    trial.write_lists()
    (trial.root / ".venv").unlink()
    assert trial.set_up() == 0
    trial.check()
    assert (trial.root / ".venv").resolve() != first


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_setup_waits_for_another_and_then_finds_its_environment(
    trial: Trial, end: signal.Signals | None
) -> None:
    """Two people, or an editor's task and `lab up`, set up at once; the first ends or dies."""
    trial.wanted["beta"] = "==2.0"
    trial.write_lists()
    lock = trial.root / ".lab/environment.lock"
    with trial.start() as first:
        wait_until(lambda: (lock / "owner").exists())
        os.kill(first.pid, signal.SIGSTOP)
        with trial.start() as second:
            assert second.stdout is not None
            said = iter(second.stdout.readline, "")
            waiting = next(line for line in said if line.startswith("Waiting for the setup"))
            assert f"process {first.pid}, since " in waiting
            if end is not None:
                os.killpg(first.pid, end)
            os.killpg(first.pid, signal.SIGCONT)
            rest = second.communicate(timeout=120)[0]
        first.communicate(timeout=120)
    assert second.returncode == 0, rest
    assert "The environment is complete" in rest
    assert any(line.startswith("[2/4] Making .venv") for line in rest.splitlines()) == bool(end)
    trial.check()
    assert trial.versions()["beta"] == "2.0"
    assert not lock.exists()


@pytest.mark.slow
def test_environment_of_something_else_is_kept_under_another_name(trial: Trial) -> None:
    link = trial.root / ".venv"
    link.unlink()
    link.mkdir()
    (link / "precious").write_text("mine")
    assert trial.set_up() == 0
    (kept,) = trial.root.glob(".venv-*")
    assert (kept / "precious").read_text() == "mine"
    trial.check()


@pytest.mark.slow
def test_environment_in_use_is_removed_when_its_last_process_has_ended(trial: Trial) -> None:
    old = (trial.root / ".venv").resolve()
    with subprocess.Popen([old / "bin/python", "-c", "input()"], stdin=subprocess.PIPE) as user:
        trial.wanted["alpha"] = "==1.1"
        trial.write_lists()
        assert trial.set_up() == 0
        assert old.is_dir()
        user.communicate(b"\n")
    assert trial.set_up() == 0
    assert not old.exists()
    trial.check()
    job = trial.root / ".lab/jobs/1"
    job.mkdir(parents=True)
    (job / "pid").write_text("1 another-host 1\n")
    old = (trial.root / ".venv").resolve()
    trial.wanted["alpha"] = "==1.0"
    trial.write_lists()
    assert trial.set_up() == 0
    assert old.is_dir()
    (job / "exit").write_text("0   1\n")
    assert trial.set_up() == 0
    assert not old.exists()


@pytest.mark.slow
def test_program_started_through_the_link_imports_by_the_resolved_path(trial: Trial) -> None:
    program = "import alpha; print(alpha.__file__)"
    done = subprocess.run(
        [trial.root / ".venv/bin/python", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str((trial.root / ".venv").resolve()))
    command = [".venv/bin/python", ".lab/far/current", "headless", "labs/none.py"]
    with subprocess.Popen(
        [*command[:2], "install", str(trial.root / "far")], cwd=trial.root
    ) as started:
        assert started.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "is_lasting"),
    [("no kernel image is available for execution on the device", True), ("out of memory", False)],
)
def test_card_that_cannot_compute_is_told_and_the_old_environment_stays(
    trial: Trial, tmp_path: Path, problem: str, is_lasting: bool
) -> None:
    before = (trial.root / ".venv").readlink()
    build_wheel(tmp_path / "wheels", "torch", "3.0", CARD.format(problem=problem))
    trial.wanted["torch"] = "==3.0"
    trial.write_lists()
    code = trial.set_up(UV_FIND_LINKS=f"{trial.computer.wheels},{tmp_path / 'wheels'}")
    assert f"CUDA error: {problem}" in trial.said
    if is_lasting:
        assert code == 1
        assert 'torch = "cu126"' in trial.said
        assert (trial.root / ".venv").readlink() == before
        trial.check()
    else:
        assert code == 0
        assert "The card could not be tried" in trial.said
        assert "running on 1 x an old card" in trial.said
