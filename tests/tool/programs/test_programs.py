"""`lab run -- COMMAND`: any program on the machine, as a run like those of labs."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from baking import TOOL
from remote_project import RemoteProject
from started import read_until
from tool.programs.newest import newest
from tool_helpers import at_terminal, wait_until

from ml_remote.processes import LONGEST_LINE

pytestmark = pytest.mark.slow


def test_program_runs_there_and_its_exit_code_comes_home(there: RemoteProject) -> None:
    words = ["it's", "$HOME", "two words", "*", "", "-p", "--name", "a\nb"]
    done = there.lab("run", "--env", "LR=0.1 x", "--", "python", "train.py", *words, "3")
    assert done.returncode == 3, done.stderr
    assert f"arguments {[*words, '3']}" in done.stderr
    assert "lr 0.1 x" in done.stderr
    job = newest(there)
    assert f"Run {job.id} failed; exit code 3." in done.stderr
    home = there.project.path / "outputs" / "train" / job.id
    assert (home / "model.txt").read_text() == "trained"
    assert (home / "checkpoints" / "last.pt").read_text() == "weights"
    assert not (home / "checkpoints" / "old.pt").exists()
    record = json.loads((home / "run.json").read_text())
    expected = {"command": ["python", "train.py", *words, "3"], "name": "train", "id": job.id,
                "variables": [["LR", "0.1 x"]], "launcher": "ssh", "exit_code": 3,
                "commit": there.git("rev-parse", "HEAD")}  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert record["seconds"] >= 0
    assert job.run.command == ("python", "train.py", *words, "3")
    assert job.run.variables == (("LR", "0.1 x"),)
    assert there.lab("attach", job.id).returncode == 3
    assert there.lab("runs", "--wait").returncode == 3
    told = there.lab("show", job.id).stdout
    assert f"  reason      Run {job.id} failed; exit code 3.\n  last line   lr 0.1 x" in told
    document = json.loads(there.lab("runs", "--json").stdout)
    (one,) = document["runs"]
    assert (one["id"], one["exit_code"], one["run"]["name"]) == (job.id, 3, "train")
    done = there.lab(
        "run", "--name", "mine", "--tty", "--", "sh", "-c", "test -t 1 && echo so; kill -TERM $$"
    )
    assert done.returncode == 143
    assert there.lab("runs", newest(there).id).stdout.splitlines()[2:4] == [
        f"Run {newest(there).id} failed; exit code 143 (SIGTERM).",
        'Its last line: "so"',
    ]
    assert "so" in done.stderr.splitlines()
    assert newest(there).run.output_folder == "mine"
    for code, command in ((127, ["no-such-program"]), (0, ["python", "train.py", "0"])):
        assert there.lab("run", "--", *command).returncode == code
    there.write_there("plain", "echo plain $STORED $MPLBACKEND $PYTHONPATH\n")
    (there.folder / "plain").chmod(0o755)
    there.write_there(".lab/secrets/STORED", "of the project")
    there.write_there(f".lab/jobs/{job.id}/secrets/LEFT", "by a runner that was killed")
    given = ("STORED=of this run", "MPLBACKEND=Agg", "PYTHONPATH=src")
    done = there.lab("run", *(word for one in given for word in ("--env", one)), "--", "./plain")
    assert "plain of this run Agg src" in done.stderr.splitlines()
    assert done.returncode == 0, done.stderr
    assert not (there.folder / ".lab" / "jobs" / job.id / "secrets").exists()
    there.client.close()
    there.server.stop()
    assert there.lab("run", "--", "true").returncode == 125


SPY = """\
import os, subprocess, sys, time
open(os.environ["LAB_OUTPUT_DIR"] + "/result.txt", "w").close()
names = ["STORED", "PASSED", "FROM_FILE"]
values = [os.environ[name] for name in names]
print("all", *values, flush=True)
for value in values:
    os.write(1, value[:9].encode())
    time.sleep(0.05 if value != values[0] else 1)  # longer than the pause after which it is shown
    os.write(1, value[9:].encode() + b"\\n")
