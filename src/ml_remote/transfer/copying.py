"""Copying files from the machine, by rsync or sftp: an interrupted copy goes on where it was."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from .. import processes
from ..ssh.client import Client
from ..ui.display import Progress
from .outputs import Listing, RemoteFile

__all__ = ["Copying", "choose_program"]

_LOOK_EVERY = 0.2  # seconds between two looks at what has come
_RSYNC_VANISHED = 24  # a file went away there: not ours to mend


def choose_program(
    client: Client, listing: Listing, files: Sequence[RemoteFile], incoming: Path
) -> Copying:
    """Return the copying of `files` to below `incoming`: by rsync if both ends have it."""
    program = _Rsync if _is_rsync(listing.rsync) and _has_rsync() else _Sftp
    return program(client, listing, files, incoming)


class Copying(ABC):
    """One program that copies files from the machine into a folder of its own."""

    program: str

    def __init__(
        self, client: Client, listing: Listing, files: Sequence[RemoteFile], incoming: Path
    ) -> None:
        # The two programs go on from what has come in different ways, so each has its own folder.
        self.folder = incoming / self.program
        self.errors = ""
        self._returncode: int | None = None
        self._client = client
        self._listing = listing
        self._files = files

    @abstractmethod
    def staged(self, file: RemoteFile) -> Path:
        """Return where a file is until it is complete."""

    @abstractmethod
    def is_complete(self, file: RemoteFile) -> bool:
        """Return whether all of a file has come; it then has its time there, too."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _orders(self) -> str:
        """Return what to write to the program's standard input."""

    def run(self, progress: Progress | None = None) -> None:
        """Copy what is missing; afterwards `errors` is what the program said.

        Raises ConfigurationError when it is not installed.
        """
        self.folder.mkdir(exist_ok=True)
        with processes.running(
            self._command(), input=self._orders(), folder=self.folder, discard_output=True
        ) as program:
            total = sum(file.size for file in self._files)
            ended = False
            while not ended:
                ended = program.ends_within(_LOOK_EVERY)
                if progress is not None:
                    progress(sum(_size(self.staged(file)) for file in self._files), total)
            self.errors, self._returncode = program.errors(), program.wait()

    def _connection(self) -> list[str]:
        """Return ssh and its options as the client uses them; the program adds the machine."""
        *ssh, _, _ = self._client.with_options("BatchMode=yes").command()
        return ssh


class _Rsync(Copying):
    """rsync sends only what is missing of a file that has come in part."""

    program = "rsync"

    def staged(self, file: RemoteFile) -> Path:
        return self.folder / file.name

    def is_complete(self, file: RemoteFile) -> bool:
        path = self.staged(file)
        if not path.is_file():
            return False
        # A file that is changed while rsync copies it has another size and time than in the
        # listing. Only at its end rsync sets the time, so the time says that it came to that.
        now = (path.stat().st_size, int(path.stat().st_mtime))
        succeeded = self._returncode in (0, _RSYNC_VANISHED)
        return succeeded or now == (file.size, file.time)

    def _command(self) -> list[str]:
        # Between quotes, rsync takes a doubled quote for the quote itself.
        words = ['"' + word.replace('"', '""') + '"' for word in self._connection()]
        # In place, so that what has come stays even when rsync itself is killed.
        options = ["-s", "--times", "--inplace", "--from0", "--files-from=-"]
        source = f"{self._client.alias}:{self._listing.folder}/"
        return ["rsync", *options, "-e", " ".join(words), source, "./"]

    def _orders(self) -> str:
        return "".join(f"{file.name}\0" for file in self._files)


class _Sftp(Copying):
    """sftp goes on at the end of what has come, so that must be of this very file."""

    program = "sftp"

    def staged(self, file: RemoteFile) -> Path:
        identity = f"{file.size} {file.time} {file.name}"
        return self.folder / hashlib.sha256(identity.encode()).hexdigest()[:40]

    def is_complete(self, file: RemoteFile) -> bool:
        path = self.staged(file)
        if not path.is_file() or path.stat().st_size < file.size:
            return False
        os.utime(path, (file.time, file.time))
        return True

    def _command(self) -> list[str]:
        _, *options = self._connection()
        return ["sftp", "-q", *options, "-b", "-", self._client.alias]

    def _orders(self) -> str:
        lines = [f"cd {_sftp_quoted(self._listing.folder)}"]
        # With the dash, a file that went away meanwhile does not keep the others from coming.
        for file in self._files:
            name = _sftp_quoted(f"./{file.name}")
            lines.append(f"-get -a {name} {self.staged(file).name}")
        return "".join(f"{line}\n" for line in lines)


def _sftp_quoted(path: str) -> str:
    # Between quotes sftp takes * ? and [ as they are.
    return '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'


def _is_rsync(version: str) -> bool:
    """Return whether this is rsync 3 or newer; macOS has another program of that name."""
    return re.match(r"rsync\s+version v?[3-9]\.", version) is not None


def _has_rsync() -> bool:
    return shutil.which("rsync") is not None and _is_rsync(
        processes.run(["rsync", "--version"]).stdout
    )


def _size(path: Path) -> int:
    """Return how many bytes have come of a file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
