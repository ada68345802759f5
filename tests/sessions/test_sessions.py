"""`lab jupyter` and `lab tensorboard` from start to stop, and what may go wrong there."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from accounts import run_as_another_user
from needs import need_program
from session_fixtures import Command, Desk
from session_kernel import FORK, Kernel
from session_watch import processes_below
from tool_helpers import wait_until

pytestmark = pytest.mark.slow

FIND_TOOL = """
import importlib.util, sys
print(importlib.util.find_spec("ml_remote"), any(".lab/far" in path for path in sys.path))
"""
ADDRESS = r"open-tensorboard-(\d+)\.html"


def started(desk: Desk, kind: str = "tensorboard") -> Command:
    """Open a session, TensorBoard unless told otherwise, and wait until it answers."""
    command = desk.start(kind, "--no-browser")
    command.read_page()
    return command


def directory(desk: Desk) -> Path:
    """Return where the socket of the newest session is."""
    newest = max(desk.there.glob(".lab/jobs/*/session"), key=lambda path: path.stat().st_mtime)
    return Path(newest.read_text().strip())


def running(desk: Desk) -> list[str]:
    return [command for command in processes_below(desk.there).values() if " serve " in command]


def test_session_goes_on_without_the_tunnel_until_it_is_stopped(desk: Desk) -> None:
    secrets = desk.there / ".lab" / "secrets"
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "KEPT").write_text("value of KEPT")
    command = desk.start("jupyter", "--no-browser")
    page = command.read_page()
    assert page.stat().st_mode & 0o777 == 0o600
    kernel = Kernel(page)
    secret = kernel.run("import os; kept = os.urandom(8).hex(); print(kept)")
    assert kernel.run(FIND_TOOL) == "None False\n"  # cells see nothing of what starts them
    assert kernel.run("print(os.environ['KEPT'])") == "value of KEPT\n"
    # A commit in a terminal there has the name from here, as git there knows none.
    assert (
        kernel.run("print(os.environ['GIT_AUTHOR_EMAIL'])")
        == desk.project.run("git", "config", "user.email").stdout
    )
    assert command.interrupt() == 0
    assert "A session on handwriting-lab continues" in command.said
    assert not page.exists()

    again = started(desk, "jupyter")
    assert "JupyterLab already runs on handwriting-lab" in again.said
    assert kernel.run("print(kept)") == secret
    assert kernel.run(FORK, until="from the fork")
    assert re.search("JupyterLab +running", desk.lab("jupyter", "--list").stdout)
    assert len(running(desk)) == 1

    place = directory(desk)
    stopped = desk.lab("jupyter", "--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert again.wait() == 0
    assert "has ended" in again.said
    assert processes_below(desk.there) == {}
    assert not place.exists()
    assert "running" not in desk.lab("jupyter", "--list").stdout
    assert "No JupyterLab session runs" in desk.lab("jupyter", "--stop").stdout


def is_bound(end: socket.socket, port: int) -> bool:
    with suppress(OSError):
        end.bind(("127.0.0.1", port))
    return bool(end.getsockname()[1])


def test_port_that_is_taken_is_left_alone(desk: Desk) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: is_bound(other, 6006))  # another test may have TensorBoard there
        other.listen()
        command = started(desk)
        port = re.search(ADDRESS, command.said)
        assert port is not None
        assert int(port[1]) != 6006
        assert "Another program on this computer uses port 6006" in command.said
    assert command.interrupt() == 0


def test_tunnel_of_a_killed_command_ends_by_itself(desk: Desk) -> None:
    command = started(desk)
    (ssh,) = [
        int(line.split()[0])
        for line in subprocess.run(
            [need_program("ps"), "-A", "-ww", "-o", "pid=,args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        if f":{directory(desk)}/socket" in line
    ]
    descriptor = os.pidfd_open(ssh)
    command.process.send_signal(signal.SIGKILL)
    command.wait()
    signal_of_the_end, _, _ = select.select([descriptor], [], [], 60)
    assert signal_of_the_end
    os.close(descriptor)
    assert len(running(desk)) == 1
    assert started(desk).interrupt() == 0  # over the page that was left behind


def test_killed_session_is_told_and_its_socket_does_not_disturb_the_next(desk: Desk) -> None:
    command = started(desk)
    place = directory(desk)
    (server,) = [
        process for process, words in processes_below(desk.there).items() if " serve " in words
    ]
    os.kill(server, signal.SIGKILL)
    assert command.wait() == 1
    assert "exit code 137" in command.said
    assert (place / "socket").exists()
    assert started(desk).interrupt() == 0
    assert not place.exists()
    assert directory(desk) != place


def test_what_is_missing_on_the_machine_is_told(desk: Desk) -> None:
    path = desk.there / ".venv"
    path.rename(desk.there / "away")
    failed = desk.lab("jupyter")
    (desk.there / "away").rename(path)
    assert failed.returncode == 1
    assert "Next: lab setup" in failed.stderr
    assert "Traceback" not in failed.stderr
    desk.there.rename(desk.there.parent / "away")
    failed = desk.lab("tensorboard")
    (desk.there.parent / "away").rename(desk.there)
    assert failed.returncode == 1
    assert "no folder" in failed.stderr


def test_other_users_of_the_machine_get_nowhere(desk: Desk) -> None:
    command = started(desk)
    place = directory(desk)
    attempt = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); "
        "print(s.connect_ex(sys.argv[1] + '/socket'), end=' ')\n"
        "try: open(sys.argv[1] + '/token')\n"
        "except OSError as error: print(error.errno)"
    )
    assert run_as_another_user(attempt, str(place)) == ["13", "13"]  # EACCES
    assert command.interrupt() == 0


def test_unused_session_ends_after_the_time_in_lab_toml(desk: Desk) -> None:
    settings = desk.project.path / "lab.toml"
    before = settings.read_text()
    settings.write_text(before.replace("idle_hours = 12", "idle_hours = 0.006"))
    try:
        command = started(desk)
        assert command.wait() == 0
    finally:
        settings.write_text(before)
    assert "has ended" in command.said


def test_idle_hours_must_be_a_number(desk: Desk) -> None:
    settings = desk.project.path / "lab.toml"
    before = settings.read_text()
    settings.write_text(before.replace("idle_hours = 12", 'idle_hours = "long"'))
    try:
        failed = desk.lab("jupyter")
    finally:
        settings.write_text(before)
    assert failed.returncode == 1
    assert "idle_hours in [sessions] is 'long'" in failed.stderr


def test_list_and_stop_together_are_wrong_usage(desk: Desk) -> None:
    assert desk.lab("jupyter", "--list", "--stop").returncode == 2
