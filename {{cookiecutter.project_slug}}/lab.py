#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""The `lab` command of this project. `uv run lab.py --help` lists what it does.

The tool itself is pinned above to one commit. Its source: SOURCE
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Run the tool that is installed for this script, or let uv install it first."""
    if sys.version_info < (3, 11):  # noqa: UP036 - with `python lab.py` nobody has checked it yet
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit("lab needs Python 3.11 or newer; this is " + found + ". Run: uv run lab.py")
    try:
        from ml_remote.cli import main as lab
    except ModuleNotFoundError as missing:
        if missing.name != "ml_remote":
            raise
        return start_with_uv()
    return lab(root=ROOT)


def start_with_uv() -> int:
    """Start this script again by uv, with the tool's folder where `lab.local.toml` names one."""
    import tomllib

    local = ROOT / "lab.local.toml"
    settings = tomllib.loads(local.read_text(encoding="utf-8")) if local.is_file() else {}
    path = os.environ.get("LAB_TOOL") or settings.get("tool", {}).get("path")
    if os.environ.get("LAB_STARTED"):
        sys.exit(f"There is no ml-remote in {path}." if path else "...")
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("lab needs uv, which brings everything else: https://docs.astral.sh/uv/ has it.")
    options = ["--with-editable", path] if path else []
    command = [uv, "run", "--quiet", *options, "--script", __file__, *sys.argv[1:]]
    return subprocess.call(command, env={**os.environ, "LAB_STARTED": "1"})


if __name__ == "__main__":
    sys.exit(main())
