"""The private directory for sockets: where it may be, what it is, and that it goes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import TOOL
from needs import IS_ROOT, need_root

from ml_remote.far.env import private
from ml_remote.far.env.private import LONGEST_NAME, NoPrivateDirectoryError, PrivateDirectory

HOLD = """
import sys
from ml_remote.far.env import private
private.folders = lambda: [sys.argv[1]]
print(private.PrivateDirectory().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder for private directories; its path is short, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        monkeypatch.setattr(private, "folders", lambda: [folder])
        yield Path(folder).resolve()


def test_directory_is_new_private_and_removed_at_the_end(base: Path) -> None:
    os.umask(before := os.umask(0))
    made = [PrivateDirectory() for _ in range(20)]
    assert len({directory.path for directory in made}) == 20
    assert os.umask(before) == before
    for directory in made:
        status = directory.path.lstat()
        assert stat.S_ISDIR(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid == os.getuid()
        with socket.socket(socket.AF_UNIX) as longest:
            longest.bind(str(directory.path / ("s" * LONGEST_NAME)))
    assert len(list(base.iterdir())) == 20  # those in use were left alone
    for directory in made:
        directory.remove()
    assert list(base.iterdir()) == []


def missing(base: Path) -> str:
    return str(base / "missing")


def relative(base: Path) -> str:
    os.chdir(base)
    return "."


def a_file(base: Path) -> str:
    (base / "file").touch()
    return str(base / "file")


def too_long(base: Path) -> str:
    (base / ("a" * 60)).mkdir()
    return str(base / ("a" * 60))


def writable_for_others(base: Path) -> str:
    (base / "open").mkdir()
    (base / "open").chmod(0o777)
    return str(base / "open")


def of_another_user(base: Path) -> str:
    need_root("give a folder to another user")
    (base / "theirs").mkdir()
    os.chown(base / "theirs", 12345, 12345)
    return str(base / "theirs")


def link_to_one_of_another_user(base: Path) -> str:
    (base / "link").symlink_to(of_another_user(base))
    return str(base / "link")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "No such file"),
        (relative, "its path is relative"),
        (a_file, "not a directory"),
        (too_long, "too long for sockets"),
        (writable_for_others, "others can rename"),
        (of_another_user, "belongs to another user"),
        (link_to_one_of_another_user, "belongs to another user"),
    ],
)
def test_folder_that_cannot_be_trusted_is_passed_over(
    base: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], str], reason: str
) -> None:
    monkeypatch.chdir(Path.cwd())  # back at the end
    refused = make(base)
    (base / "good").mkdir(mode=0o700)
    monkeypatch.setattr(private, "folders", lambda: [refused])
    with pytest.raises(NoPrivateDirectoryError, match=reason):
        PrivateDirectory()
    monkeypatch.setattr(private, "folders", lambda: [refused, str(base / "good")])
    directory = PrivateDirectory()
    assert directory.path.parent == base / "good"
    directory.remove()


def test_file_system_without_sockets_is_passed_over(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("without", "with"):
        (base / name).mkdir()
    monkeypatch.setattr(private, "folders", lambda: [f"{base}/without", f"{base}/with"])
    real = socket.socket.bind

    def bind(self: socket.socket, address: str) -> None:
        if "/without/" in address:
            raise PermissionError(1, "Operation not permitted")
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    directory = PrivateDirectory()
    assert directory.path.parent == base / "with"
    directory.remove()
    assert list((base / "without").iterdir()) == []


def test_what_a_killed_program_left_is_removed_and_nothing_else(base: Path) -> None:
    (base / "lab-of-the-person").mkdir()
    (base / "lab-file").touch()
    (base / "elsewhere").mkdir()
    (base / "elsewhere" / ".private").touch()
    (base / "lab-link").symlink_to("elsewhere")
    before = set(base.iterdir())
    if IS_ROOT:  # another user's, made to look like one of ours
        (base / "lab-theirs").mkdir()
        (base / "lab-theirs" / ".private").touch()
        os.chown(base / "lab-theirs", 12345, 12345)
        before.add(base / "lab-theirs")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, base],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        held = Path(program.stdout.readline().strip())
        PrivateDirectory().remove()
        assert held.is_dir()  # it is in use
        program.kill()
    assert held.is_dir()
    PrivateDirectory().remove()
    assert set(base.iterdir()) == before
    assert list((base / "elsewhere").iterdir()) == [base / "elsewhere" / ".private"]


def test_folder_that_goes_at_logout_is_the_last_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert private.folders() == ["/tmp", "/var/tmp", "/run/user/1"]
