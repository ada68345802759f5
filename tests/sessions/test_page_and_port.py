"""The page that logs in to a session, and the port of this computer that leads there."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from accounts import run_as_another_user
from needs import need_root

from ml_remote.desktop import open_link
from ml_remote.sessions import browser
from ml_remote.sessions.port import KeptPort, take_port

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
    assert [left.name for left in path.parent.iterdir()] == [".gitignore"]


def test_page_of_another_command_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "open.html"
    with browser.login_page(path, title="one", action=ACTION, token=TOKEN):
        path.write_text("another")
    assert path.read_text() == "another"


def test_page_opens_in_the_browser_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "opened"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >"{opened}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    page = tmp_path / "a page.html"
    assert open_link(page)
    assert opened.read_text() == f"{page.as_uri()}\n"


def test_no_browser_is_started_without_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not open_link(Path("/nowhere.html"))


@pytest.mark.parametrize(
    ("program", "code"),
    [("xdg-open", 3), ("browser", 1), (None, 0)],
    ids=["xdg-open finds none", "it fails at once", "there is none"],
)
def test_display_without_a_browser_is_not_called_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, code: int
) -> None:
    for name in ("BROWSER", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    if program is not None:
        (tmp_path / program).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / program).chmod(0o755)
    if program == "browser":
        monkeypatch.setenv("BROWSER", str(tmp_path / program))
    assert not open_link(Path("/nowhere.html"))


def test_port_is_the_preferred_one_or_near_it() -> None:
    with take_port(0) as taken:
        preferred = taken.getsockname()[1]
        with take_port(preferred) as listener:
            assert listener.getsockname() != taken.getsockname()
            assert listener.getsockname()[0] == "127.0.0.1"
    with take_port(preferred) as listener:
        assert listener.getsockname()[1] == preferred


def test_ports_that_may_not_be_used_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.bind

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] != 0:
            raise PermissionError(errno.EACCES, "not for you")
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    with take_port(80) as listener:
        assert listener.getsockname()[1] > 0


@pytest.fixture
def kept() -> Iterator[KeptPort]:
    with KeptPort(0) as port:
        yield port


def echo(listener: socket.socket) -> None:
    """Answer one connection with what it says until it says no more, and close it."""
    connection, _ = listener.accept()
    with connection:
        while piece := connection.recv(2**16):
            connection.sendall(piece)


def ask(port: KeptPort, text: bytes) -> bytes:
    """Send a text to the port; return what comes back before the other side closes."""
    with socket.create_connection(("127.0.0.1", port.number), timeout=20) as connection:
        answer = bytearray()
        with suppress(ConnectionError):
            sender = threading.Thread(target=connection.sendall, args=(text,))
            if text:
                sender.start()
            while len(answer) < len(text) and (piece := connection.recv(2**16)):
                answer += piece
            if text:
                sender.join()
            connection.shutdown(socket.SHUT_WR)
            answer += connection.recv(1)  # the end comes back, too
    return bytes(answer)


def test_connections_go_the_way_that_is_open_and_are_closed_without_one(kept: KeptPort) -> None:
    assert ask(kept, b"") == b""  # closed, not refused: nobody else listens there
    text = os.urandom(2**20)
    for _ in range(2):
        way = kept.new_way()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(way))
            listener.listen()
            server = threading.Thread(target=echo, args=(listener,))
            server.start()
            kept.lead(way)
            assert ask(kept, text) == text
            server.join()
        assert ask(kept, b"") == b""  # nobody listens behind it any more
        kept.lead(None)
        assert ask(kept, b"") == b""


def test_way_is_only_for_the_person_and_goes_at_the_end() -> None:
    with KeptPort(0) as port:
        folder = Path(str(port.new_way())).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert port.new_way() != port.new_way()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        ask(port, b"")


def test_nobody_takes_a_port_that_leads_nowhere(kept: KeptPort) -> None:
    need_root("be another user")
    attempt = (
        "import socket, sys\n"
        "for address in ('127.0.0.1', '0.0.0.0'):\n"
        "    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "    try: s.bind((address, int(sys.argv[1]))); s.listen(); print('taken')\n"
        "    except OSError as error: print(error.errno)"
    )
    taken = run_as_another_user(attempt, str(kept.number))
    assert taken == [str(errno.EADDRINUSE)] * 2
