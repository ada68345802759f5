"""The guard before TensorBoard, which anybody who reaches the tunnel's port can send anything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from ml_remote.far.env.sessions.tensorboard import Guard, StartResponse

TOKEN = "0123456789abcdef"
FORM = f"token={TOKEN}"


class Quiet(WSGIRequestHandler):
    """Writes no lines to the screen."""

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def board(environ: dict[str, object], start: StartResponse) -> list[bytes]:
    """Stand in for TensorBoard."""
    start("200 OK", [])
    return [b"curves"]


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(board, TOKEN)


@pytest.fixture(scope="module")
def port(guard: Guard) -> Iterator[int]:
    """Yield a port on which the guard answers."""
    with make_server("127.0.0.1", 0, guard, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def answer(port: int, request: str) -> str:
    """Send a request and keep the connection open; return all that is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        return connection.makefile(encoding="latin-1").read()


def login(*head: str, body: str = FORM) -> str:
    return "\n".join(["POST /login HTTP/1.1", "Host: 127.0.0.1:6006", *head, "", body])


def length(text: str) -> str:
    return f"Content-Length: {text}"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (login(length(str(len(FORM)))), "303"),
        (login(length("11"), body="token=wrong"), "403"),
        (login(length("0")), "403"),
        (login(length("-1")), "400"),
        (login(length("-99999999999999")), "400"),
        (login(length("+22")), "400"),
        (login(length("2_2")), "400"),
        (login(length("2\u00b2")), "400"),
        (login(length("many")), "400"),
        (login(length("22, 22")), "400"),
        (login(length("4097")), "413"),
        (login(length("9" * 5000)), "413"),
        (login(), "400"),
        (login("Transfer-Encoding: chunked", body="16\n" + FORM + "\n0\n\n"), "400"),
        (login("Transfer-Encoding: chunked", length("22")), "400"),
        ("GET / HTTP/1.1\nCookie: lab-tensorboard-80=wrong\n\n", "403"),
        ('GET / HTTP/1.1\nCookie: \u00e4;;=;"\nHost: \u00b2:\u00b2\n\n', "403"),
        ("GET /login HTTP/1.1\n\n", "403"),
        (f"GET /login?token={TOKEN} HTTP/1.1\n\n", "403"),
        (f"GET / HTTP/1.1\nCookie: lab-tensorboard-80={TOKEN}\n\n", "200"),
    ],
    ids=lambda text: repr(text[:60]),
)
def test_request_is_answered_at_once_and_let_through_only_with_the_token(
    port: int, guard: Guard, request_text: str, status: str
) -> None:
    before = time.monotonic()
    said = answer(port, request_text)
    assert said.split()[1] == status, said
    assert ("curves" in said) is (status == "200")
    # Strangers do not keep a session from ending.
    assert (guard.last_request >= before) is (status in ("200", "303"))
