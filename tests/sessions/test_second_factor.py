"""JupyterLab where every login asks for a code: over the shared connection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import accounts
import pytest
import second_factor
from session_fixtures import Desk
from session_kernel import Kernel
from tool_helpers import at_terminal

pytestmark = pytest.mark.slow


@pytest.fixture
def asking(desk: Desk) -> Iterator[dict[str, str]]:
    """Make the server ask for a code after the key; return the variables that answer it."""
    second_factor.need_second_factor()
    server = desk.server
    with accounts.folder_of_its_own() as folder:
        secret = second_factor.secret_file(folder)
        rules = second_factor.CODE_ALONE.format(secret=secret)
        with second_factor.pam_service(rules) as prefix:
            before = dict(server.options)
            server.stop()
            server.prefix = prefix
            server.start(
                UsePAM="yes",
                KbdInteractiveAuthentication="yes",
                PermitRootLogin="yes",
                AuthenticationMethods="publickey,keyboard-interactive",
            )
            desk.laptop.run_ssh("-O", "exit", desk.project.path.name)
            yield desk.laptop.askpass(second_factor.code_now())
            desk.laptop.run_ssh("-O", "exit", desk.project.path.name)
            server.stop()
            server.prefix = ()
            server.options.clear()
            server.start(**before)


def started_there(desk: Desk) -> list[Path]:
    return sorted((desk.there / ".lab" / "jobs").glob("*"))


def test_jupyter_uses_the_shared_connection_and_comes_back_with_it(
    desk: Desk, asking: dict[str, str]
) -> None:
    alias = desk.project.path.name
    before = started_there(desk)
    refused = desk.lab("jupyter", "--no-browser")
    assert refused.returncode == 1
    assert "asks for keyboard-interactive" in refused.stderr
    assert started_there(desk) == before

    assert desk.lab("runs", **asking).returncode == 0
    command = desk.start("jupyter", "--no-browser")
    kernel = Kernel(command.read_page())
    secret = kernel.run("import os; kept = os.urandom(8).hex(); print(kept)")
    assert len(desk.laptop.questions) == 1
    desk.laptop.run_ssh("-O", "exit", alias)
    command.read_until("was lost. The session continues; connecting again")
    command.read_until("there is no terminal to ask in")
    assert desk.lab("runs", **asking).returncode == 0
    command.read_until("Connected to .* again")
    assert kernel.run("print(kept)") == secret
    assert command.interrupt() == 0
    _assert_run_is_followed_to_its_end(desk)


def _assert_run_is_followed_to_its_end(desk: Desk) -> None:
    """Lose the shared connection while a run is followed; log in again as the person."""
    go = desk.there / "go"
    greeting = desk.server.account.home / ".bashrc"  # it would keep results from being copied
    aside = greeting.rename(greeting.with_suffix(".aside"))

    def lose() -> None:
        desk.laptop.run_ssh("-O", "exit", desk.project.path.name)
        go.touch()

    work = "echo begun; until [ -e go ]; do sleep 0.2; done; echo all done"
    try:
        code, screen = at_terminal(
            [sys.executable, "-B", "lab.py", "run", "--", "sh", "-c", work],
            answers={"Press Enter to log in:": "", "Verification code:": second_factor.code_now()},
            folder=desk.project.path,
            variables={"LAB_SSH_DIR": str(desk.laptop.ssh)},
            when_shown=("begun\r\n", lose),
        )
    finally:
        go.unlink(missing_ok=True)
        aside.rename(greeting)
    assert code == 0, screen
    assert f"The connection to {desk.project.path.name} is back." in screen
    assert "Press Enter to log in:" in screen
    assert "all done" in screen


def test_nothing_is_started_where_no_tunnel_can_come_back(desk: Desk) -> None:
    """The shared connection is open, and a login of its own is refused."""
    before = started_there(desk)
    assert desk.lab("runs").returncode == 0
    keys = desk.server.account.authorized_keys.read_text()
    desk.server.account.authorize()
    try:
        done = desk.lab("jupyter", "--no-browser")
    finally:
        desk.server.account.authorize(keys)
    assert done.returncode == 1
    assert "refused the login" in done.stderr
    assert started_there(desk) == before
