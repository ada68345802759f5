"""Asking the real `ssh -G` what a configuration means, so that no command of it runs.

`ssh -G` connects to nothing, but it runs the commands of `Match exec` lines, in the shell that
`SHELL` names: it gets one that runs nothing and fails, so that such a line holds for no host. On
Windows ssh has a shell of its own for that, so there such lines are taken out of a copy, which has
every included file in it. Only the ssh that logs in runs them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import processes
from ..files import read_bytes
from ..processes import Result
from .configuration import Line, count_commands, included_files, parse, read_sources
from .entry import quote
from .ssh_directory import (
    State,
    is_our_include,
    our_directory,
    read_state,
    ssh_options,
    whole_configuration,
)

__all__ = ["SECONDS", "copied", "has_commands", "query", "quiet_shell", "quietly", "write_copy"]

SECONDS = 10.0
"""Seconds for ssh to read a configuration."""


def query(
    alias: str, flags: Sequence[str], *, variables: Mapping[str, str]
) -> tuple[dict[str, list[str]], Result]:
    """Ask ssh about an alias; return the values by lower-case keyword, and what came of it.

    Raises ConfigurationError where there is no ssh, and subprocess.TimeoutExpired.
    """
    command = ["ssh", "-G", *flags, "--", alias]
    result = processes.run(command, timeout=SECONDS, variables=variables)
    options: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword.lower(), []).append(value)
    return options, result


def quiet_shell() -> dict[str, str]:
    """Return the variables with which ssh runs no command; none where a copy has to do."""
    shell = None if processes.is_windows() else shutil.which("false", path="/bin:/usr/bin")
    return {} if shell is None else {"SHELL": shell}


def has_commands(directory: Path) -> bool:
    """Return whether the configuration has a `Match exec`: then only a login knows all it means."""
    config = directory / "config"
    with suppress(OSError):  # ssh itself says what is wrong with it
        return count_commands(config, read_bytes(config) or b"") > 0
    return False


@contextmanager
def quietly(
    directory: Path, *, default_keys: bool = True
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the options and variables with which ssh reads `directory` and runs no command.

    See ssh_options. Raises ConfigurationError.
    """
    shell = quiet_shell()
    if shell:
        yield ssh_options(directory, default_keys=default_keys), shell
        return
    with copied(read_state(directory), is_whole=True) as (config, _):
        text = whole_configuration(directory, config, default_keys=default_keys)
        whole = config.with_name("whole")
        whole.write_text(text, encoding="utf-8")
        yield ["-F", str(whole)], shell


@contextmanager
def copied(state: State, *, is_whole: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the file of a copy of the configuration, and what `write_copy` returns of it."""
    with tempfile.TemporaryDirectory(prefix="lab-ssh-") as place, _removed_when_killed(place):
        folder = Path(place) / "copy"
        names = write_copy(state, folder, is_whole=is_whole)
        yield folder / "config", names


def write_copy(state: State, folder: Path, *, is_whole: bool) -> dict[str, str]:
    """Write a copy of the configuration that `ssh -F folder/config` reads like the original.

    Returns the names of the originals by those of their copies. Our own entries are copied always.
    A whole copy has every included file in it, and no line that runs a command.
    """
    ours = our_directory(state.directory)
    contents = {state.config: parse(state.data or b"")}
    copies = {state.config: folder / "config"}
    for name, data in state.entries.items():
        contents[ours / name], copies[ours / name] = parse(data), folder / "ours" / name
    for path, lines in read_sources(state.config, state.data or b"").items() if is_whole else ():
        contents.setdefault(path, lines)
        copies.setdefault(path, folder / f"included-{len(copies)}")

    def copy_of(line: Line) -> bytes:
        if is_our_include(line, directory=state.directory):
            return f"Include {quote(f'{folder.as_posix()}/ours/*.conf')}\n".encode()
        if is_whole and line.runs_command:
            return b"Host !*\n"  # a block that is for no host at all
        if is_whole and line.bare.startswith(b"include"):
            files = [copies[path] for path in included_files(line) if path in copies]
            names = " ".join(quote(path.as_posix()) for path in files)
            return f"Include {names}\n".encode() if names else b"\n"
        return line.raw

    (folder / "ours").mkdir(parents=True)
    for path, copy in copies.items():
        copy.write_bytes(b"".join(map(copy_of, contents[path])))
        copy.chmod(0o600)  # ssh refuses an included file that others may write
    return {str(copy): str(path) for path, copy in copies.items()}


@contextmanager
def _removed_when_killed(folder: str) -> Iterator[None]:
    """Have a folder removed even when this process is killed: a helper sees its input end then."""
    if shutil.which("sh") is None:  # as on Windows
        yield
        return
    helper = ["sh", "-c", 'cat >/dev/null; exec rm -rf -- "$1"', "sh", folder]
    # In a session of its own: what ends this process's group leaves it alone.
    with processes.running(helper, discard_output=True, own_session=True):
        yield
