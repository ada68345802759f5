"""The lock of a session, on file systems that have locks and on those that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

import pytest

from ml_remote.far.env.serve import take_lock


@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, None])
def test_one_session_is_served_whatever_the_file_system_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int | None
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "lab.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    real = fcntl.flock

    def flock(file: IO[str], operation: int) -> None:
        path = Path(f"/proc/self/fd/{file.fileno()}").readlink()
        if fault is not None and path.is_relative_to(project):
            raise OSError(fault, os.strerror(fault))
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = take_lock("jupyter")
    assert held is not None
    assert take_lock("jupyter") is None
    other = take_lock("tensorboard")
    assert other is not None
    held.close()
    other.close()
