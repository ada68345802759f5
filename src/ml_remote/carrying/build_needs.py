"""Print what the project's build backend needs to install it editable: a requirement a line.

It runs in an environment that has `build-system.requires`, in the project's folder:
build_needs.py BACKEND [PATH...]
"""

import contextlib
import importlib
import sys


def main(backend: str, *paths: str) -> None:
    """Ask the backend, as installers do (PEP 660)."""
    sys.path[:0] = paths
    module, _, name = backend.partition(":")
    asked = importlib.import_module(module)
    for part in name.split(".") if name else ():
        asked = getattr(asked, part)
    hook = getattr(asked, "get_requires_for_build_editable", None)
    with contextlib.redirect_stdout(sys.stderr):
        needs = hook(None) if hook else []
    print(*needs, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
