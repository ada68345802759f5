"""Whatever the machine answers: nothing is run, written elsewhere, sent, or shown as it came."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import openssh_server
import pytest
from lasting_kernel_stand_ins import kernels_of
from lying_machine import Lie, LyingMachine, hostile_texts
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import known_machine, wait_until

from ml_remote import cli
from ml_remote.processes import running
from ml_remote.ssh.client import Client

CANARY = "canary-4711"
LONGEST = 240  # seconds; alone, a few
TIMES = 3  # lies about each command
# How each command is called. One that asks no machine has nothing to be lied about.
ROWS: dict[str, list[str]] = {
    "up": ["up"],
    "connect": ["connect --yes"],
    "disconnect": [],
    "doctor": ["doctor --copy", "doctor --json"],
    "status": ["status", "status --json"],
    "new": [],
    "push": ["push --dirty"],
    "pull": ["pull --overwrite"],
    "data push": ["data push --delete --yes"],
    "data pull": ["data pull --overwrite"],
    "data status": ["data status", "data status --json"],
    "setup": ["setup"],
    # These do what `setup` does on the machine, after they have changed the lists here.
    "add": [],
    "remove": [],
    "lock": [],
    "run": [
        "run answer --again",
        "run --again -- true",
        "run --sweep seed=1,2 --spread machine,also --at-once 1 -- true",
    ],
    "runs": ["runs", "runs --json", "runs --compare"],
    "show": ["show", "show --json"],
    "attach": ["attach"],
    "stop": ["stop --all", "stop --kernel"],
    # It reads the value from its input; what it asks is asked as by `secret list`.
    "secret set": [],
    "secret list": ["secret list", "secret list --json"],
    "secret remove": [],
    "node": ["node --list", "node --list --json", "node --stop"],
    "code": ["code"],
    "jupyter": ["jupyter --no-browser", "jupyter --list"],
    "tensorboard": ["tensorboard --no-browser"],
    "shell": ["shell -- true"],
    # Open until Ctrl-C; it asks for the folder as `code` does.
    "forward": [],
    "init": [],
    "completion": [],
}
LAB = "# %%\nprint(6 * 7)\n"
SETUP = "echo 'The environment is up to date: all of it'\n"
# Stands in for the environment's interpreter: a run of a lab, a kernel that outlives its window,
# and a session that serves one page.
PYTHON = """\
#!/bin/sh
case $* in
*' sweep '*) exec python3 "$@" ;;
*'kernels list') echo 'kernel	{"id": "0123456789abcdef", "lab": "labs/answer", "started": 1, \
"seconds": 2, "unused_seconds": 3, "memory": 4, "card_memory": 5, "is_shown": true, \
"is_busy": true, "has_old_environment": true}' ;;
*'kernels end 0123456789abcdef') echo 'ended	{"id": "0123456789abcdef"}' ;;
esac
case $2 in
headless)
    echo '{"event": "cell", "number": 1, "of": 1, "heading": "The answer"}'
    mkdir -p "$LAB_OUTPUT_DIR" && echo 42 | tee "$LAB_OUTPUT_DIR/answer.txt"
    echo '{"answer": 42}' >"$LAB_OUTPUT_DIR/metrics.json"
    ;;
serve) exec python3 "${0%/*}/serve.py" ;;
esac
"""
SERVE = """\
import os, socket, tempfile, time
folder = tempfile.mkdtemp(prefix="lab-", dir="/tmp")
with open(folder + "/token", "w") as file:
    file.write("0123456789abcdef")
listener = socket.socket(socket.AF_UNIX)
listener.bind(folder + "/socket")
listener.listen()
listener.settimeout(5)
with open(os.environ["LAB_JOB_FOLDER"] + "session.new", "w") as file:
    file.write(folder + "\\n")
os.rename(file.name, file.name[:-4])
try:
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    connection.close()
except OSError:
    pass
