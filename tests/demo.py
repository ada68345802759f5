"""`make demo`: from an empty folder to figures that were made on a "remote machine".

The machine is an SSH server inside this process. What a person would type is shown, and run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import openssh_server
from baking import (
    TEMPLATE_ROOT,
    THIS_PYTHON,
    BakedProject,
    bake_project,
    environment_variables,
    isolated_variables,
)
from embedded_server import embedded_server

from ml_remote import jobs
from ml_remote.errors import LabError
from ml_remote.machine import Machine
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

DEMO = TEMPLATE_ROOT / "build" / "demo"
SLUG = "handwriting-lab"


def main() -> int:
    """Show the template at work below build/demo/; return 0 when the figures are there."""
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            project = _prepare(stack)
            lab = _say_and_run(project, "up", "--no-code", "--yes")
            if not lab or not _say_and_run(project, "run", "labs/mnistlab.py"):
                return 1
    except KeyboardInterrupt:
        print("\nThe demo was stopped; nothing of it runs any more.", file=sys.stderr)
        return 130
    results = max(project.path.glob("outputs/mnistlab/*/metrics.json")).parent
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. A network learned to read handwriting "
        f"({metrics['dataset']}): {metrics['accuracy']:.2%} of the test digits.\n"
        f"  The lab with its results:  {results / 'mnistlab.html'}\n"
        f"  The confusion matrix:      {results / 'confusion-matrix.png'}"
    )
    return 0


def _prepare(stack: ExitStack) -> BakedProject:
    """Start a machine and generate a project for it; all of it ends with `stack`."""
    shutil.rmtree(DEMO, ignore_errors=True)
    # Not below build/: ssh shares a connection through a socket, whose path must be short.
    temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-")))
    laptop = openssh_server.laptop(temporary)
    tempfile.tempdir = str(temporary)  # cookiecutter leaves files there
    variables: Mapping[str, str | None] = {
        **isolated_variables(laptop.home),
        "TMPDIR": str(temporary),
        "SSH_AUTH_SOCK": None,
        "LAB_TOOL": None,  # the project says where its tool is
    }
    stack.enter_context(environment_variables(variables))

    print('Starting the "remote machine": an SSH server on this computer, just for this')
    server = stack.enter_context(embedded_server(temporary / "machine"))
    print(f"Generating a project for {server.address} in {DEMO}\n", flush=True)
    project = bake_project(
        DEMO,
        home=laptop.home,
        project_slug=SLUG,
        remote=server.address,
        environment_manager="uv",
        # The interpreter that runs this is on the machine for sure.
        python_version=THIS_PYTHON,
    )
    # ssh asks for the password of the machine once; nobody is there to type it.
    stack.enter_context(environment_variables(laptop.askpass(server.password)))
    stack.enter_context(_tidied_up(Client(alias=SLUG), SLUG))
    return project


@contextmanager
def _tidied_up(client: Client, folder: str) -> Iterator[None]:
    """End what still runs on the machine, and the shared connection to it, after a block."""
    try:
        yield
    finally:
        machine = Machine(client=client, folder=folder)
        with suppress(LabError):
            for job in jobs.list_jobs(machine, console=Console()):
                if not job.is_over:
                    jobs.stop(machine, job.id)
        client.close()


def _say_and_run(project: BakedProject, *arguments: str) -> bool:
    """Run the `lab` command as a person would, and tell whether it succeeded."""
    print(f"$ lab {' '.join(arguments)}", flush=True)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-B", "lab.py", *arguments], cwd=project.path)
    if done.returncode != 0:
        print(f"The demo stops here: lab {arguments[0]} failed.", file=sys.stderr)
        return False
    print(f"  ({time.monotonic() - began:.0f} s)\n", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
