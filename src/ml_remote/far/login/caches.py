"""Where programs keep what they download, if `cache` in [environment] names a folder.

A setup notes the variables in `.lab/caches`, a line `NAME=VALUE` for each. Runs, sessions and
shells read them by caches.sh, and kernels by `read_caches`.
"""

import os
from pathlib import Path
from typing import Dict

from .files import read_text, update_text

__all__ = ["CACHES", "cache_variables", "note_caches", "read_caches"]

CACHES = {
    "XDG_CACHE_HOME": "",
    "CONDA_PKGS_DIRS": "conda",
    "CUDA_CACHE_PATH": "nv",
    "HF_HOME": "huggingface",
    "PIP_CACHE_DIR": "pip",
    "TORCH_HOME": "torch",
    "TRITON_CACHE_DIR": "triton",
    "UV_CACHE_DIR": "uv",
}
"""The variables, and the folder below that one which each of them names."""


def cache_variables(root: Path, cache: str) -> Dict[str, str]:
    """Return the variables for a folder, which may be relative to the project's, `root`."""
    folder = root / os.path.expanduser(cache)
    return {name: str(folder / below) for name, below in CACHES.items()} if cache else {}


def note_caches(root: Path, variables: Dict[str, str]) -> None:
    """Note the variables for what is started later. Raises OSError."""
    path = root / ".lab" / "caches"
    text = "".join("{}={}\n".format(name, variables[name]) for name in sorted(variables))
    if text:
        path.parent.mkdir(exist_ok=True)
    update_text(path, text)


def read_caches(root: Path) -> Dict[str, str]:
    """Return the variables that a setup has noted."""
    text = read_text(root / ".lab" / "caches", errors="surrogateescape")
    pairs = [line.partition("=") for line in text.split("\n")]
    return {name: value for name, _, value in pairs if name in CACHES and value}
