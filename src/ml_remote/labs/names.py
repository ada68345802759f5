"""Which names a lab may have: it is a file, a folder of results, and a word of a command."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection
from pathlib import Path

from ..errors import UsageError

__all__ = ["check_is_free", "check_name"]

_LONGEST = 40
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{_LONGEST - 1}}}")
_ALLOWED = (
    f"A name has lower-case letters, digits and _, begins with a letter, and is at most {_LONGEST} "
    "characters long."
)
_IMPORTED = {
    "absl", "anyio", "attr", "attrs", "click", "contourpy", "cycler", "dateutil", "debugpy",
    "decorator", "executing", "filelock", "fsspec", "google", "graphviz", "grpc", "idna",
    "ipykernel", "ipython", "ipywidgets", "jedi", "jinja2", "joblib", "jupyter", "jupytext",
    "kiwisolver", "markdown", "markupsafe", "matplotlib", "mpmath", "nbclient", "nbconvert",
    "nbformat", "networkx", "numpy", "packaging", "pandas", "papermill", "parso", "pathspec",
    "pexpect", "pil", "platformdirs", "pluggy", "psutil", "pygments", "pyparsing", "pytest", "pytz",
    "requests", "scipy", "seaborn", "setuptools", "sitecustomize", "six", "sklearn", "sympy",
    "tenacity", "tensorboard", "threadpoolctl", "torch", "torchvision", "tornado", "tqdm",
    "traitlets", "triton", "typing_extensions", "tzdata", "urllib3", "usercustomize", "werkzeug",
    "yaml", "zmq",
}  # fmt: skip
"""What the template's packages import, and Python when it starts, if it is there."""
_DEVICES = re.compile("con|prn|aux|nul|(?:com|lpt)[0-9]")


def check_name(name: str, *, imported: Collection[str], again: str) -> None:
    """Raise UsageError for a name that no lab can have, such as that of a package in `imported`.

    `again` is the option that a proposal repeats.

    A lab that runs as a script is in the folder that Python looks into first, so one of the name of
    a module would be imported in its place.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a lab. {_ALLOWED}",
            hint=f"lab new {_suggestion(name)}{again}",
        )
    reason = None
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        reason = "Python itself uses this name"
    elif name in _IMPORTED or name in imported:
        reason = "labs import a package of that name"
    elif _DEVICES.fullmatch(name):
        reason = "Windows reserves this name for a device"
    if reason:
        raise UsageError(
            f"A lab cannot be called {name!r}: {reason}.",
            hint=f"lab new {_suggestion(name)}{again}",
        )


def check_is_free(folder: Path, name: str) -> None:
    """Raise UsageError where a script or a notebook has that name, on any system's disk."""
    for path in sorted(folder.glob("*"), reverse=True):
        if path.suffix.lower() in (".py", ".ipynb") and path.stem.lower() == name:
            raise UsageError(
                f"labs/ already has {path.name!r}. Nothing was changed.",
                hint="choose another name, or move that file away",
            )


def _suggestion(name: str) -> str:
    """Return a name that is allowed and like this one, else a word that stands for any."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    stem = re.sub(r"\.(?:py|ipynb)$", "", last, flags=re.IGNORECASE).lower()
    plain = re.sub("[^a-z0-9]+", "_", stem).strip("_0123456789")[:_LONGEST]
    is_free = _NAME.fullmatch(plain) and plain != name and not _is_taken(plain)
    longer = f"{plain}_lab"
    if not is_free and plain and _NAME.fullmatch(longer):
        return longer
    return plain if is_free else "NAME"


def _is_taken(name: str) -> bool:
    """Return whether Python, a package or Windows has the name."""
    is_python = keyword.iskeyword(name) or name in sys.stdlib_module_names
    return is_python or name in _IMPORTED or _DEVICES.fullmatch(name) is not None
