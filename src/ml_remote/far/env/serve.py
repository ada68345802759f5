"""Serve JupyterLab or TensorBoard on a Unix socket that no other user of the machine can reach.

    .venv/bin/python .lab/far/current serve jupyter --idle-hours 12

`lab jupyter` and `lab tensorboard` run this on the remote machine and forward a port of the laptop
to the socket. Socket and token lie in a new directory below /tmp that only its owner may enter; its
path is written to the file `session` in the folder that LAB_JOB_FOLDER names. Nothing listens on
a TCP port: kernels talk over sockets in that directory, too. Only one of each kind runs at a time
for a project; the exit code is 75 when there is one already.
"""

from __future__ import annotations

import argparse
import atexit
import fcntl
import hmac
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs

from .parameters import project_root

FAR_HALF = Path(__file__).resolve().parents[3]
ALREADY_SERVED = 75  # EX_TEMPFAIL in sysexits.h
LONGEST_FORM = 4096  # bytes

# What a WSGI server calls (https://peps.python.org/pep-3333/).
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def main(arguments: list[str]) -> int:
    """Serve until told to stop, or until nobody has used it for the given time."""
    parser = argparse.ArgumentParser(description="Serve JupyterLab or TensorBoard on a socket.")
    parser.add_argument("kind", choices=["jupyter", "tensorboard"])
    parser.add_argument("--idle-hours", type=float, default=0, help="0, the default: never end")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    os.chdir(project_root())
    # What cells and terminals call, such as dot and pip, is the environment's.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lock = take_lock(options.kind)
    if lock is None:
        print(f"A {options.kind} session of this project runs already.", file=sys.stderr)
        return ALREADY_SERVED
    serve = serve_jupyter if options.kind == "jupyter" else serve_tensorboard
    serve(make_session_directory(lock), idle_seconds=options.idle_hours * 3600)
    return 0


