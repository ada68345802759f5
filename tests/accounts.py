"""An account on the machine to log in to: as root a new one, otherwise our own in another home."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from needs import IS_ROOT, need_program, need_root

__all__ = [
    "Account",
    "account",
    "end_processes_of",
    "folder_of_its_own",
    "run",
    "run_as_another_user",
]


# useradd and userdel refuse to run twice at a time, and the tests run in several processes.
_ACCOUNTS_LOCK = FileLock(Path(tempfile.gettempdir()) / f"openssh-server-tests-{os.getuid()}.lock")


@dataclass(frozen=True)
class Account:
    """Somebody on the remote machine."""

    user: str
    home: Path
    password: str | None

    @property
    def authorized_keys(self) -> Path:
        """The file that says which keys are let in."""
        return self.home / ".ssh" / "authorized_keys"

    def authorize(self, *public_keys: str) -> None:
        """Authorize these keys and no others."""
        self.write(".ssh/authorized_keys", "".join(f"{key.strip()}\n" for key in public_keys))

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file into the home directory, belonging to the account."""
        path = self.home / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        identity = pwd.getpwnam(self.user)
        for part in (path, *path.relative_to(self.home).parents[:-1]):
            os.chown(self.home / part, identity.pw_uid, identity.pw_gid)
        return path


@contextmanager
def account(*, shell: str = "/bin/sh", own: bool = False) -> Iterator[Account]:
    """Yield an account on the remote machine, with `shell` as its login shell (as root).

    With `own` it is the user that runs the tests, who may read what other tests have made.
    """
    folder = Path(tempfile.mkdtemp(prefix="lab-home-"))
    folder.chmod(0o755)  # its owner must be able to get through
    home = folder / "home"
    password = uuid.uuid4().hex
    try:
        if own or not IS_ROOT:
            home.mkdir(mode=0o700)
            yield Account(user=pwd.getpwuid(os.getuid()).pw_name, home=home, password=None)
            return
        user = f"lab{uuid.uuid4().hex[:12]}"
        hashed = run(need_program("openssl"), "passwd", "-6", password).strip()
        options = ["--create-home", "--home-dir", str(home), "--skel", "/dev/null"]
        with _ACCOUNTS_LOCK:
            run("useradd", *options, "--shell", shell, "--password", hashed, user)
        try:
            home.chmod(0o700)
            yield Account(user=user, home=home, password=password)
        finally:
            with _ACCOUNTS_LOCK:
                subprocess.run(["userdel", "--force", user], check=True, capture_output=True)
    finally:
        end_processes_of(home)
        shutil.rmtree(folder)


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """Yield a folder from which sshd reads files: nobody else may write to it or those above."""
    with tempfile.TemporaryDirectory(prefix="lab-sshd-") as made:
        yield Path(made)


def end_processes_of(home: Path) -> None:
    """Kill what was started in sessions of this home directory and outlives them on purpose."""
    mark = f"HOME={home}\0".encode()
    while found := [process for process in _processes() if mark in _variables(process)]:
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def run_as_another_user(code: str, *arguments: str) -> list[str]:
    """Run Python code as a user who owns nothing here; return the words that it prints."""
    need_root("be another user")
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    with account() as stranger:
        done = subprocess.run(
            [python, "-c", code, *arguments],
            user=stranger.user,
            group=pwd.getpwnam(stranger.user).pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.split()


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _variables(process: int) -> bytes:
    """Return the environment of a process; empty when it has ended or is somebody else's."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return b""


def run(*command: str, **variables: str) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
