"""No command ends in a traceback, whatever the state of the computer that it runs on.

Each row is a state in which some of the commands run, each in a child of this process, as `lab`
would be run; each command has its turn in every few states. The machine is one that nothing listens
on: what is looked at happens before it, or because of it.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from ml_remote.cli import main

pytestmark = pytest.mark.slow

# Those that do something here before they ask the machine, or without it.
COMMANDS = (
    "--version", "up --yes --no-code", "connect ada@127.0.0.1:1 --dry-run --alias new",
    "connect ada@127.0.0.1:1 --offline --yes --alias new", "disconnect --yes --alias new",
    "doctor --json", "status --json", "push", "push --dirty", "pull", "data push", "data status",
    "setup", "add numpy --local", "lock", "run labs/a.py", "run labs/a.py --local", "run -- true",
    "runs", "runs --remove x --yes", "attach", "stop --kernel", "secret set A", "code",
    "node --list", "jupyter", "shell", "shell -- true", "forward 8080", "init --alias x",
    "init --remove --yes", "completion bash",
)  # fmt: skip
CODES = (0, 1, 2, 125)
TURNS = 5
"""In every fifth state each command has its turn; the commands of a row take about a second."""
PATIENCE = 60  # seconds for one command


@dataclass
class State:
    """What is odd about the computer."""

    variables: dict[str, str | None] = field(default_factory=dict)
    closed: tuple[int, ...] = ()
    """The standard streams that are closed."""
    broken: tuple[int, ...] = ()
    """Those whose other end is closed."""
    full: tuple[int, ...] = ()
    """Those that lead to a full disk."""
    prepare: Callable[[Path], object] = lambda _: None
    """What is done to the project."""
    is_removed: bool = False
    """Whether the folder that one is in is removed."""


def written(name: str, data: bytes) -> Callable[[Path], object]:
    def write(project: Path) -> None:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return write


def folder_at(name: str) -> Callable[[Path], object]:
    def make(project: Path) -> None:
        path = project / name
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)

    return make


JUNK = b"\xff\xfe\0junk"
DEEP = b"x = " + b"[" * 100_000
STATES = {
    "plain": State(),
    "no input": State(closed=(0,)),
    "no output": State(closed=(1,)),
    "no errors": State(closed=(2,)),
    "no streams": State(closed=(0, 1, 2)),
    "nobody reads": State(broken=(1, 2)),
    "a full disk behind": State(full=(1, 2)),
    "the folder is gone": State(is_removed=True),
    "no home": State({"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}),
    "no programs": State({"PATH": "/nonexistent"}),
    "no folders of one's own": State(
        dict.fromkeys(("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/proc/x")
    ),
    "an odd terminal": State({"TERM": "none", "COLUMNS": "0", "LINES": "x"}),
    "git's variables": State({"GIT_DIR": "/nonexistent", "GIT_CONFIG_GLOBAL": "/etc/passwd"}),
    "settings damaged": State(prepare=written("lab.toml", JUNK)),
    "own settings damaged": State(prepare=written("lab.local.toml", JUNK)),
    "own settings a folder": State(prepare=folder_at("lab.local.toml")),
    "lists damaged": State(prepare=written("pyproject.toml", JUNK)),
    "lists a folder": State(prepare=folder_at("pyproject.toml")),
    "the state a file": State(prepare=written(".lab", JUNK)),
    "hosts of runs damaged": State(prepare=written(".lab/run-hosts", JUNK)),
    "record of init damaged": State(prepare=written(".lab/init.json", JUNK)),
    "index of data damaged": State(prepare=written(".lab/data/index", JUNK)),
    "way out of git": State(prepare=written(".git/HEAD", JUNK)),
    "results a file": State(prepare=written("outputs", JUNK)),
    "environment a file": State(prepare=written(".venv", JUNK)),
    "settings without end": State(prepare=written("lab.toml", DEEP)),
    "lists without end": State(prepare=written("pyproject.toml", DEEP)),
    "record of init without end": State(prepare=written(".lab/init.json", DEEP[4:])),
    "settings of VS Code without end": State(prepare=written(".vscode/settings.json", DEEP[4:])),
    "an SSH directory of nobody": State({"LAB_SSH_DIR": "~no-such-user/x"}),
    "an SSH directory that is no text": State({"LAB_SSH_DIR": "/tmp/\udcff"}),
    "a key of nobody": State(
        prepare=written("../ssh/config", b"Host *\n  IdentityFile ~no-such-user/key\n")
    ),
}


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    """Yield a small project in git, whose machine is one that nothing listens on."""
    with tempfile.TemporaryDirectory(prefix="lab-odd-") as made:
        folder = Path(made)
        project, ssh = folder / "project", folder / "ssh"
        written("labs/a.py", b"# %%\nprint(1)\n")(project)
        written("lab.toml", b'format = 1\n[remote]\nalias = "gpu"\nfolder = "x"\n')(project)
        written("pyproject.toml", b"[project]\nname = 'x'\nversion = '1'\n")(project)
        written("config", b"Host gpu\n  HostName 127.0.0.1\n  Port 1\n")(ssh)
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
        for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "-qm", "Begin")):
            subprocess.run(["git", *words], cwd=project, check=True)
        yield folder


@pytest.mark.parametrize("name", STATES)
def test_no_command_ends_in_a_traceback(original: Path, name: str) -> None:
    state, turn, faults = STATES[name], [*STATES].index(name) % TURNS, []
    for command in COMMANDS[turn::TURNS]:
        with tempfile.TemporaryDirectory(prefix="lab-odd-") as folder:
            subprocess.run(["cp", "-a", f"{original}/.", folder], check=True)
            state.prepare(Path(folder) / "project")
            code, said = run(command.split(), Path(folder), state)
        is_odd = any(words in said for words in ("Traceback", "did not expect", "ignored in"))
        if code not in CODES or is_odd:
            faults.append(f"{command}: {code}\n{said}")
    assert not faults, "\n".join(faults)


def run(arguments: list[str], folder: Path, state: State) -> tuple[int, str]:
    """Run `lab` in a child; return its exit code and what it said, with what it let escape."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as escaped:
        child = os.fork()
        if child == 0:
            try:
                os._exit(_in_child(arguments, folder, state, output, escaped))
            finally:
                os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = [file.read() for file in (output, escaped) if file.seek(0) == 0]
    return code, b"".join(texts).decode(errors="replace")


