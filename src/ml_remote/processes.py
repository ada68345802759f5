"""Running programs on this computer: the one place that starts them.

`run` waits for a program and returns what it printed; `running` talks to one while it works.
Neither uses a shell, and nothing that was started here outlives the call, whatever ends it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import ConfigurationError

__all__ = ["Result", "Running", "is_windows", "program_missing", "run", "running"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a program returned."""

    returncode: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    input: str | None = None,
    timeout: float | None = None,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    echo_errors: bool = False,
) -> Result:
    """Run a program and return what it printed, whatever its exit status.

    `timeout` is in seconds; `variables` are set beside those of this process. With `echo_errors`
    standard error is shown at once as well: what a server has to say before it asks for a password.
    Raises ConfigurationError when the program is not installed, and subprocess.TimeoutExpired.
    """
    # A file, not a pipe: the shared connection that ssh leaves behind may keep standard error open,
    # and a pipe would be waited for until that ends.
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if echo_errors else errors,
                env={**os.environ, **(variables or {})},
            )
        except FileNotFoundError:
            raise program_missing(command[0]) from None
        with process:
            if process.stderr is not None:
                echo = threading.Thread(target=_echo, args=(process.stderr, errors))
                echo.start()
                process.stderr = None  # communicate() leaves it to the thread
            try:
                stdout, _ = process.communicate((input or "").encode(), timeout=timeout)
            except BaseException:  # as subprocess.run does: nothing may be left behind
                process.kill()
                raise
        if echo_errors:
            echo.join()
        stderr = _text_of(errors)
    return Result(
        returncode=process.returncode, stdout=stdout.decode(errors="replace"), stderr=stderr
    )


class Running:
    """A program that works while we talk to it; see `running`."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    def send(self, text: str, *, close: bool = False) -> None:
        """Write to its standard input; `close` ends the input.

        A program that has ended takes nothing any more, which is no error: its exit code says why.
        """
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError):  # EPIPE, on Windows EINVAL
            stdin.write(text.encode())
            stdin.flush()
        if close:
            with suppress(OSError):
                stdin.close()

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        """Yield what it prints as it comes, until it has closed its standard output."""
        stdout = self._process.stdout
        assert stdout is not None
        while piece := os.read(stdout.fileno(), size):
            yield piece

    def lines(self) -> Iterator[str]:
        """Yield the lines that it prints, without their endings."""
        stdout = self._process.stdout
        assert stdout is not None
        for line in stdout:
            yield line.decode(errors="replace").rstrip("\r\n")

    def errors(self) -> str:
        """Return what it has written to standard error so far."""
        return _text_of(self._errors)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it at once; from any thread."""
        self._process.kill()


@contextmanager
def running(
    command: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    merge_errors: bool = False,
    own_session: bool = False,
) -> Iterator[Running]:
    """Run a program for as long as the context lasts; at its end it is killed if it still runs.

    With `merge_errors` standard error comes among the lines of standard output. With `own_session`
    Ctrl-C at the terminal reaches only us. Raises ConfigurationError when it is not installed.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge_errors else errors,
                env={**os.environ, **(variables or {})},
                start_new_session=own_session,
            )
        except FileNotFoundError:
            raise program_missing(command[0]) from None
        try:
            yield Running(process, errors)
        finally:
            process.kill()
            with suppress(OSError), process:  # what was not written to its input may be left over
                pass


def program_missing(program: str) -> ConfigurationError:
    """Return the error that says how to get a program, OpenSSH's above all, on this system."""
    if is_windows():
        how = "Settings > System > Optional features > Add > OpenSSH Client"
    elif sys.platform == "darwin":
        how = "It comes with macOS; see that /usr/bin is on your PATH"
    elif shutil.which("apt-get"):
        how = "sudo apt install openssh-client"
    else:
        how = "Install your system's OpenSSH client, for example: sudo dnf install openssh-clients"
    return ConfigurationError(f"The program {program} is not installed.", hint=how)


def is_windows() -> bool:
    """Return whether this is Windows, whose OpenSSH shares no connections."""
    return sys.platform == "win32"


def _text_of(errors: IO[bytes]) -> str:
    """Return what a program has written into the file; ssh ends its messages with \\r\\n."""
    errors.seek(0)
    return errors.read().decode(errors="replace").replace("\r\n", "\n")


def _echo(source: IO[bytes], copy: IO[bytes]) -> None:
    """Pass on every line of `source` to standard error, and keep it in `copy`."""
    with source:
        for line in source:
            copy.write(line)
            sys.stderr.write(line.decode(errors="replace").replace("\r\n", "\n"))
            sys.stderr.flush()
