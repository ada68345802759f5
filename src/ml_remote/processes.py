"""Running programs on this computer: the one place that starts them.

`run` waits for a program and returns what it printed; `running` works while the program does;
`converse` leaves the terminal to it. What they have started does not outlive the call, whatever
ends it; only `start` leaves a program alone. None of them uses a shell.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import ConfigurationError, LabError
from .kept_output import bytes_of, input_file, kept_file, text_of
from .ui.console import Console

__all__ = [
    "LONGEST_LINE",
    "MOST_ERRORS",
    "MOST_OUTPUT",
    "Result",
    "Running",
    "TooMuchError",
    "converse",
    "is_windows",
    "program_missing",
    "run",
    "running",
    "start",
]

_OPENSSH = ("sftp", "ssh", "ssh-add", "ssh-keygen")
_GRACE = 3.0  # seconds for a program to tidy up when it is told to end

MOST_OUTPUT = 32 * 2**20
"""Bytes that a program may print where all of it is kept."""
MOST_ERRORS = 8 * 2**20
"""Bytes that a program may write to its standard error, about; that goes into a file."""
LONGEST_LINE = 64 * 2**10
"""Bytes of a line; a longer one is taken in pieces of this length."""
_LOOK_EVERY = 0.2  # seconds between two looks at how much was written


class TooMuchError(LabError):
    """A program printed more than any valid answer, and was ended."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a program returned."""

    returncode: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    input: str = "",
    timeout: float | None = None,
    variables: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
    echo_errors: bool = False,
) -> Result:
    """Run a program and return what it printed, whatever its exit status.

    `timeout` is in seconds; `variables` are set beside those of this process, None removes one.
    With `echo_errors` standard error is shown at once as well: what a server has to say before it
    asks for a password.
    Raises ConfigurationError when the program cannot be started, and subprocess.TimeoutExpired.
    """
    with running(command, variables=variables, folder=folder, echo_errors=echo_errors) as program:
        return program.result(input, timeout=timeout)


def converse(command: Sequence[str], *, variables: Mapping[str, str | None] | None = None) -> int:
    """Leave the terminal to a program that asks the person something; return its exit code.

    Raises ConfigurationError when it cannot be started.
    """
    with _start(command, variables=variables) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            raise


