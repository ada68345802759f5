"""What is said while the machine, or its Slurm, does not answer."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from io import StringIO
from pathlib import Path

import pytest
from baking import BakedProject
from needs import need_root
from openssh_server import Laptop, OpenSSHServer
from rich.console import Console
from started import read_until
from tool_helpers import LocalProject, alter_scripts, at

from ml_remote import jobs, scripts, status
from ml_remote.errors import LabError, UnreachableError
from ml_remote.jobs.slurm_messages import submission_errors
from ml_remote.login.logins import log_in
from ml_remote.ssh import waiting
from ml_remote.ssh.client import Client
from ml_remote.ui import display

JOB = "2026-01-02_03-04-05"
FIRST_TO_ASK = (
    "push", "pull", "runs --json", "status", "data status", "shell -- true", "forward 8000",
    "doctor", "connect --yes", "node --list", "run mnistlab", "up",
)  # fmt: skip
"""Commands that begin with different questions to the machine."""
ABOUT = '{"format": 2, "kind": "node", "title": "node"}\n'


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it said soon, and again in each test."""
    monkeypatch.setattr(waiting, "_SLOW", 0.5)
    monkeypatch.setattr(waiting, "_LOOK_EVERY", 0.1)
    monkeypatch.setattr(waiting, "_told", set())
    monkeypatch.setattr(waiting, "_tells_names", True)


@contextmanager
def port_that_drops_packets() -> Iterator[int]:
    """Yield a port whose queue is full and never read, so that the kernel answers nobody."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waits = stack.enter_context(socket.socket())
            waits.setblocking(False)
            with suppress(BlockingIOError):
                waits.connect(listener.getsockname())
        yield listener.getsockname()[1]


def off(laptop: Laptop, port: int, *options: str) -> Client:
    where = ("HostName=127.0.0.1", f"Port={port}", "ConnectTimeout=2")
    return Client(alias="gpu", directory=laptop.ssh, options=(*options, *where))


def test_machine_that_does_not_answer_is_named_once(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    with port_that_drops_packets() as port:
        client = off(laptop, port)
        for ask in (lambda: client.run("true"), lambda: log_in(client)):
            with pytest.raises(UnreachableError):
                ask()
    said = f"Waiting for an answer from gpu (127.0.0.1:{port}) ...\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.slow
def test_machine_that_answers_is_not_waited_for(
    machine: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("true")
    monkeypatch.setattr(waiting, "_SLOW", 8.0)
    capsys.readouterr()
    monkeypatch.setattr(waiting, "_told", set())
    machine.run_script("sleep 9")  # its first word comes at once
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("ProxyJump=gate",), "gpu (127.0.0.1:1, through gate)"),
        (("ProxyCommand=sleep 9",), "gpu"),
        (("HostName=::1",), "gpu ([::1]:1)"),
        (("NoSuchOption=yes",), "gpu"),
    ],
    ids=["jump", "command", "ipv6", "unreadable"],
)
def test_way_to_a_silent_machine_is_told(
    laptop: Laptop, options: tuple[str, ...], said: str
) -> None:
    assert waiting._name(off(laptop, 1, *options)) == said


def test_report_to_copy_names_no_machine(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting.tell_no_names()
    with port_that_drops_packets() as port, pytest.raises(UnreachableError):
        off(laptop, port).run("true")
    assert capsys.readouterr().err == "Waiting for an answer from the machine ...\n"


@pytest.mark.slow
def test_no_command_waits_in_silence(bake: Callable[..., BakedProject], laptop: Laptop) -> None:
    here = LocalProject(bake(ssh_alias="gpu"))
    with port_that_drops_packets() as port, ThreadPoolExecutor(len(FIRST_TO_ASK)) as at_once:
        laptop.config.write_text(
            f"Host gpu\n  HostName 127.0.0.1\n  Port {port}\n{laptop.config.read_text()}"
        )
        done = at_once.map(lambda words: here.lab(*words.split()), FIRST_TO_ASK)
        said = {words: one.stderr for words, one in zip(FIRST_TO_ASK, done, strict=True)}
    told = f"Waiting for an answer from gpu (127.0.0.1:{port}) ...\n"
    assert {words: text.count(told) for words, text in said.items()} == dict.fromkeys(said, 1)


def test_note_stands_above_what_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = StringIO()
    terminal = Console(file=screen, force_terminal=True, width=20)
    monkeypatch.setattr(display, "_terminal", lambda: terminal)
    with display.steps():
        display.note_above("Waiting for an answer [b]...")
    above = r"(?:\x1b\[\?25l|\r\x1b\[2K)Waiting for an answer \[b\]\.\.\.\n"
    assert re.search(above, screen.getvalue())
    display.note_above("Waiting")
    assert capsys.readouterr().err == "Waiting\n"


def test_ssh_that_is_ended_here_is_no_fault_of_the_machine(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login shell there would be looked at for half a minute, in which Ctrl-C had no effect."""
    ssh = laptop.home / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\ncase " $* " in *" -G "*) exec {shutil.which("ssh")} "$@" ;; esac\nkill -9 $$\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(ssh.parent), prepend=os.pathsep)
    with pytest.raises(UnreachableError, match=r"^ssh to gpu was ended on this computer"):
        off(laptop, 1).run_script("true")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("runs", 1, "Error: Interrupted. What was done before is kept.\n"),
        ("runs --alias gpu", 1, "Error: Interrupted. What was done before is kept.\n"),
        ("forward 8000", 0, "No tunnel was opened.\n"),
        ("jupyter", 0, "No tunnel was opened.\nNext: lab jupyter --list shows if a session runs"),
    ],
)
def test_wait_for_a_silent_machine_ends_at_once_with_ctrl_c(
    bake: Callable[..., BakedProject], laptop: Laptop, words: str, code: int, said: str
) -> None:
    here = LocalProject(bake(ssh_alias="gpu"))
    (here.project.path / ".lab").mkdir(exist_ok=True)
    (here.project.path / ".lab" / "run-hosts").write_text("other\n")
    with port_that_drops_packets() as port:
        laptop.config.write_text(
            f"Host gpu other\n  HostName 127.0.0.1\n  Port {port}\n{laptop.config.read_text()}"
        )
        process = here.start_lab(*words.split())
        read_until(process, "Waiting for an answer from gpu")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        begun = time.monotonic()
        rest, _ = process.communicate()
    assert time.monotonic() - begun < 10
    assert (process.returncode, said in rest) == (code, True), rest


