"""Which wheels `lab setup --carry` fetches for a machine, and which it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from ml_remote.carrying import fetching, target, wheels
from ml_remote.carrying.target import Target
from ml_remote.errors import LabError
from ml_remote.far.login.environment.install_uv import install_uv
from ml_remote.far.login.environment.record import Record, write_record
from ml_remote.far.login.environment.settings import Settings
from ml_remote.far.login.environment.target import describe
from ml_remote.machine import Machine
from ml_remote.processes import Result
from ml_remote.ssh.client import Client


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"keeper": "mamba"}, ["made by mamba", "does not use wheels", "conda-pack"]),
        (
            {"found": "3.9.2"},
            ["has Python 3.9.2", "3.11 or newer", "only to Linux with glibc", "install_only"],
        ),
        ({"found": "rm -rf"}, ["description of a Python"]),
        ({"keeper": "\x1b[2J"}, ["description of a Python"]),
    ],
)
def test_what_takes_no_wheels_is_told_before_anything_is_fetched(
    answer: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Result(returncode=0, stdout=f"{json.dumps(answer)}\n", stderr="")
    monkeypatch.setattr(target, "run_script", lambda *_, **__: done)
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
    program = install_uv(tmp_path / "project")
    assert subprocess.check_output([program], text=True) == "carried\n"


def test_what_a_killed_call_has_left_is_removed(tmp_path: Path) -> None:
    for name in ("wheels-old", "wheels-now"):
        (tmp_path / name / "pip-unpack").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    for name in ("wheels-old", "wheels"):
        os.utime(tmp_path / name, (0, 0))
    fetching._remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wheels", "wheels-now"]


def test_what_has_come_is_counted_while_pip_removes_folders(tmp_path: Path) -> None:
    def unpack() -> None:
        for _ in range(300):
            (tmp_path / "pip-unpack" / "nested").mkdir(parents=True)
            (tmp_path / "pip-unpack" / "torch.whl").write_bytes(b"1234567")
            shutil.rmtree(tmp_path / "pip-unpack")

    pip = threading.Thread(target=unpack)
    pip.start()
    found = set()
    while pip.is_alive():
        found.add(fetching._size(tmp_path))
    pip.join()
    assert found <= {0, 7}
    (tmp_path / "torch.whl").write_bytes(b"1234567")
    assert fetching._size(tmp_path) == 7


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
