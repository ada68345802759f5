"""The store of kernels that outlive the editor's window: whose it is, what lives, what ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from needs import need_root

from ml_remote.far.login import kernel_leftovers, kernels
from ml_remote.far.login.environment.processes import descendants, started, this_boot
from ml_remote.far.login.kernels import Kernel, NoKernelFolderError

SLEEPER = "import time; print(1, flush=True); time.sleep(60)"
# Does not end when it is asked to, and neither does what it has started.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(1, flush=True)
time.sleep(60)
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder that stands for /tmp, and one for /var/tmp beside it."""
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        bases = [Path(folder).resolve() / name for name in ("tmp", "var")]
        for path in bases:
            path.mkdir(mode=0o700)
        monkeypatch.setattr(kernels, "_BASES", tuple(map(str, bases)))
        yield bases[0]


@pytest.fixture
def start() -> Iterator[Callable[[str], int]]:
    """Start a Python program that prints a line when it is ready; all are ended."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> int:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        begun.append(process)
        threading.Thread(target=process.wait, daemon=True).start()  # as init does
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield start
    for process in begun:
        process.kill()
        process.wait()


def make(lab: str, pid: int, *, root: str = "/home/ada/work") -> Kernel:
    """Make the folder of a kernel that runs as this process."""
    path = kernels.folder(make=True) / (kernels.id_of(root, lab) if lab else "spare-01234567")
    path.mkdir(mode=0o700)
    return kernels.write_about(path, root=root, lab=lab, pid=pid, python=sys.executable)


def test_folder_is_private_and_made_once(base: Path) -> None:
    with pytest.raises(NoKernelFolderError):
        kernels.folder()
    os.umask(before := os.umask(0))
    made = kernels.folder(make=True)
    assert made == base / f"lab-kernels-{os.getuid()}"
    assert made.stat().st_mode & 0o777 == 0o700 & ~before
    assert kernels.folder() == kernels.folder(make=True) == made


def made(path: Path) -> Path:
    path.mkdir()
    return path


def test_folder_that_others_could_reach_into_is_refused(base: Path) -> None:
    name = f"lab-kernels-{os.getuid()}"
    odd: dict[str, Callable[[], object]] = {
        "a link": lambda: (base / name).symlink_to("/"),
        "open": lambda: made(base / name).chmod(0o750),
        "a file": lambda: (base / name).write_text(""),
        "base without sticky bit": lambda: base.chmod(0o777),
    }
    for what, prepare in odd.items():
        prepare()
        assert kernels.folder(make=True) == base.with_name("var") / name, what
        base.chmod(0o700)
        (base / name).unlink() if what in ("a link", "a file") else None
        if (base / name).is_dir():
            (base / name).rmdir()


def test_folder_of_another_user_is_refused(base: Path) -> None:
    need_root("give folders away")
    for place in (base, base.with_name("var")):
        (place / f"lab-kernels-{os.getuid()}").mkdir(mode=0o700)
        os.chown(place / f"lab-kernels-{os.getuid()}", 12345, 12345)
    with pytest.raises(NoKernelFolderError, match="belongs to another user"):
        kernels.folder(make=True)
    assert kernels.list_kernels() == []


def test_kernels_are_found_by_project_and_lab(base: Path) -> None:
    assert kernels.list_kernels() == []
    first, second = make("labs/b", os.getpid()), make("labs/a", os.getpid())
    other = make("labs/b", os.getpid(), root="/home/ada/other")
    make("", os.getpid())  # a spare one
    assert kernels.list_kernels() == [other, second, first]
    assert kernels.list_kernels("/home/ada/work") == [second, first]
    assert kernels.find("/home/ada/work", "labs/b") == first
    assert kernels.find("/home/ada/work", "labs/c") is None
    again = kernels.write_about(
        first.folder, root=first.root, lab="labs/b", pid=first.pid, python=first.python
    )
    assert again == first  # it keeps when it began


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("start", "1"),
        ("start", ""),
        ("boot", "another"),
        ("format", kernels.FORMAT + 1),
        ("pid", None),
        ("lab", 7),
        ("root", ["/"]),
        ("started", "soon"),
    ],
)
def test_what_is_not_the_process_of_about_json_does_not_count(
    base: Path, key: str, value: object
) -> None:
    made = make("labs/a", os.getpid())
    about = made.folder / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {key: value}))
    assert kernels.find(made.root, "labs/a") is None
    assert kernels.list_kernels() == []


def test_end_ends_what_the_kernel_has_started_too(base: Path, start: Callable[[str], int]) -> None:
    for program, patience in ((SLEEPER, 5.0), (STUBBORN, 0.05)):
        kernel = make("labs/a", start(program))
        below = descendants(kernel.pid)
        assert len(below) == (program == STUBBORN)
        kernels.end(kernel, patience=patience)
        assert not kernels.is_alive(kernel)
        assert not any(started(pid) == begun for pid, begun in below)
        assert list(kernels.folder().iterdir()) == []


def test_end_leaves_another_process_with_that_number_alone(
    base: Path, start: Callable[[str], int]
) -> None:
    pid = start(SLEEPER)
    about = (made := make("labs/a", pid)).folder / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"start": "1"}))
    kernels.end(made._replace(start="1"))
    assert started(pid)
    assert not made.folder.exists()


def test_end_leaves_the_folder_to_a_fresh_kernel_of_the_same_lab(
    base: Path, start: Callable[[str], int]
) -> None:
    fresh = make("labs/a", start(SLEEPER))
    inode = fresh.folder.stat().st_ino
    kernels.end(fresh._replace(start="1"))
    assert kernels.find(fresh.root, "labs/a") == fresh
    assert fresh.folder.stat().st_ino == inode


def test_leftovers_are_removed_and_what_may_live_is_kept(base: Path) -> None:
    def remade(kernel: Kernel, **values: object) -> Path:
        about = kernel.folder / "about.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | values))
        return kernel.folder

    boot, _, container = this_boot().partition(" ")
    elsewhere = f"{boot} pid:[1]"
    living = remade(make("labs/container", os.getpid()), boot=elsewhere)
    damaged = [make(f"labs/damaged{number}", os.getpid()).folder for number in range(2)]
    for path in damaged:
        (path / "about.json").write_text("")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(living / "s-1"))
    listener.listen()
    kept = {
        make("labs/alive", os.getpid()).folder,
        living,
        remade(make("spare", os.getpid()), boot=elsewhere),  # it begins just now
        damaged[0],
        remade(make("labs/newer", os.getpid()), format=kernels.FORMAT + 1),
    }
    (beginning := kernels.folder() / "spare-0123abcd").mkdir()
    (foreign := kernels.folder() / "notes").mkdir()
    ended = remade(make("labs/ended", os.getpid()), boot=elsewhere)
    socket.socket(socket.AF_UNIX).bind(str(ended / "s-1"))  # nobody listens any more
    for path in (living, ended, damaged[1]):
        os.utime(path, (1, 1))
    gone = {
        ended,
        damaged[1],
        remade(make("labs/dead", os.getpid()), start="1"),
        remade(make("labs/rebooted", os.getpid()), boot=f"0000 {container}"),
    }
    (kernels.folder() / "0123456789abcdef.lock").touch()  # of a window that was killed
    (abandoned := kernels.folder() / "spare-0123ffff").mkdir()
    os.utime(abandoned, (1, 1))
    with kernels.lock("held"):
        kernel_leftovers.remove_leftovers()
        held = kernels.folder() / "held.lock"
        assert set(kernels.folder().iterdir()) == kept | {beginning, foreign, held}
    assert not any(path.exists() for path in gone)
    listener.close()


def test_what_a_killed_process_was_removing_is_removed_later(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := kernels.folder(make=True) / "gone-0123456789abcdef-7").mkdir()
    kernel_leftovers.remove_leftovers()
    assert gone.exists()  # perhaps it is being removed now
    monkeypatch.setattr(kernel_leftovers, "_YOUNG", -1.0)
    kernel_leftovers.remove_leftovers()
    assert not gone.exists()


def test_process_of_another_user_below_a_kernel_does_not_keep_it(
    base: Path, start: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = make("labs/a", start(STUBBORN))
    ((child, _),) = descendants(kernel.pid)
    send = os.kill

    def refuse(pid: int, number: int) -> None:
        if pid == child:
            raise PermissionError
        send(pid, number)

    monkeypatch.setattr(os, "kill", refuse)
    try:
        kernels.end(kernel, patience=0.05)
        assert not kernels.is_alive(kernel)
        assert not kernel.folder.exists()
    finally:
        send(child, 9)


def test_windows_busy_and_use_are_read(base: Path, start: Callable[[str], int]) -> None:
    kernel = make("labs/a", os.getpid())
    assert not kernels.is_shown(kernel)
    assert not kernels.is_busy(kernel)
    assert kernels.used_at(kernel) == kernel.started
    (windows := kernel.folder / "windows").mkdir()
    (windows / f"{os.getpid()}-1").touch()  # a proxy that was killed
    (windows / "odd").touch()
    assert not kernels.is_shown(kernel)
    (windows / f"{os.getpid()}-{started(os.getpid())}").touch()
    (kernel.folder / "busy").touch()
    (kernel.folder / "used").touch()
    os.utime(kernel.folder / "used", (kernel.started + 9, kernel.started + 9))
    assert kernels.is_shown(kernel)
    assert kernels.is_busy(kernel)
    assert kernels.used_at(kernel) == pytest.approx(kernel.started + 9)


def test_lock_is_one_at_a_time_and_leaves_no_file(base: Path) -> None:
    holding: list[int] = []
    most = 0

    def hold(number: int) -> None:
        nonlocal most
        with kernels.lock("0123456789abcdef"):
            holding.append(number)
            most = max(most, len(holding))
            time.sleep(0.002)
            holding.remove(number)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert list(kernels.folder().iterdir()) == []
    with kernels.lock("a"), pytest.raises(TimeoutError), kernels.lock("a", patience=0.0):
        pass
