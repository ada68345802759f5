"""An environment that is changed in place, and the disks that it is on."""

from __future__ import annotations

import os
import random
import subprocess
import zipfile
from pathlib import Path

import pytest
from environment_events import Computer, Trial
from needs import need_root

from ml_remote.far.login.caches import CACHES, read_caches


@pytest.mark.slow
def test_pip_adds_in_place_only_what_changes_nothing(computer: Computer, tmp_path: Path) -> None:
    trial = Trial(computer, tmp_path / "project", random.Random(0), is_slow=True)
    trial.begin("venv")
    first = (trial.root / ".venv").readlink()
    trial.wanted["gamma"] = "==1.0"
    trial.write_lists()
    assert trial.set_up() == 0
    assert "Adding packages to .venv" in trial.said
    assert (trial.root / ".venv").readlink() == first
    assert trial.versions()["delta"] == "1.0"
    trial.wanted["alpha"] = "==1.1"
    trial.write_lists()
    assert trial.set_up(LAB_MINIMUM_FREE_GB="1000000") == 1
    assert "A new environment beside the working one needs 1000000 GB" in trial.said
    assert "LAB_CHANGE_IN_PLACE=1 before `lab setup`" in trial.said
    trial.check()
    assert trial.set_up(LAB_CHANGE_IN_PLACE="1", LAB_MINIMUM_FREE_GB="1000000") == 0
    assert (trial.root / ".venv").readlink() == first
    assert trial.versions()["alpha"] == "1.1"
    assert not (trial.root / ".lab/environment.incomplete").exists()
    trial.more = {"LAB_CHANGE_IN_PLACE": "1", "LAB_MINIMUM_FREE_GB": "0"}
    check_that_what_left_the_lists_goes(trial)
    assert (trial.root / ".venv").readlink() == first


def check_that_what_left_the_lists_goes(trial: Trial) -> None:
    """Remove gamma, and with it delta, from the lists; keep what was installed by hand."""
    for hand in ([], ["beta"]):
        trial.wanted["gamma"] = "==1.0"
        trial.write_lists()
        assert trial.set_up() == 0, trial.said
        assert {"gamma", "delta"} <= trial.versions().keys()
        for name in hand:
            prefix = Path(os.path.realpath(trial.root / ".venv"))
            site = next(prefix.glob("lib/python3*/site-packages"))
            with zipfile.ZipFile(trial.computer.wheels / f"{name}-1.0-py3-none-any.whl") as wheel:
                wheel.extractall(site)
            about = site / f"{name}-1.0.dist-info" / "METADATA"
            about.write_text(about.read_text() + "Requires-Dist: delta\n")
        del trial.wanted["gamma"]
        trial.write_lists()
        assert trial.set_up() == 0, trial.said
        assert ("no longer ask for: delta, gamma" in trial.said) == (not hand), trial.said
        assert "gamma" not in trial.versions()
        assert {"beta", "delta"} & trial.versions().keys() == ({"beta", "delta"} if hand else set())


@pytest.mark.slow
@pytest.mark.parametrize("disk", ["another disk", "the same disk"])
def test_mounted_environment_is_changed_in_place(
    computer: Computer, tmp_path: Path, disk: str
) -> None:
    need_root("mount a disk")
    trial = Trial(computer, tmp_path / "my project", random.Random(0))
    (trial.root / ".venv").mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(trial.root / ".venv")]
    if disk == "the same disk":  # as a container's volume is
        (tmp_path / "volume").mkdir()
        mount = ["mount", "--bind", str(tmp_path / "volume"), str(trial.root / ".venv")]
    subprocess.run(mount, check=True)
    try:
        trial.begin("auto")
        assert "Changing .venv in place" in trial.said
        trial.wanted["alpha"] = "==1.1"
        trial.write_lists()
        assert trial.set_up() == 0
        assert not (trial.root / ".venv").is_symlink()
        assert trial.versions()["alpha"] == "1.1"
        check_that_what_left_the_lists_goes(trial)
        subprocess.run(["mount", "-o", "remount,bind,noexec", trial.root / ".venv"], check=True)
        trial.wanted["alpha"] = "==1.0"
        trial.write_lists()
        assert trial.set_up() == 1
        assert "is mounted with noexec" in trial.said
    finally:
        subprocess.run(["umount", trial.root / ".venv"], check=True)


@pytest.mark.slow
def test_disk_that_takes_no_environment_is_told_as_what_it_is(trial: Trial, tmp_path: Path) -> None:
    need_root("mount a disk")
    disk = tmp_path / "a disk"
    disk.mkdir()
    trial.wanted["alpha"] = "==1.1"
    trial.write_lists()
    for manager, options, words in (
        ("uv", "size=40k", "The disk where uv writes is full"),
        ("venv", "size=200k", "The disk where pip writes is full"),
        ("uv", "size=9m,ro", "is mounted read-only"),
        ("uv", "size=9m,noexec", "is mounted with noexec"),
    ):
        own = f"[environment]\nfolder = '{disk}'\nmanager = '{manager}'\n"
        (trial.root / "lab.local.toml").write_text(own)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
        try:
            assert trial.set_up() == 1, trial.said
        finally:
            subprocess.run(["umount", disk], check=True)
        assert words in trial.said
        assert "is not available" not in trial.said
        trial.check()
    (trial.root / "lab.local.toml").unlink()
    environments = trial.root / ".lab/envs"
    environments.rename(disk / "envs")
    environments.symlink_to(disk / "envs")
    assert trial.set_up() == 0, trial.said
    trial.check()
    (disk / "envs").rename(disk / "not mounted")
    assert trial.set_up() == 1
    assert f"is a link to {disk / 'envs'}, which does not exist" in trial.said
    environments.unlink()
    environments.touch()
    assert trial.set_up() == 1
    assert "is a file, but it must be a folder" in trial.said


@pytest.mark.slow
def test_links_and_limits_are_recognised_before_anything_is_touched(trial: Trial) -> None:
    trial.wanted["alpha"] = "==1.1"
    trial.write_lists()
    assert trial.set_up(limit="ulimit -t 5;") == 1
    assert "ends programs after 5 s of CPU time" in trial.said
    trial.check()
    link, elsewhere = trial.root / ".venv", trial.root.parent / "big disk" / "environment"
    elsewhere.parent.mkdir()
    link.resolve().rename(elsewhere)
    link.unlink()
    link.symlink_to(elsewhere)
    assert trial.set_up() == 1
    assert f".venv is a link to {elsewhere}, which lab did not make" in trial.said
    link.unlink()
    with (trial.root / "lab.local.toml").open("w") as file:
        file.write(f"[environment]\nfolder = '{elsewhere.parent}'  # large\n")
        file.write("cache = '$HOME/large cache'\n")
    assert trial.set_up() == 0
    noted = read_caches(trial.root)
    assert set(noted) == set(CACHES)
    assert noted["HF_HOME"].endswith("/large cache/huggingface")
    assert link.resolve().parent.parent == elsewhere.parent
    trial.check()
