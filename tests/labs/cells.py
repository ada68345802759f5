"""The cells of a script, run as VS Code does: one by one, in a kernel in the workspace."""

from __future__ import annotations

import json
import re

__all__ = ["in_a_kernel"]

_PROGRAM = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(cwd=".")
try:
    for source in json.loads(sys.argv[1]):
        reply = client.execute_interactive(source, timeout=300)
        if reply["content"]["status"] != "ok":
            sys.exit(1)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def in_a_kernel(*scripts: str) -> list[str]:
    """Return the words for a Python with Jupyter that run all cells of code of these scripts."""
    cells = [cell for text in scripts for cell in re.split(r"(?m)^# %%", text)[1:]]
    parts = [cell.partition("\n") for cell in cells]
    sources = [source for head, _, source in parts if "[markdown]" not in head]
    return ["-c", _PROGRAM, json.dumps(sources)]