print("repr", repr(values), "short", os.environ["SHORT"], file=sys.stderr)
seen = subprocess.run("cat /proc/[0-9]*/cmdline", shell=True, capture_output=True).stdout
print("listed", any(value.encode() in seen for value in values))
"""
STORED, PASSED, FROM_FILE = (
    "stored-4711-secret",
    "passed-4712-secret",
    "line-one-4713\nline-two-4714",
)


def files_with(text: str, *folders: Path) -> list[str]:
    """Return the files below these folders that have the text in them."""
    return sorted(
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    )


def test_secret_is_nowhere_but_in_its_file(
    there: RemoteProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.commit("spy.py", SPY)
    monkeypatch.setenv("PASSED", PASSED)
    file = tmp_path / "vars.env"
    file.write_text(f'# remark\nexport SHORT=tiny\nFROM_FILE="{FROM_FILE}"\n')

    done = subprocess.run(
        [sys.executable, "-B", "lab.py", "secret", "set", "STORED"],
        cwd=there.project.path,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        input=f"{STORED}\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    secret = there.folder / ".lab" / "secrets" / "STORED"
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == (STORED, 0o600)
    listed = there.lab("secret", "list")
    assert listed.stdout.splitlines()[0] == "STORED"
    assert json.loads(there.lab("secret", "list", "--json").stdout)["secrets"] == [
        {"name": "STORED"}
    ]
    for name in ("PATH", "UID", "LAB_JOB", "1A", "A-B"):
        assert there.lab("secret", "set", name).returncode == 2, name

    done = there.lab(
        "run", "--push", "--env", "PASSED", "--env-file", str(file), "--", "python", "spy.py"
    )
    assert done.returncode == 0, done.stderr
    assert "all *** *** ***" in done.stderr
    assert "short tiny" in done.stderr
    assert "listed False" in done.stderr
    said = [done.stdout + done.stderr]
    said += [there.lab(*words.split()).stdout for words in ("runs", "runs --json", "attach")]
    said.append(there.lab("doctor", "--copy").stdout)
    shown = there.lab("shell", "--", "sh", "-c", 'test -n "$STORED" && echo found')
    assert shown.stdout == "found\n", shown.stderr
    there_and_here = (there.folder, there.project.path)
    homes = (there.server.account.home, Path.home(), there.client.directory)
    said += there.server.log
    for value in (STORED, PASSED, FROM_FILE, *FROM_FILE.split("\n")):
        allowed = [str(secret)] if value == STORED else []
        assert sorted({*files_with(value, *there_and_here, *homes)} - {str(file)}) == allowed, value
        assert not [text for text in said if value in text], value
    job = newest(there)
    assert job.run.secrets == ("SHORT", "FROM_FILE", "PASSED")
    for folder in there_and_here:
        assert (folder / ".lab" / ".gitignore").read_text() == "*\n"
    assert there.lab("secret", "remove", "STORED").returncode == 0
    assert not secret.exists()
    assert there.lab("secret", "remove", "STORED").returncode == 1


def test_run_is_told_of_and_goes_where_a_card_is_free(there: RemoteProject, tmp_path: Path) -> None:
    said = tmp_path / "said"
    local = there.project.path / "lab.local.toml"
    program = tmp_path / "tell"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{said}"\n')
    program.chmod(0o755)
    local.write_text(f'[notify]\ncommand = ["{program}", "please"]\n')
    done = there.lab("run", "--notify", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    assert said.read_text() == "please\nsh -c exit 4 ended: exit code 4\n"
    local.unlink()
    done = there.lab("run", "--first-free", "nowhere,machine", "--", "true")
    assert done.returncode == 125
    assert "No machine has a free card: nowhere cannot be reached; machine has no" in done.stderr
    there.commit("lab.toml", there.project.read("lab.toml") + '\n[notify]\ncommand = ["x"]\n')
    done = there.lab("run", "--notify", "--", "true")
    assert done.returncode == 125
    assert "so it is only allowed in lab.local.toml" in done.stderr


def test_end_of_a_run_is_told_on_the_desktop_or_by_the_bell(
    there: RemoteProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    desktop = tmp_path / "notify-send"
    desktop.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{said}"\n')
    desktop.chmod(0o755)
    command = [sys.executable, "-B", "lab.py", "run", "--notify", "--", "sh", "-c", "exit 3"]
    folder = there.project.path
    code, screen = at_terminal(command, answers={}, folder=folder, variables={"DISPLAY": ""})
    assert (code, "\a" in screen) == (3, True), screen
    assert not said.exists()

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    code, screen = at_terminal(command, answers={}, folder=folder, variables={"DISPLAY": ":0"})
    assert (code, "\a" in screen) == (3, False), screen
    words = said.read_text().splitlines()
    assert words == ["--app-name", "lab", "--", "lab", "sh -c exit 3 ended: exit code 3"]

    desktop.write_text("#!/bin/sh\nexit 5\n")  # a desktop that shows nothing
    done = there.lab("run", "--notify", "--", "true", DISPLAY=":0")
    assert (done.returncode, "notification failed" in done.stderr) == (0, True), done.stderr


ODD = """\
import os, subprocess, sys
out = sys.stdout.buffer
out.write(b"x" * 2**20 + b"\\n" + bytes(range(256)) + b"\\nafter binary\\n")
out.write(b"\\r1 %\\r50 %\\r100 %\\n" + repr(sys.stdin.read()).encode() + b"\\nno end")
out.flush()
subprocess.Popen(["sleep", "120"])  # it outlives this program, and holds what it prints to
os._exit(255)
"""


def test_program_may_print_and_end_as_it_likes(there: RemoteProject) -> None:
    there.commit("my odd program.py", ODD)
    there.write_there(".lab/secrets/STORED", "masked in what it prints")
    begun = time.monotonic()
    done = there.lab("run", "--push", "--", "python", "my odd program.py")
    assert time.monotonic() - begun < 100
    assert done.returncode == 255, done.stderr[-2000:]
    lines = done.stderr.splitlines()
    assert lines.count("x" * LONGEST_LINE) == 2**20 // LONGEST_LINE
    assert {"after binary", "100 %", "''", "no end"} <= {*lines}
    words = ("sh", "-c", 'cd labs && echo "it\'s" >&2 && kill -SEGV $$')
    assert there.lab("run", "--detach", "--", *words).returncode == 0
    assert there.lab("runs", "--wait").returncode == 139
    done = there.lab("attach")
    assert (done.returncode, "it's" in done.stderr.splitlines()) == (139, True), done.stderr


def is_followed(process: int) -> bool:
    """Return whether this `lab` catches SIGTERM, as it does when it follows a run."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_following_that_is_ended_is_told_from_the_program(there: RemoteProject) -> None:
    said = "continues without this computer"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = there.start_lab("run", "--", "sleep", "300")
        read_until(process, said)
        wait_until(partial(is_followed, process.pid))
        process.send_signal(number)
        read_until(process, "The run continues on machine")
        assert process.wait(300) == 125
        said = "already in progress"
    job = newest(there)
    assert job.state == "running"
    process = there.start_lab("runs", "--wait", job.id)
    process.send_signal(signal.SIGINT)  # whatever it does at that moment
    assert process.wait(300) in (125, -signal.SIGINT)
    assert there.lab("stop", job.id).returncode == 0
    assert there.lab("runs", "--wait", job.id).returncode == 143


def test_stopped_program_leaves_nothing_and_its_results_come_home(there: RemoteProject) -> None:
    there.commit("wait.sh", "mkdir -p checkpoints && echo kept >checkpoints/half.pt\nsleep 300\n")
    done = there.lab("run", "--push-dirty", "--detach", "--", "sh", "wait.sh")
    assert done.returncode == 0, done.stderr
    job = newest(there)
    code = there.folder / ".lab" / "code" / job.id
    wait_until(lambda: (code / "checkpoints" / "half.pt").exists())
    assert (
        there.lab("run", "--detach", "--", "sh", "wait.sh").stderr.count("already in progress") == 1
    )
    assert there.lab("stop", job.id).returncode == 0
    done = there.lab("attach", job.id)
    assert done.returncode == 143, done.stderr
    assert f"Run {job.id} was stopped." in done.stderr
    home = there.project.path / "outputs" / "wait" / job.id
    assert (home / "checkpoints" / "half.pt").read_text() == "kept\n"
    assert not code.exists()
