"""Open a window: start a spare kernel, then serve the editor.

    .venv/bin/python .lab/far/current lasting -f FILE

FILE is the connection file of JupyterLab; VS Code starts this through the hook (hook.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ...login import kernel_leftovers, kernels
from ...login.environment.processes import started
from ...login.kernel_rules import read_rules
from .choosing import JUPYTER, enter, host_of
from .starting import CannotLastError, start_kernel

__all__ = ["FIRST", "main", "serve"]

FIRST = "first-"
"""Begins the names of first environments, whose cells wait (before_setup.py)."""


def main(arguments: list[str]) -> int:
    """Serve a window of JupyterLab."""
    file = Path(arguments[arguments.index("-f") + 1])
    try:
        from ..parameters import project_root

        return serve(file, project_root(), notebook=os.environ.get("JPY_SESSION_NAME", ""))
    except Exception as error:
        if str(error):
            print(f"The kernel ends with JupyterLab: {error}", file=sys.stderr, flush=True)
        far = Path(__file__).resolve().parents[4]
        os.execv(sys.executable, [sys.executable, str(far), "kernel", *arguments])


def serve(file: Path, root: Path, *, notebook: str | None = None) -> int:
    """Serve the window that this connection file is for; return the exit code.

    JupyterLab names the notebook, or an empty word for none. VS Code does not say it yet, whatever
    a JupyterLab from whose terminal it was started has left in the variables.

    Raises CannotLastError, or what went wrong, but not after the editor has had an answer.
    """
    root = root.resolve()
    if not read_rules(root).keep:
        raise CannotLastError("")
    kernel_leftovers.remove_leftovers()
    parent = os.getppid()
    name = f"{os.getpid()}-{started(os.getpid())}"
    host = host_of(parent) if notebook is None else JUPYTER
    spare = start_kernel(root, name)
    try:
        enter(spare.folder, name, host)
        # The kernel starts meanwhile. It was forked before ZeroMQ had threads.
        from .proxy import Window

        waits = Path(sys.prefix).resolve().name.startswith(FIRST)
        window = Window(file, spare, name=name, host=host, parent=parent, waits=waits)
        if notebook:
            window.show(root / notebook)
    except BaseException:
        kernels.end(spare)
        raise
    return window.run()
