"""TensorBoard for the results in `outputs/`.

The laptop imports this, too; what it takes to serve is imported where that is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .kind import Kind

if TYPE_CHECKING:
    from .run_names import NamedRuns

__all__ = ["KIND", "Guard"]

_LONGEST_FORM = 4096  # bytes
_BETWEEN_LOOKS = 5.0  # seconds
_PATIENCE = 60  # seconds for the next piece of a request

# What a WSGI server calls (https://peps.python.org/pep-3333/).
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def serve(directory: Path, idle_seconds: float) -> None:
    """Serve TensorBoard for `outputs/`; it ends after `idle_seconds` without a request."""
    import tempfile

    from tensorboard import program
    from werkzeug.serving import WSGIRequestHandler, make_server

    from .run_names import NamedRuns

    class QuietHandler(WSGIRequestHandler):
        timeout = _PATIENCE

        def log_request(self, *_: object) -> None:
            """Write no line for a request: the log would grow as long as a page is open."""

    class SocketServer:
        """What TensorBoard asks of a server, on a socket."""

        def __init__(self, application: Application, _flags: object) -> None:
            self._guard = Guard(application, (directory / "token").read_text())
            self._server = make_server(
                f"unix://{directory / 'socket'}",
                0,
                self._guard,
                threaded=True,
                request_handler=QuietHandler,
            )

        def serve_forever(self) -> None:
            if idle_seconds:
                threading.Thread(target=self._end_when_idle, daemon=True).start()
            self._server.serve_forever()

        def _end_when_idle(self) -> None:
            while (left := self._guard.last_request + idle_seconds - time.monotonic()) > 0:
                time.sleep(left)
            self._server.shutdown()

        def get_url(self) -> str:
            return "http://localhost:0/"  # TensorBoard insists on a port

        def print_serving_message(self) -> None:
            print("TensorBoard serves outputs/.", flush=True)

    # TensorBoard tells others of itself in a directory that all users share, unless there is this.
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    board = program.TensorBoard(server_class=SocketServer)
    # Its fast loader is a process of its own that listens on a TCP port.
    runs = NamedRuns(Path("outputs").resolve(), directory / "runs")
    runs.refresh()
    threading.Thread(target=_keep_naming, args=(runs,), daemon=True).start()
    logdir = str(directory / "runs")
    board.configure(argv=["tensorboard", "--logdir", logdir, "--load_fast", "false"])
    board.main()


def _keep_naming(runs: NamedRuns) -> None:
    """Make TensorBoard find new runs for as long as this process lives."""
    while True:
        time.sleep(_BETWEEN_LOOKS)
        runs.refresh()


class Guard:
    """Rejects requests without the token, which TensorBoard itself does not check.

    A form posted to /login with the token sets a cookie; every other request must bring it. Who has
    no token can be anybody: nothing of theirs is read but a short form, and they keep no session
    from ending.
    """

    def __init__(self, application: Application, token: str) -> None:
        self._application = application
        self._token = token
        self.last_request = time.monotonic()

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == "/login" and environ["REQUEST_METHOD"] == "POST":
            return self._log_in(environ, start)
        if self._is_token(self._cookie(environ)):
            self.last_request = time.monotonic()
            return self._application(environ, start)
        return _answer(start, "403 Forbidden", "Open it with: lab tensorboard")

    def _log_in(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        length = _form_length(environ)
        if length is None:
            return _answer(start, "400 Bad Request", "The length of the form is missing or wrong.")
        if length > _LONGEST_FORM:
            return _answer(start, "413 Content Too Large", "The form is too long.")
        form = parse_qs(environ["wsgi.input"].read(length).decode("ascii", "replace"))
        given = form.get("token", [""])[0]
        if not self._is_token(given):
            return _answer(start, "403 Forbidden", "Open it with: lab tensorboard")
        self.last_request = time.monotonic()
        cookie = f"{self._cookie_name(environ)}={given}; Path=/; HttpOnly; SameSite=Lax"
        return _answer(start, "303 See Other", "", Location="/", **{"Set-Cookie": cookie})

    def _cookie(self, environ: dict[str, Any]) -> str:
        from http.cookies import CookieError, SimpleCookie

        try:
            cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        except CookieError:
            return ""
        cookie = cookies.get(self._cookie_name(environ))
        return cookie.value if cookie else ""

    def _cookie_name(self, environ: dict[str, Any]) -> str:
        """Return a name of this tunnel's own: browsers share cookies between ports of a host."""
        port = environ.get("HTTP_HOST", "").rpartition(":")[2]
        return f"lab-tensorboard-{port if port.isdecimal() else 80}"

    def _is_token(self, given: str) -> bool:
        import hmac

        return hmac.compare_digest(given.encode(), self._token.encode())


def _form_length(environ: dict[str, Any]) -> int | None:
    """Return how many bytes a form has, or None when its head does not say so in one number."""
    text = environ.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in environ or not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) < 10 else _LONGEST_FORM + 1


def _answer(start: StartResponse, status: str, text: str, **headers: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8"), *headers.items()])
    return [text.encode()]


KIND = Kind(
    title="TensorBoard",
    description="""\
    It shows the curves of every run in outputs/, live. It is as private as `lab jupyter` and
    reconnects the same way.
    """,
    port=6006,
    start_page="/",
    what_next="run a lab; its curves appear while it trains.",
    serve=serve,
)
