"""Running programs on this computer: what they print, how they end, what a missing one is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_helpers import wait_until

from ml_remote import processes
from ml_remote.errors import ConfigurationError
from ml_remote.jobs import following
from ml_remote.processes import TooMuchError

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
        ("code", "linux", True, "check that it is on your PATH"),
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


def test_a_folder_on_path_that_may_not_be_read_does_not_hide_that_a_program_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "another account's").mkdir(mode=0)
    monkeypatch.setenv("PATH", str(tmp_path / "another account's"), prepend=os.pathsep)
    with pytest.raises(ConfigurationError, match="no-such-program is not installed"):
        processes.run(["no-such-program"])


@pytest.mark.parametrize("where", ["1", "2"], ids=["output", "messages"])
def test_a_program_that_does_not_stop_printing_is_ended(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST_OUTPUT", 2**20)
    monkeypatch.setattr(processes, "MOST_ERRORS", 2**20)
    with pytest.raises(TooMuchError, match="sh was ended"):
        processes.run(["sh", "-c", f"exec yes >&{where}"], timeout=60)


def test_of_very_many_messages_both_ends_are_read() -> None:
    script = "echo first >&2; yes middle | head -c 500000 >&2; echo last >&2"
    done = processes.run(["sh", "-c", script])
    assert done.stderr.startswith("first\n")
    assert done.stderr.endswith("last\n")
    assert len(done.stderr) < 70_000


def test_a_long_line_is_taken_in_pieces() -> None:
    with processes.running(["sh", "-c", "yes | tr -d '\\n' | head -c 300000"]) as program:
        lines = list(program.lines())
    assert max(map(len, lines)) <= processes.LONGEST_LINE
    assert "".join(lines) == "y" * 300_000


def test_a_line_of_a_log_takes_time_by_its_length() -> None:
    lines: list[str] = []
    log = following._Log(lines.append, following.Cancel())
    text = b"x" * 12_000_000 + b"\r\nshort\r 50 %\r100 %\rend"
    begun = time.monotonic()
    rest = log._pass_on(text[at : at + 65536] for at in range(0, len(text), 65536))
    assert time.monotonic() - begun < 3
    assert "".join(lines) == "x" * 12_000_000 + "short 50 %100 %"
    assert max(map(len, lines)) <= processes.LONGEST_LINE
    assert rest == b"end"
    assert log.offset == len(text) - len(rest)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"bc\n"])), st.integers(1, 5))
def test_lines_of_a_log_do_not_depend_on_how_they_come(parts: list[bytes], size: int) -> None:
    text = b"".join(parts)
    whole: list[str] = []
    pieces: list[str] = []
    rest = following._Log(whole.append, following.Cancel())._pass_on(iter([text]))
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    assert following._Log(pieces.append, following.Cancel())._pass_on(iter(cut)) == rest
    assert pieces == whole