def _in_child(
    arguments: list[str], folder: Path, state: State, output: BinaryIO, escaped: BinaryIO
) -> int:
    """Act as that `lab`."""
    os.setsid()
    signal.alarm(PATIENCE)
    keep = os.dup(escaped.fileno())
    for name, value in {
        "LAB_SSH_DIR": str(folder / "ssh"),
        "UV_OFFLINE": "1",
        **state.variables,
    }.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    tempfile.tempdir = None
    where = folder / "project" / "labs"
    if state.is_removed:
        where = where / "gone"
        where.mkdir()
    os.chdir(where)
    if state.is_removed:
        where.rmdir()
    _streams(state, output)
    sys.argv = ["lab", *arguments]
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        os.write(keep, f"Traceback: {error!r}".encode())
        return 98


def _streams(state: State, output: BinaryIO) -> None:
    """Make the standard streams those of the state."""
    full, null = os.open("/dev/full", os.O_WRONLY), os.open(os.devnull, os.O_RDONLY)
    reading, broken = os.pipe()
    os.close(reading)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if number in state.closed:
            os.close(number)
            setattr(sys, name, None)
            continue
        chosen = broken if number in state.broken else full if number in state.full else None
        os.dup2(chosen or (output.fileno() if number else null), number)
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(raw) if number else io.BufferedReader(raw),
                encoding="utf-8",
                line_buffering=True,
            ),
        )
    for unused in (full, null, broken):
        os.close(unused)
