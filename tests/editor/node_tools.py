"""VS Code's workbench and the dev container command line, from npm, installed below build/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from baking import TEMPLATE_ROOT
from filelock import FileLock

__all__ = ["PROGRAMS", "install_node_tools", "node_environment"]

PACKAGES = Path(__file__).with_name("package.json")
FOLDER = TEMPLATE_ROOT / "build" / "node"
# node and npm come from the Python package index, in the version that code-server asks for.
PROGRAMS = Path(sys.executable).parent


def node_environment() -> dict[str, str]:
    """Return the variables under which node and npm run."""
    return {
        **os.environ,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "npm_config_cache": str(TEMPLATE_ROOT / "build" / "cache" / "npm"),
    }


def install_node_tools() -> Path:
    """Install what package.json lists, unless it is there, and return the folder `node_modules`."""
    modules = FOLDER / "node_modules"
    stamp = FOLDER / "complete"
    wanted = PACKAGES.read_text(encoding="utf-8")
    FOLDER.parent.mkdir(exist_ok=True)
    with FileLock(TEMPLATE_ROOT / "build" / "node.lock"):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return modules
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        shutil.copy(PACKAGES, FOLDER)
        _npm_install(FOLDER)
        # code-server's own installation script compiles modules that none of these tests need, and
        # that takes minutes. What is not compiled, the server reports in its log and goes without.
        _npm_install(modules / "code-server" / "lib" / "vscode")
        stamp.write_text(wanted, encoding="utf-8")
    return modules


def _npm_install(folder: Path) -> None:
    command = [str(PROGRAMS / "npm"), "install", "--omit=dev", "--ignore-scripts"]
    done = subprocess.run(
        [*command, "--no-audit", "--no-fund"],
        cwd=folder,
        env=node_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
