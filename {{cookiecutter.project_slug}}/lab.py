#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["click>=8.0", "rich>=12.0"]
# ///
"""The `lab` command: everything between this repository and its remote machine.

Run it as `uv run lab.py`, as `./lab.py` on Linux and macOS, or as `python lab.py` where click and
rich are installed. `uv run lab.py --help` lists what it does.
"""

import sys
from pathlib import Path


def main() -> int:
    """Run the command line in src/remote, or say in one sentence what is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - with `python lab.py` nobody has checked it yet
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        print(
            f"lab needs Python 3.11 or newer; this is {found}. Run: uv run lab.py", file=sys.stderr
        )
        return 1
    sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError as missing:
        print(
            f"lab needs the Python package {missing.name!r}: run `uv run lab.py`, which brings it, "
            "or `python -m pip install click rich`.",
            file=sys.stderr,
        )
        return 1
    from remote.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