def start(command: Sequence[str], *, seconds: float) -> Result | None:
    """Start a program that may stay, such as one with a window.

    Return what came of it if it ends within that time; None if it stays, and it is left alone then.
    Raises ConfigurationError when it cannot be started.
    """
    with kept_file() as said, said.open("ab") as output:
        process = _start(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.returncode is None:
            return None
        return Result(returncode=process.returncode, stdout=text_of(said), stderr="")


class Running:
    """A program that works while we do; see `running`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        errors: Path,
        echo: threading.Thread | None = None,
    ) -> None:
        self._process = process
        self._errors = errors
        self._echo = echo
        self._waiting: threading.Thread | None = None
        self._is_too_much = False
        self._is_left = False
        self.has_printed = False
        """Whether anything of its standard output has been read."""

    def send(self, text: str, *, close: bool = False) -> None:
        """Write to its standard input; `close` ends the input.

        A program that has ended takes nothing any more, which is no error: its exit code says why.
        """
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError, ValueError):  # EPIPE, on Windows EINVAL; or it is closed
            stdin.write(bytes_of(text))
            stdin.flush()
        if close:
            with suppress(OSError):
                stdin.close()

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        """Yield what it prints as it comes, until it has closed its standard output."""
        stdout = self._process.stdout
        assert stdout is not None
        while piece := os.read(stdout.fileno(), size):
            self.has_printed = True
            yield piece

    def lines(self) -> Iterator[str]:
        """Yield the lines that it prints, without their endings."""
        stdout = self._process.stdout
        assert stdout is not None
        while line := stdout.readline(LONGEST_LINE):
            self.has_printed = True
            yield line.decode(errors="replace").rstrip("\r\n")

    def errors(self) -> str:
        """Return what it has written to standard error so far; of very much, both ends."""
        return text_of(self._errors)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._process.wait(timeout)
        self._check_amount()
        return code

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, but not longer than that; return whether it came."""
        if self._waiting is None:  # with a timeout, Popen.wait looks only every 50 ms in the end
            self._waiting = threading.Thread(target=self._process.wait, daemon=True)
            self._waiting.start()
        self._waiting.join(seconds)
        self._check_amount()
        return self._process.returncode is not None

    def result(self, input: str = "", *, timeout: float | None = None) -> Result:
        """Give it the rest of its input, and return what it prints until its end.

        Raises subprocess.TimeoutExpired after `timeout` seconds, and TooMuchError.
        """
        end = None if timeout is None else time.monotonic() + timeout
        kept = bytearray()
        # Threads, as each of its pipes may be the one that it waits for.
        if self._process.stdin is not None:
            threading.Thread(target=self._send_all, args=(input,), daemon=True).start()
        reader = threading.Thread(target=self._keep_output, args=(kept,), daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            self._is_left = True
            raise subprocess.TimeoutExpired(self._process.args, timeout or 0)
        self._check_amount()
        returncode = self.wait(None if end is None else max(0, end - time.monotonic()))
        if self._echo is not None:
            self._echo.join()
        return Result(
            returncode=returncode,
            stdout=kept.decode(errors="replace"),
            stderr=self.errors(),
        )

    def _keep_output(self, kept: bytearray) -> None:
        """Read its standard output to the end, as long as that is no more than an answer has."""
        if self._process.stdout is None:
            return
        with suppress(OSError, ValueError):  # closed, as what it has started keeps it open
            for piece in self.pieces():
                kept += piece
                if len(kept) > MOST_OUTPUT:
                    self.end_as_too_much()
                if self._is_too_much or self._is_left:
                    return

    def _send_all(self, text: str) -> None:
        self.send(text, close=True)

    def end_as_too_much(self) -> None:
        """End it at once, as it has written more than any answer has; from any thread."""
        self._is_too_much = True
        self._process.kill()

    def _check_amount(self) -> None:
        """Raise TooMuchError if it was ended because of what it has written."""
        if self._is_too_much:
            args = self._process.args
            name = Path(str(args[0] if isinstance(args, list | tuple) else args)).name
            raise TooMuchError(
                f"{name} was ended: it printed more than {MOST_OUTPUT // 2**20} MiB, or more than "
                f"{MOST_ERRORS // 2**20} MiB of messages.",
                hint="To see what the machine prints at login: lab doctor",
            )

    def kill(self) -> None:
        """End it at once; from any thread."""
        self._process.kill()


@contextmanager
def running(
    command: Sequence[str],
    *,
    input: str | None = None,
    variables: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
    discard_output: bool = False,
    output_as_errors: bool = False,
    echo_errors: bool = False,
    merge_errors: bool = False,
    own_session: bool = False,
) -> Iterator[Running]:
    """Run a program for as long as the context lasts; at its end it is ended if it still runs.

    `input` is all that it reads; without it, `send` or `result` writes the input. `discard_output`
    is for a program whose standard output nobody reads; with `output_as_errors` that is kept among
    its errors. With `echo_errors` standard error is shown at once as well;
    with `merge_errors` it comes among the lines of standard output. With
    `own_session` Ctrl-C at the terminal reaches only us. Raises ConfigurationError when the program
    cannot be started.
    """
    with kept_file() as errors:
        with errors.open("ab") as kept, input_file(input) as given:
            near = subprocess.DEVNULL if discard_output else subprocess.PIPE
            pipe_or_file = subprocess.PIPE if echo_errors else kept
            process = _start(
                command,
                stdin=subprocess.PIPE if given is None else given,
                stdout=kept if output_as_errors else near,
                stderr=subprocess.STDOUT if merge_errors else pipe_or_file,
                variables=variables,
                folder=folder,
                own_session=own_session,
            )
        program = Running(process, errors, _echo(process, errors) if echo_errors else None)
        ended = threading.Event()
        threading.Thread(target=_limit, args=(program, errors, ended), daemon=True).start()
        try:
            yield program
        finally:
            ended.set()
            _end(process)


def _limit(program: Running, errors: Path, ended: threading.Event) -> None:
    """End a program that fills the disk with what it writes to its standard error."""
    with suppress(OSError):
        while not ended.wait(_LOOK_EVERY):
            if errors.stat().st_size > MOST_ERRORS:
                program.end_as_too_much()
                return


def program_missing(program: str) -> ConfigurationError:
    """Return the error that says how to get a program on this system."""
    return ConfigurationError(
        f"The program {program} is not installed.", hint=_how_to_install(program)
    )


def _how_to_install(program: str) -> str:
    is_ssh = program in _OPENSSH
    if is_windows():
        if is_ssh:
            return "Settings > System > Optional features > Add > OpenSSH Client"
        if program in ("git", "sh"):
            return "Install Git for Windows (https://git-scm.com/downloads), or use WSL"
    elif sys.platform == "darwin":
        if program == "git":
            return "xcode-select --install"
        if is_ssh:
            return "It comes with macOS; check that /usr/bin is on your PATH"
    elif is_ssh or program in ("git", "rsync"):
        debian, fedora = ("openssh-client", "openssh-clients") if is_ssh else (program, program)
        if shutil.which("apt-get"):
            return f"sudo apt install {debian}"
        return f"Install it with your system's packages, for example: sudo dnf install {fedora}"
    return f"Install {program}, and check that it is on your PATH"


def is_windows() -> bool:
    """Return whether this is Windows, whose OpenSSH shares no connections."""
    return sys.platform == "win32"


def _start(
    command: Sequence[str],
    *,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    variables: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
    own_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program. Raises ConfigurationError when that cannot be done."""
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_environment(variables or {}),
            start_new_session=own_session,
        )
    except OSError as error:
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"There is no folder {folder}.") from None
        # A folder on PATH that may not be read turns "not found" into "permission denied".
        by_path = Path(command[0]).name != command[0]
        if isinstance(error, FileNotFoundError) or not (by_path or shutil.which(command[0])):
            raise program_missing(command[0]) from None
        raise ConfigurationError(f"{command[0]} cannot be started: {error.strerror}.") from None


def _environment(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variables of this process with these; None removes one."""
    merged = {**os.environ, **variables}
    return {name: value for name, value in merged.items() if value is not None}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program, if it still runs: it may tidy up first, but not for long."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    process.kill()
    with suppress(OSError), process:  # what was not written to its input may be left over
        pass


def _echo(process: subprocess.Popen[bytes], copy: Path) -> threading.Thread:
    """Pass on every line of a program's standard error, and keep it in the file `copy`."""
    source = process.stderr
    assert source is not None
    process.stderr = None  # else communicate() would read it
    console = Console()

    def pass_on() -> None:
        with source, copy.open("ab") as kept:
            while line := source.readline(LONGEST_LINE):
                kept.write(line)
                kept.flush()
                console.note(line.decode(errors="replace").rstrip("\r\n"))

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    return thread
