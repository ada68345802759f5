"""The start of kernels, for runs and for sessions: on sockets in a private directory.

Jupyter finds a kernel by its specification, a file that has its command, and talks to it over what
its connection file names. Both are put into the private directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["LASTING", "TRANSPORT", "connection_file", "prepare_kernels"]

TRANSPORT = "ipc"
"""Unix sockets: on TCP, every user of a shared machine could reach the kernel."""

LASTING = "lasting"
"""The part of the far half that shows a kernel which outlives whoever has started it."""

_FAR_HALF = Path(__file__).resolve().parents[3]


def prepare_kernels(directory: Path, *, lasting: bool = False) -> None:
    """Make all kernels that Jupyter starts from this process private.

    With `lasting` they are those that VS Code shows, too, and outlive this process.
    """
    from ipykernel.kernelspec import write_kernel_spec

    (directory / "run").mkdir(mode=0o700)
    os.environ.pop("MPLBACKEND", None)  # the kernel chooses the one for notebooks
    os.environ |= {
        # The environment's own specifications count more than those in the person's home.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(directory / "run"),
        "JUPYTER_PATH": os.pathsep.join(
            filter(None, [str(directory / "data"), os.environ.get("JUPYTER_PATH")])
        ),
    }
    part = LASTING if lasting else "kernel"
    kernel = [sys.executable, str(_FAR_HALF), part, "-f", "{connection_file}"]
    write_kernel_spec(
        directory / "data" / "kernels" / "python3",
        # No debugger either: it listens on TCP, and whoever connects can run code as the person.
        overrides={"argv": kernel, "metadata": {}},
    )


def connection_file(directory: Path) -> Path:
    """Return the connection file of the one kernel of a run; its sockets are beside it."""
    return directory / "run" / "kernel.json"
