"""Open a window: start a spare kernel, then serve the editor.

    .venv/bin/python .lab/far/current lasting -f FILE

FILE is the connection file of JupyterLab; VS Code starts this through the hook (hook.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ...login import kernels
from ...login.environment.processes import started
from ...login.kernel_rules import read_rules
from ..parameters import project_root
from .choosing import JUPYTER, enter, host_of
from .starting import CannotLastError, start_kernel

__all__ = ["main", "serve"]


def main(arguments: list[str]) -> int:
    """Serve a window of JupyterLab."""
    file = Path(arguments[arguments.index("-f") + 1])
    try:
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
    kernels.remove_leftovers()
    parent = os.getppid()
    name = f"{os.getpid()}-{started(os.getpid())}"
    host = host_of(parent) if notebook is None else JUPYTER
    spare = start_kernel(root, name)
    try:
        enter(spare.folder, name, host)
        from .proxy import Window  # the kernel starts meanwhile, and ZeroMQ has no threads yet

        window = Window(file, spare, name=name, host=host, parent=parent)
        if notebook:
            window.show(root / notebook)
    except BaseException:
        kernels.end(spare)
        raise
    return window.run()