"""


@dataclass(frozen=True)
class DeceivedProject:
    """A project on the laptop, and the machine that lies about it."""

    root: Path
    client: Client
    machine: LyingMachine
    touched: Path
    """What a command would make that was in an answer."""

    def lab(self, words: str) -> int:
        """Run a command; it must end in time."""
        signal.alarm(LONGEST)
        try:
            return cli.main(words.split(), root=self.root)
        finally:
            signal.alarm(0)

    def files(self) -> dict[str, bytes]:
        """Return all files on the laptop that no answer may change."""
        ours = [self.root / name for name in ("outputs", "data", ".lab", ".git")]
        return {
            str(path): path.read_bytes()
            for top in (self.root.parent, Path.home())
            for path in top.rglob("*")
            if path.is_file() and not any(path.is_relative_to(one) for one in ours)
            if path.suffix != ".code-workspace"
        } | {
            str(path): path.read_bytes()
            for path in (self.root / ".git").rglob("*")
            if path.parent.name in ("hooks", "info") or path.name == "config"
        }


@pytest.fixture
def deceived(
    laptop: Laptop, server: OpenSSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DeceivedProject]:
    root = tmp_path / "laptop" / "small"
    (root / "labs").mkdir(parents=True)
    (root / "scripts").mkdir()
    (root / "labs" / "answer.py").write_text(LAB)
    (root / "data").mkdir()
    (root / "data" / "leaf.txt").write_text("green")
    (root / "scripts" / "setup-environment.sh").write_text(SETUP)
    (root / ".gitignore").write_text("/.lab/\n/.venv\n/outputs/\n/data\n*.code-workspace\n")
    # Lists that ask for nothing, so that they are handed over without a package index.
    (root / "pyproject.toml").write_text('[project]\nname = "small"\nversion = "1"\n')
    (root / "lab.toml").write_text('[remote]\nalias = "machine"\nfolder = "small"\n')
    for words in (["init", "--quiet", "-b", "main"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    client = known_machine(laptop, server)
    # Two machines that share their disk, as far as `run --spread` can tell.
    laptop.config.write_text(laptop.config.read_text().replace("machine", "machine also", 1))
    monkeypatch.setenv("HF_TOKEN", CANARY)
    monkeypatch.setenv("LAB_EDITOR", "true")
    monkeypatch.chdir(root)
    made = DeceivedProject(
        root=root, client=client, machine=LyingMachine(server), touched=tmp_path / "touched"
    )
    assert made.lab("push") == 0
    python = server.account.write("small/.venv/bin/python", PYTHON, mode=0o700)
    server.account.write("small/.venv/bin/serve.py", SERVE)
    assert python.exists()
    with kernels_of(server.account):
        yield made
    client.close()


def check_what_was_printed(printed: str) -> None:
    odd = {letter for letter in printed if not letter.isprintable() and letter not in "\n\t"}
    assert not odd, printed
    assert "did not expect" not in printed
    assert "Traceback" not in printed
    for line in re.findall(r"^Next:.*", printed, re.MULTILINE):
        assert "touch" not in line, line
        assert "HF_TOKEN" not in line, line


def names(group: click.Group, before: str = "") -> Iterator[str]:
    """Yield the names of all commands, such as `data list`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from names(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_every_command_has_a_row() -> None:
    assert list(ROWS) == list(names(cli.lab))
    for name, rows in ROWS.items():
        assert all(row.startswith(name) for row in rows)


@pytest.mark.slow
def test_no_answer_of_the_machine_is_obeyed(
    deceived: DeceivedProject, capfd: pytest.CaptureFixture[str]
) -> None:
    machine = deceived.machine
    texts = hostile_texts(deceived.touched)
    capfd.readouterr()
    before = deceived.files()
    told = 0
    for name in [row for rows in ROWS.values() for row in rows]:
        machine.be_honest()
        code = deceived.lab(name)
        printed = "".join(capfd.readouterr())
        assert code == 0, f"{name}: {printed}"
        assert machine.answers(), name
        for lie in machine.lies(name, texts, TIMES):
            machine.tell(lie)
            begun = time.monotonic()
            code = deceived.lab(name)
            printed = "".join(capfd.readouterr())
            told += 1
            assert code in (0, 1, 2, 125), (name, lie, printed)
            assert time.monotonic() - begun < LONGEST, (name, lie)
            try:
                check_what_was_printed(printed)
            except AssertionError as error:
                raise AssertionError(f"{name}: {lie}") from error
            assert not deceived.touched.exists(), (name, lie)
    assert told >= 36
    for name in ("status", "runs", "attach"):
        machine.tell(Lie(call=0, kind="endless", text="\x1b[2J now\t1\tgpu\n"))
        deceived.lab(name)
        check_what_was_printed("".join(capfd.readouterr()))
    assert deceived.files() == before
    assert CANARY.encode() not in machine.received()


@pytest.mark.slow
def test_a_variable_that_ssh_expands_would_be_seen(deceived: DeceivedProject) -> None:
    port = openssh_server.free_port()
    client = deceived.client.with_options("ControlPath=none", "ClearAllForwardings=no")
    forward = f"127.0.0.1:{port}:/tmp/${{HF_TOKEN}}/socket"
    assert CANARY.encode() not in deceived.machine.received()
    with running(client.command("cat", flags=("-L", forward))) as program:
        program.send("ready\n")
        assert next(program.lines()) == "ready"
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.recv(1)
    wait_until(lambda: CANARY.encode() in deceived.machine.received(), limit=30)
