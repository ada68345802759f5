#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""The `lab` command of this project. `uv run lab.py --help` lists what it does.

No version of the tool is pinned above, so lab.local.toml must name the folder of its source.
"""

import os
import sys

# What is beside this file is the project's: it must not be taken for the tool, or for Python's own.
here = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120
sys.path[:] = [path for path in sys.path if os.path.realpath(path) != here]

from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent
NO_TOOL = """lab.py does not say which version of the tool to use. Near its top, put this line in
place of `# dependencies = []`, with the address of your template and a full commit of it:
  # dependencies = ["ml-remote @ git+https://github.com/OWNER/ml-remote-template@COMMIT"]"""


def main() -> int:
    """Run the tool, or start this script again by uv, which brings the tool."""
    if sys.version_info < (3, 11):  # noqa: UP036 - `python lab.py` may be an older one
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit("lab needs Python 3.11 or newer; this is " + found + ". Run: uv run lab.py")
    restarted = os.environ.pop("LAB_RESTARTED", None)
    folder = tool_folder()
    if folder and not restarted:
        return restart("--with-editable", folder)
    try:
        from ml_remote.cli import main as lab
    except ModuleNotFoundError as missing:
        if restarted:
            sys.exit(NO_TOOL if missing.name == "ml_remote" else f"lab cannot start: {missing}.")
        return restart()
    return lab(root=ROOT)


def tool_folder() -> "str | None":  # in quotes for Python 3.6, which ends with a sentence, too
    """Return the folder that LAB_TOOL or `[tool] path` in lab.local.toml names, if one does."""
    local = ROOT / "lab.local.toml"
    if "LAB_TOOL" in os.environ or not local.is_file():
        return os.environ.get("LAB_TOOL")
    import tomllib

    try:
        path = tomllib.loads(local.read_text(encoding="utf-8"))["tool"]["path"]
        return str(ROOT / Path(path).expanduser())
    except KeyError:
        return None
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        sys.exit(f"Error: {local} cannot be used: {error}.\nNext: fix that; git has no copy of it")


def restart(*options: str) -> int:
    """Start this script again by uv; it ends as that does."""
    import shutil
    import subprocess

    uv = shutil.which("uv")
    if uv is None:
        sys.exit("lab needs uv. Install it (https://docs.astral.sh/uv/), then run: uv run lab.py")
    frozen = ["--frozen"] if Path(f"{__file__}.lock").is_file() else []
    command = [uv, "run", "--quiet", *frozen, *options, "--script", __file__, *sys.argv[1:]]
    variables = {**os.environ, "LAB_RESTARTED": "1"}
    if os.name != "nt":
        os.execve(uv, command, variables)
    return subprocess.call(command, env=variables)


if __name__ == "__main__":
    sys.exit(main())