@pytest.fixture
def silent_slurm(
    machine: Client, server: OpenSSHServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """Yield a login node on which Slurm's commands never come to an end."""
    names = ("squeue", "sbatch", "sinfo", "sacct", "scancel", "scontrol")
    for name in names:
        hanging = server.account.write(f"bin/{name}", "#!/bin/sh\nexec sleep 60\n", mode=0o755)
    server.stop()
    server.start(SetEnv=f'"PATH={hanging.parent}:{os.defpath}:/usr/bin:/bin"')
    server.account.write("work/lab.toml", "")
    alter_scripts(monkeypatch, lambda text: re.sub(r"\blimited [0-9]+ ", "limited 2 ", text))
    monkeypatch.setattr(status, "script", scripts.script)
    yield machine
    machine.close()


@pytest.mark.slow
def test_job_that_slurm_does_not_answer_for_is_not_started(
    silent_slurm: Client, server: OpenSSHServer, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    for name in ("start-slurm", "start-array"):
        how = jobs.JobStart(
            script=name, runner="# tasks: 2 0\n", explanations=submission_errors("machine")
        )
        about = jobs.About(kind="node", title="node")
        with pytest.raises(LabError, match=r"^Slurm on machine does not answer, so no job was"):
            jobs.start(at(silent_slurm, "work"), about, "true", beginning=how)
    assert time.monotonic() - begun < 55
    assert capsys.readouterr().err.count("Waiting for Slurm on machine ...\n") == 1
    assert list((server.account.home / "work/.lab/jobs").iterdir()) == []


@pytest.mark.slow
def test_jobs_of_a_silent_slurm_are_unknown_and_that_is_said(
    silent_slurm: Client, server: OpenSSHServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"about.json": ABOUT, "started": "9\n", "slurm": "7\n", "node": ""}.items():
        server.account.write(f"work/.lab/jobs/{JOB}/{name}", text)
    server.account.write("work/.lab/nodes/node", f"{JOB}\n")
    load = status.look_at(at(silent_slurm, "work"))
    assert load.slurm_is_silent
    assert [job.state for job in load.jobs] == ["unknown"]
    assert [node.job.state for node in load.nodes] == ["unknown"]
    assert capsys.readouterr().err.count("Waiting for Slurm on machine ...\n") == 1
    with pytest.raises(LabError) as refused:
        jobs.stop(at(silent_slurm, "work"), JOB, grace=-29)
    assert refused.value.message == (
        f"Slurm on machine does not answer, so {JOB} may still be running."
    )


def said_on_the_way_to_a_node(folder: Path) -> bytes:
    """Return what .lab/node-proxy says in a project with a job, where squeue never answers."""
    for name, text in (("squeue", "exec sleep 60\n"), ("sbatch", "")):
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    for name in (".lab/nodes", f".lab/jobs/{JOB}"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / ".lab/nodes/node").write_text(f"{JOB}\n")
    (folder / f".lab/jobs/{JOB}/slurm").write_text("7\n")
    proxy = folder / ".lab/node-proxy"
    proxy.write_text(scripts.script("node-proxy").replace("timeout 8", "timeout 1"))
    return subprocess.run(
        ["sh", str(proxy), "node"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
    ).stdout


def test_way_to_a_node_does_not_take_a_silent_slurm_for_the_end_of_its_job(tmp_path: Path) -> None:
    assert b"lab: Slurm does not answer on " in said_on_the_way_to_a_node(tmp_path)


@pytest.mark.parametrize("name", [".lab/nodes", f".lab/jobs/{JOB}"])
def test_way_to_a_node_is_not_that_of_another_user(tmp_path: Path, name: str) -> None:
    need_root("give files away")
    (tmp_path / name).mkdir(parents=True)
    os.chown(tmp_path / name, 12345, 12345)
    said = said_on_the_way_to_a_node(tmp_path)
    assert b"lab: Another user may change what runs in this project." in said
