"""How long `lab jupyter` takes until its first request is answered, and how it recovers.

Run: python benchmarks/jupyter.py [--runs N]. Prints medians in seconds, beside those of the parts
(JupyterLab itself, one ssh connection) and of jupyter-forward from PyPI with the same server.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

import openssh_server  # noqa: E402
import session_fixtures  # noqa: E402
from baking import environment_variables, isolated_variables  # noqa: E402
from environment import lab_environment  # noqa: E402
from rig import answers  # noqa: E402
from session_fixtures import Desk  # noqa: E402

from ml_remote.far.installed import FAR, install  # noqa: E402

FORWARD = TEMPLATE_ROOT / "build" / "benchmarks" / "jupyter-forward"


def main() -> None:
    """Measure everything in turn, so that a busy moment hits all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured")
    runs = parser.parse_args().runs
    environment = lab_environment()
    install_jupyter_forward()
    with (
        tempfile.TemporaryDirectory() as home,
        environment_variables(isolated_variables(Path(home))),
        session_fixtures.desk(environment) as desk,
    ):
        measures: dict[str, Callable[[Desk], float]] = {
            "JupyterLab itself, on the server": jupyterlab_alone,
            "one ssh connection": one_connection,
            "lab jupyter": lab_jupyter,
            "lab jupyter, the session runs": reattach,
            "lab jupyter: server back to connected": recovery,
            "jupyter-forward": jupyter_forward,
        }
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(runs):
            for name, measure in measures.items():
                taken[name].append(measure(desk))
    print(f"{'':40} {'median':>8} {'fastest':>8} {'slowest':>8}  (s, {runs} runs each)")
    for name, times in taken.items():
        print(f"{name:40} {statistics.median(times):8.2f} {min(times):8.2f} {max(times):8.2f}")


def jupyterlab_alone(desk: Desk) -> float:
    """Return how long the far half's `serve` takes to its first answer, started without ssh."""
    desk.end_sessions()
    far = install(desk.there / FAR)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [desk.there / ".venv/bin/python", far, "serve", "jupyter"],
            cwd=desk.there,
            env={
                **os.environ,
                "LAB_JOB_FOLDER": f"{folder}/",
                "HOME": str(desk.server.account.home),
            },
            stderr=subprocess.DEVNULL,
        )
        session = Path(folder) / "session"
        wait_until(session.exists, process)
        path = f"{session.read_text().strip()}/socket"
        wait_until(lambda: answers(socket.AF_UNIX, path), process)
        took = time.perf_counter() - began
        process.terminate()
        process.wait()
    return took


def one_connection(desk: Desk) -> float:
    """Return how long a command takes over a connection of its own."""
    began = time.perf_counter()
    desk.laptop.run_ssh("-o", "ControlPath=none", desk.project.path.name, "true").check_returncode()
    return time.perf_counter() - began


def lab_jupyter(desk: Desk) -> float:
    """Return how long a new session takes, with no connection there before."""
    desk.end_sessions()
    desk.laptop.run_ssh("-O", "exit", desk.project.path.name)
    return open_and_close(desk)


def reattach(desk: Desk) -> float:
    """Return how long it takes to find the session that the measure before has left."""
    return open_and_close(desk)


def open_and_close(desk: Desk) -> float:
    """Return how long `lab jupyter` takes until it has had an answer."""
    began = time.perf_counter()
    command = desk.start("jupyter", "--no-browser")
    command.read_page()
    took = time.perf_counter() - began
    command.interrupt()
    return took


def recovery(desk: Desk) -> float:
    """Return how long the tunnel is away after the server can be reached again."""
    command = desk.start("jupyter", "--no-browser")
    command.read_page()
    desk.server.stop()
    command.read_until("connecting again")
    desk.server.start()
    began = time.perf_counter()
    command.read_until("Connected to .* again")
    took = time.perf_counter() - began
    command.interrupt()
    return took


def install_jupyter_forward() -> None:
    """Make an environment with jupyter-forward below build/, if there is none."""
    if not (FORWARD / "bin" / "jupyter-forward").exists():
        subprocess.run(["uv", "venv", "--quiet", FORWARD], check=True)
        subprocess.run(
            ["uv", "pip", "install", "--quiet", "--python", FORWARD, "jupyter-forward"], check=True
        )


def jupyter_forward(desk: Desk) -> float:
    """Return how long jupyter-forward takes until its first request is answered."""
    prepare_for_jupyter_forward(desk)
    port = openssh_server.free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            FORWARD / "bin" / "jupyter-forward",
            *("--port", str(port), "--identity", desk.laptop.ssh / "id_ed25519"),
            *("--shell", "bash", "--conda-env", "base"),
            f"{desk.server.account.user}@127.0.0.1:{desk.server.port}",
        ],
        env={**os.environ, "BROWSER": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_until(lambda: answers(socket.AF_INET, ("127.0.0.1", port)), process)
        return time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def prepare_for_jupyter_forward(desk: Desk) -> None:
    """Give it what it insists on: an environment to activate, with JupyterLab on the PATH."""
    account = desk.server.account
    account.write("bin/activate", "")
    account.write(".bashrc", "")  # a greeting would become a part of its commands
    environment = desk.there / ".venv" / "bin"
    account.write(".bash_profile", f'export PATH="{account.home}/bin:{environment}:$PATH"\n')
    if os.geteuid() == 0:
        account.write(".jupyter/jupyter_server_config.py", "c.ServerApp.allow_root = True\n")


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None
) -> None:
    """Wait for a condition; raise RuntimeError when the process that must bring it about ends."""
    while not condition():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
