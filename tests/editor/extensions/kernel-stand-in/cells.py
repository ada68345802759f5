"""Run a cell as the Jupyter extension does: `cells.py CONNECTION_FILE LAB CODE`.

With a lab, the kernel is new to the window: what the extension asks first comes before the cell.
"""

import sys
from typing import Any

from jupyter_client import BlockingKernelClient

SECONDS = 60
FIRST = ("try:\n    import ipywidgets\nexcept: pass", '__vsc_ipynb_file__ = "{lab}"')


def show(message: dict[str, Any]) -> None:
    """Print what a cell prints, and the name of an error."""
    content = message["content"]
    if message["msg_type"] == "stream":
        print(content["text"], end="", flush=True)
    if message["msg_type"] == "error":
        print(f"{content['ename']}: {content['evalue']}", flush=True)


def main(file: str, lab: str, code: str) -> None:
    """Run the cell."""
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=SECONDS)
    for first in FIRST if lab else ():
        client.execute_interactive(
            first.format(lab=lab), store_history=False, output_hook=show, timeout=SECONDS
        )
    client.execute_interactive(code, output_hook=show, timeout=SECONDS)


main(*sys.argv[1:])