def take_lock(kind: str) -> IO[str] | None:
    """Return this project's lock, open and held, or None when another session holds it."""
    folder = project_root() / ".lab"
    folder.mkdir(exist_ok=True)
    lock = (folder / f"{kind}.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def make_session_directory(lock: IO[str]) -> Path:
    """Make the private directory with a token in it, announce it, and have it removed at the end.

    It is below /tmp because the path of a socket may only have about 100 bytes. The lock file keeps
    its path: what a session that was killed left behind is removed by the next one.
    """
    directory = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
    # Registered before anything of TensorBoard's, which writes into it once more when it ends.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lock.seek(0)
    remove_leftover(Path(lock.read().strip()))
    lock.truncate(0)
    lock.write(f"{directory}\n")
    lock.flush()
    # What tidies /tmp up leaves a locked directory alone (tmpfiles.d(5)).
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    (directory / "token").write_text(secrets.token_hex(24))
    announcement = Path(os.environ["LAB_JOB_FOLDER"]) / "session"
    complete = announcement.with_suffix(".new")
    complete.write_text(f"{directory}\n")
    complete.replace(announcement)
    return directory


def remove_leftover(directory: Path) -> None:
    """Remove the directory of a session that was killed, if it is still there and ours."""
    try:
        ours = directory.lstat().st_uid == os.getuid()
    except FileNotFoundError:
        return
    if ours and directory.parent == Path("/tmp") and directory.name.startswith("lab-"):
        shutil.rmtree(directory, ignore_errors=True)


def serve_jupyter(directory: Path, *, idle_seconds: float) -> None:
    """Serve JupyterLab for the project, labs opening as notebooks.

    It ends when no cell has run and no browser was there for `idle_seconds`; 0 means never.
    """
    from ipykernel.kernelspec import write_kernel_spec
    from jupyter_core.paths import jupyter_config_dir
    from jupyterlab.labapp import LabApp

    # The person's own look of JupyterLab stays; a password, port or certificate that they may have
    # set for their own servers would keep this one from being reached.
    own = Path(jupyter_config_dir()) / "lab"
    os.environ |= {
        "JUPYTERLAB_SETTINGS_DIR": str(own / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_RUNTIME_DIR": str(directory / "run"),
        "JUPYTER_TOKEN_FILE": str(directory / "token"),
        "JUPYTER_PATH": str(directory / "data"),
    }
    kernel = [sys.executable, str(FAR_HALF), "kernel", "-f", "{connection_file}"]
    write_kernel_spec(
        directory / "data" / "kernels" / "python3",
        # No debugger either: it listens on TCP, and whoever connects can run code as the person.
        overrides={"argv": kernel, "metadata": {}},
    )
    write_lab_settings(directory / "config" / "labconfig")
    seconds = max(1, round(idle_seconds)) if idle_seconds else 0
    check = min(60, seconds)
    settings = {
        "ServerApp.sock": directory / "socket",
        "ServerApp.root_dir": project_root(),
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.shutdown_no_activity_timeout": seconds,
        "KernelManager.transport": "ipc",
        "MappingKernelManager.cull_idle_timeout": seconds,
        "MappingKernelManager.cull_interval": check,
        "TerminalManager.cull_inactive_timeout": seconds,
        "TerminalManager.cull_interval": check,
    }
    LabApp.launch_instance([f"--{name}={value}" for name, value in settings.items() if value != 0])


def write_lab_settings(folder: Path) -> None:
    """Have JupyterLab open scripts as notebooks, and leave out what no kernel here offers."""
    folder.mkdir(parents=True)
    overrides = {
        "@jupyterlab/docmanager-extension:plugin": {
            "defaultViewers": {"python": "Jupytext Notebook"}
        },
        "@jupyterlab/apputils-extension:notification": {
            "checkForUpdates": False,
            "doNotDisturbMode": False,
            "fetchNews": "false",
        },
    }
    (folder / "default_setting_overrides.json").write_text(json.dumps(overrides))
    page = {"disabledExtensions": {"@jupyterlab/debugger-extension": True}}
    (folder / "page_config.json").write_text(json.dumps(page))


def serve_tensorboard(directory: Path, *, idle_seconds: float) -> None:
    """Serve TensorBoard for `outputs/`; it ends after `idle_seconds` without a request."""
    from tensorboard import program
    from werkzeug.serving import WSGIRequestHandler, make_server

    class QuietHandler(WSGIRequestHandler):
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
    board.configure(argv=["tensorboard", "--logdir", "outputs", "--load_fast", "false"])
    board.main()


class Guard:
    """Lets nobody through to an application without the token, which TensorBoard has no notion of.

    A form posted to /login with the token sets a cookie; every other request must bring it.
    """

    def __init__(self, application: Application, token: str) -> None:
        self._application = application
        self._token = token
        self.last_request = time.monotonic()

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        self.last_request = time.monotonic()
        if environ["PATH_INFO"] == "/login" and environ["REQUEST_METHOD"] == "POST":
            return self._log_in(environ, start)
        if self._is_token(self._cookie(environ)):
            return self._application(environ, start)
        return _answer(start, HTTPStatus.FORBIDDEN, "Open it with: lab tensorboard")

    def _log_in(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_FORM)
        form = parse_qs(environ["wsgi.input"].read(length).decode("ascii", "replace"))
        given = form.get("token", [""])[0]
        if not self._is_token(given):
            return _answer(start, HTTPStatus.FORBIDDEN, "Open it with: lab tensorboard")
        cookie = f"{self._cookie_name(environ)}={given}; Path=/; HttpOnly; SameSite=Lax"
        return _answer(start, HTTPStatus.SEE_OTHER, "", Location="/", **{"Set-Cookie": cookie})

    def _cookie(self, environ: dict[str, Any]) -> str:
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
        return hmac.compare_digest(given.encode(), self._token.encode())


def _answer(start: StartResponse, status: HTTPStatus, text: str, **headers: str) -> Iterable[bytes]:
    start(
        f"{status.value} {status.phrase}",
        [("Content-Type", "text/plain; charset=utf-8"), *headers.items()],
    )
    return [text.encode()]
