"""The page that logs in to a session, and the port of this computer that leads there."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from ml_remote.sessions import browser
from ml_remote.sessions.tunnel import free_port

ACTION = "http://127.0.0.1:8888/login?next=/lab"
TOKEN = "0123456789abcdef"


def test_page_is_for_the_person_only_and_goes_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / ".lab" / "open.html"
    path.parent.mkdir()
    path.write_text("left behind by a command that was killed")
    path.chmod(0o644)
    with browser.login_page(path, title="<Jupyter>", action=ACTION, token=TOKEN) as page:
        text = page.read_text()
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert TOKEN in text
        assert f'action="{ACTION}"' in text
        assert "<Jupyter>" not in text
        assert "?token" not in text  # an address would stay in the browser's history
    assert list(path.parent.iterdir()) == []


def test_page_of_another_command_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "open.html"
    with browser.login_page(path, title="one", action=ACTION, token=TOKEN):
        path.write_text("another")
    assert path.read_text() == "another"


def test_page_opens_in_the_browser_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "opened"
    os.mkfifo(pipe)
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >"{pipe}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    page = tmp_path / "a page.html"
    assert browser.show(page)
    assert pipe.read_text() == f"{page.as_uri()}\n"


def test_no_browser_is_started_without_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not browser.show(Path("/nowhere.html"))


def test_free_port_is_near_the_preferred_one_and_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        preferred = taken.getsockname()[1]
        port = free_port(preferred)
        assert port != preferred
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert free_port(preferred) == preferred


def test_free_port_passes_over_ports_that_may_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.bind

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] != 0:
            raise PermissionError(errno.EACCES, "not for you")
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    assert free_port(80) > 0
