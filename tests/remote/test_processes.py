"""Running programs on this computer: what they print, how they end, what a missing one is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from remote_fixtures import wait_until

from ml_remote import processes
from ml_remote.errors import ConfigurationError

WAIT = ["sh", "-c", "echo $$; exec sleep 1000"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_program_prints_and_how_it_ends_is_returned(tmp_path: Path) -> None:
    script = 'cat; pwd; echo "$WORD" >&2; printf "two\\r\\n" >&2; exit 3'
    done = processes.run(
        ["sh", "-c", script], input="given\n", variables={"WORD": "one"}, folder=tmp_path
    )
    assert done == processes.Result(
        returncode=3, stdout=f"given\n{tmp_path}\n", stderr="one\ntwo\n"
    )


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["sh", "-c", f"echo $$ >{pid}; exec sleep 1000"], timeout=0.5)
    assert not is_running(int(pid.read_text()))


def test_standard_error_that_somebody_keeps_open_is_not_waited_for(tmp_path: Path) -> None:
    # As the shared connection does that ssh leaves behind.
    pid = tmp_path / "pid"
    script = f"sleep 1000 >/dev/null & echo $! >{pid}; echo said >&2"
    assert processes.run(["sh", "-c", script], timeout=30).stderr == "said\n"
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_program_ends_with_the_block_that_it_runs_in() -> None:
    with processes.running(WAIT) as program:
        pid = int(next(program.lines()))
        assert not program.ends_within(0.0)
        assert is_running(pid)
    assert not is_running(pid)


def test_a_program_that_does_not_heed_being_told_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.1)
    stubborn = "trap '' TERM; echo $$; while :; do sleep 0.1; done"
    with processes.running(["sh", "-c", stubborn]) as program:
        pid = int(next(program.lines()))
    assert not is_running(pid)


def test_a_look_at_standard_error_loses_nothing_of_it() -> None:
    script = 'n=0; while [ "$n" -lt 500 ]; do n=$((n + 1)); echo "$n" >&2; done'
    command = ["sh", "-c", script]
    with processes.running(command, input="", discard_output=True) as program:
        while not program.ends_within(0.0):
            program.errors()
        assert program.errors().split() == [str(number) for number in range(1, 501)]


def test_what_a_program_says_can_be_seen_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    done = processes.run(["sh", "-c", "echo Welcome >&2"], echo_errors=True)
    assert done.stderr == "Welcome\n"
    assert capfd.readouterr().err == "Welcome\n"


def test_a_program_with_a_window_is_left_alone(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 1000"]
    assert processes.start(command, seconds=0.1) is None
    wait_until(pid.exists)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    ended = processes.start(["sh", "-c", "echo why >&2; exit 4"], seconds=30)
    assert ended == processes.Result(returncode=4, stdout="why\n", stderr="")


@pytest.mark.parametrize(
    ("program", "platform", "has_apt", "hint"),
    [
        ("ssh", "linux", True, "sudo apt install openssh-client"),
        ("ssh-keygen", "linux", False, "sudo dnf install openssh-clients"),
        ("ssh", "darwin", False, "comes with macOS"),
        ("ssh", "win32", False, "Add > OpenSSH Client"),
        ("git", "linux", True, "sudo apt install git"),
        ("git", "linux", False, "sudo dnf install git"),
        ("git", "darwin", False, "xcode-select --install"),
        ("git", "win32", False, "Git for Windows"),
        ("rsync", "linux", True, "sudo apt install rsync"),
        ("sh", "win32", False, "Git for Windows"),
        ("code", "linux", True, "see that it is on your PATH"),
    ],
)
def test_a_missing_program_is_told_with_how_to_get_that_very_program(
    program: str, platform: str, has_apt: bool, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda name: name if has_apt else None)
    error = processes.program_missing(program)
    assert error.message == f"The program {program} is not installed."
    assert hint in (error.hint or "")


def test_what_cannot_be_started_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "no-program").write_text("")
    for command, folder, words in (
        (["no-such-program"], None, "The program no-such-program is not installed"),
        ([str(tmp_path / "no-program")], None, "cannot be started: Permission denied"),
        (["true"], tmp_path / "nowhere", "There is no folder"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            processes.run(command, folder=folder)
