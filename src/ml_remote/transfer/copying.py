"""Copying files from the machine, by rsync or sftp: an interrupted copy continues where it was."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import processes
from ..errors import LabError, RemoteCommandError
from ..processes import Result
from ..ssh.client import Client
from ..ssh.ssh_log import SshLog, ThroughSsh, ssh_log
from ..ui.display import Progress
from ..ui.text import in_one_line
from ..ui.words import size_in_words
from .copy_errors import copy_reason
from .failures import explain_failure
from .git_errors import cleaned_output
from .outputs import LeftOut, Listing, RemoteFile
from .results import is_file, make_holes
from .rsync import is_new_enough, remote_shell, said_here, version_in

__all__ = [
    "LONGEST_LINE",
    "Copying",
    "choose_program",
    "is_on_its_way",
    "program_variables",
    "sftp_quoted",
]

_LOOK_EVERY = 0.2  # seconds between two looks at what has come
_RSYNC_FILES = 23  # some files could not be read or written
_RSYNC_VANISHED = 24  # a file went away there
_RSYNC_HOLES = (3, 1, 3)  # the first version that makes holes in files that it writes in place
_IN_ENGLISH: dict[str, str | None] = {"LC_ALL": "", "LC_MESSAGES": "C"}
_OTHERWISE = "; or skip these files: lab pull --exclude PATTERN"
LONGEST_LINE = 1900  # bytes: sftp reads 2047 and takes the rest for a command of its own


def choose_program(
    client: Client, listing: Listing, files: Sequence[RemoteFile], incoming: Path
) -> Copying:
    """Return the copying of `files` to below `incoming`: by rsync if both ends have it."""
    is_on_both = is_new_enough(listing.rsync) and is_new_enough(said_here())
    program = _Rsync if is_on_both else _Sftp
    return program(client, listing, files, incoming)


def is_on_its_way(incoming: Path, file: RemoteFile) -> bool:
    """Return whether a file has come, at least in part, and was not moved to its place yet."""
    return any(
        os.path.lexists(incoming / program.program / program.name_of(file))
        for program in (_Rsync, _Sftp)
    )


class Copying(ABC):
    """One program that copies files from the machine into a folder of its own."""

    program: str
    keeps_holes = True
    """Whether a file with holes needs no more room while it comes than it has there."""

    def __init__(
        self, client: Client, listing: Listing, files: Sequence[RemoteFile], incoming: Path
    ) -> None:
        # The two programs continue partial files in different ways, so each has its own folder.
        self.folder = incoming / self.program
        self._done: ThroughSsh | None = None
        self._client = client
        self._listing = listing
        self.left_out = [
            LeftOut(name=file.name, reason=reason)
            for file in files
            if (reason := self._why_not(file))
        ]
        """Files that this program cannot copy."""
        self.files = [file for file in files if not self._why_not(file)]

    def staged(self, file: RemoteFile) -> Path:
        """Return where a file is until it is complete."""
        return self.folder / self.name_of(file)

    @staticmethod
    @abstractmethod
    def name_of(file: RemoteFile) -> str:
        """Return the name that a file has in the program's folder."""

    @abstractmethod
    def is_complete(self, file: RemoteFile) -> bool:
        """Return whether all of a file has come; it then has its time there, too."""

    @abstractmethod
    def _command(self, client: Client, own: SshLog) -> list[str]:
        """Return the program's command; it adds the machine to that of ssh itself."""

    @abstractmethod
    def _orders(self) -> str:
        """Return what to write to the program's standard input."""

    def _why_not(self, file: RemoteFile) -> str:
        """Return why this program cannot copy a file, as the end of a sentence."""
        return ""

    def as_it_came(self, file: RemoteFile) -> RemoteFile:
        """Return a complete file with the size and time that it has now.

        If these are not those of the listing, it was written while it was copied.
        """
        state = self.staged(file).stat()
        size, time = state.st_size, int(state.st_mtime)
        settled = file.is_settled and (size, time) == (file.size, file.time)
        return replace(file, size=size, time=time, is_settled=settled)

    def sum(self, file: RemoteFile) -> str:
        """Return the SHA-256 of a complete file."""
        with self.staged(file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def check_room(self) -> None:
        """Raise LabError when the disk here has no room for what is to come."""
        needed = 0
        for file in self.files:
            whole = file.held if self.keeps_holes and file.held < file.size else file.size
            needed += max(0, whole - _held(self.staged(file)))
        free = shutil.disk_usage(self.folder.parent).free
        if needed > free:
            raise LabError(
                f"The results need {size_in_words(needed)}, but the disk here has only "
                f"{size_in_words(free)} free. Nothing was copied.",
                hint="Free disk space, or choose: lab pull RUN, lab pull --only PATTERN, or lab "
                "pull --exclude '*.pt'",
            )

    @property
    def _returncode(self) -> int | None:
        return None if self._done is None else self._done.returncode

    def explain(self, incomplete: Sequence[RemoteFile]) -> None:
        """Raise the LabError that says why files did not come, unless they are gone there."""
        if self._done is None or self._done.returncode == _RSYNC_VANISHED:
            return
        what = f"Bringing {len(incomplete)} of {len(self.files)} files"
        if self._done.returncode not in (0, _RSYNC_FILES):
            raise explain_failure(
                self._client,
                self._done.stderr,
                what=what,
                of_ssh=self._done.of_ssh,
                leave_out=_OTHERWISE,
            )
        # All others have come. What these have left could be in the way of the next attempt.
        shutil.rmtree(self.folder, ignore_errors=True)
        lines = cleaned_output(self._done.stderr)
        found = copy_reason(lines, alias=self._client.alias, is_sent=False)
        said = in_one_line(next(iter(lines), "no reason was given"))
        why = said if found is None else f"{found[0].sentence.format(place=found[1])} {said}"
        names = ", ".join(in_one_line(file.name) for file in incomplete[:5])
        raise RemoteCommandError(
            f"{what} failed: {names}{', ...' if len(incomplete) > 5 else ''} ({why}). All others "
            "were copied.",
            hint=f"Check that these files can be read there{_OTHERWISE}"
            if found is None
            else found[0].hint.format(leave_out=_OTHERWISE),
        )

    def run(self, progress: Progress | None = None) -> None:
        """Copy what is missing. Raises ConfigurationError when the program is not installed.

        Afterwards `explain` can say why something did not come.
        """
        self.folder.mkdir(exist_ok=True)
        for path in map(self.staged, self.files):
            # One that was placed by a process that was killed then: the same file is in outputs/.
            if is_file(path) and path.stat().st_nlink > 1:
                path.unlink()
        client = self._client.with_options("BatchMode=yes")
        with (
            ssh_log(client.proxy_error) as own,
            processes.running(
                self._command(client, own),
                input=self._orders(),
                variables=program_variables(),
                folder=self.folder,
                discard_output=True,
            ) as program,
        ):
            total = sum(file.size for file in self.files)
            ended = False
            while not ended:
                ended = program.ends_within(_LOOK_EVERY)
                if progress is not None:
                    progress(sum(_size(self.staged(file)) for file in self.files), total)
            done = Result(returncode=program.wait(), stdout="", stderr=program.errors())
            self._done = own.through(done)


class _Rsync(Copying):
    """rsync, which sends only what is missing of a file that was copied in part."""

    program = "rsync"

    def __init__(
        self, client: Client, listing: Listing, files: Sequence[RemoteFile], incoming: Path
    ) -> None:
        self.keeps_holes = version_in(said_here()) >= _RSYNC_HOLES
        super().__init__(client, listing, files, incoming)

    @staticmethod
    def name_of(file: RemoteFile) -> str:
        return file.name

    def is_complete(self, file: RemoteFile) -> bool:
        path = self.staged(file)
        if not is_file(path):
            return False
        # A file that is changed while rsync copies it has another size and time than in the
        # listing. Only at its end rsync sets the time, so the time says that it came to that.
        now = (path.stat().st_size, int(path.stat().st_mtime))
        return self._returncode == 0 or now == (file.size, file.time)

    def _command(self, client: Client, own: SshLog) -> list[str]:
        *ssh, _, _ = client.command(flags=own.flags)
        # In place, so that what has come stays even when rsync itself is killed. No folder gets the
        # mode that it has there: nothing could be moved out of one that is read-only.
        options = ["-s", "--times", "--inplace", "--from0", "--files-from=-", "--no-implied-dirs"]
        if self.keeps_holes:
            options.append("--sparse")
        if not all(file.is_settled for file in self.files):
            options.append("--ignore-times")  # equal size and time do not mean equal
        source = f"{self._client.alias}:{self._listing.folder}/"
        return ["rsync", *options, "-e", remote_shell(ssh), source, "./"]

    def _orders(self) -> str:
        return "".join(f"{file.name}\0" for file in self.files)


class _Sftp(Copying):
    """sftp, which continues at the end of a partial file, so that must be of the same file."""

    program = "sftp"
    keeps_holes = False

    def _why_not(self, file: RemoteFile) -> str:
        if re.search(r"[\n\r\0]", self._listing.folder + file.name):
            return "only rsync can copy names with line breaks, and it is not on both sides"
        if len(os.fsencode(sftp_quoted(self._listing.folder + file.name))) > LONGEST_LINE:
            return "only rsync can copy such long names, and it is not on both sides"
        return ""

    @staticmethod
    def name_of(file: RemoteFile) -> str:
        identity = f"{file.size} {file.time} ".encode() + os.fsencode(file.name)
        return hashlib.sha256(identity).hexdigest()[:40]

    def is_complete(self, file: RemoteFile) -> bool:
        path = self.staged(file)
        if not path.is_file() or path.stat().st_size < file.size:
            return False
        if file.held < file.size and _held(path) > file.held:
            make_holes(path)
        os.utime(path, (file.time, file.time))
        return True

    def _command(self, client: Client, own: SshLog) -> list[str]:
        # sftp does not take -E. Not -q, with which ssh does not say either why there is no sftp.
        _, *options, _, _ = client.with_options(*own.without_file).command()
        return ["sftp", *options, "-b", "-", self._client.alias]

    def _orders(self) -> str:
        for file in self.files:
            if not file.is_settled:  # what has come may be of another version
                self.staged(file).unlink(missing_ok=True)
        lines = [f"cd {sftp_quoted(self._listing.folder)}"]
        # With the dash, a file that went away meanwhile does not keep the others from coming.
        for file in self.files:
            name = sftp_quoted(f"./{file.name}")
            lines.append(f"-get -a {name} {self.staged(file).name}")
        return "".join(f"{line}\n" for line in lines)


def program_variables() -> dict[str, str | None]:
    """Return the variables of both programs: no other names, room or checksums by rsync's own."""
    return _IN_ENGLISH | {name: None for name in os.environ if name.startswith("RSYNC_")}


def sftp_quoted(path: str) -> str:
    """Return a path as a word of sftp, which between quotes takes * ? and [ as they are."""
    return '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'


def _size(path: Path) -> int:
    """Return how many bytes have come of a file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _held(path: Path) -> int:
    """Return how many bytes a file takes on the disk."""
    try:
        state = path.stat()
    except OSError:
        return 0
    blocks: int = getattr(state, "st_blocks", -1)
    return state.st_size if blocks < 0 else blocks * 512
