"""Start one part of the far half, in the project's environment and the project's folder.

    .venv/bin/python .lab/far/<hash> headless labs/LAB.py -p epochs 5

The words that may follow are the keys of PARTS. A part is imported only when it is asked for: most
of them load something large. `cards`, `checkout`, `program`, `sweep`, `record`, `kernels`,
`node`, `install` and `environment` need no more than Python 3.6.
"""

import importlib
import os
import sys
from typing import List, Optional

from ml_remote.far.exit_codes import ExitCode
from ml_remote.far.login.variables import cleaned

__all__ = ["INCOMPLETE", "PARTS", "main"]

INCOMPLETE = "The environment is incomplete: it has no"
"""Begins what is said when the environment lacks a package; its name follows."""

PARTS = {
    "headless": "ml_remote.far.env.headless",
    "labs": "ml_remote.far.env.every_lab",
    "serve": "ml_remote.far.env.serve",
    "kernel": "ml_remote.far.env.kernel",
    "lasting": "ml_remote.far.env.lasting.opening",
    "lasting-kernel": "ml_remote.far.env.lasting.kernel",
    "lasting-start": "ml_remote.far.env.lasting.starting",
    "launch": "ml_remote.far.env.launch",
    "card": "ml_remote.far.env.card",
    "reachable": "ml_remote.far.env.reachable",
    "picture": "ml_remote.far.env.picture",
    "propose": "ml_remote.far.env.propose",
    "cards": "ml_remote.far.login.cards",
    "checkout": "ml_remote.far.login.checkout",
    "program": "ml_remote.far.login.program",
    "record": "ml_remote.far.login.record",
    "sweep": "ml_remote.far.login.sweep_worker",
    "kernels": "ml_remote.far.login.kernel_list",
    "node": "ml_remote.far.login.node.serve",
    "install": "ml_remote.far.installed",
    "environment": "ml_remote.far.login.environment.main",
}
"""The module of each part; its `main` takes the arguments and returns the exit code."""


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the part that the first argument names; return its exit code, 2 if there is none."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in PARTS:
        print(f"Give one of these: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    if arguments is None:  # started as a program, and not called
        _start_properly(PARTS[given[0]])
    # Parts that hand the rest to another program's own parser find it where that one looks.
    sys.argv = [given[0], *given[1:]]
    try:
        code: int = importlib.import_module(PARTS[given[0]]).main(given[1:])
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "ml_remote"):
            raise
        print("Error: {} {}.".format(INCOMPLETE, missing), file=sys.stderr)
        return ExitCode.NO_ENVIRONMENT
    return code


def _start_properly(module: str) -> None:
    """Start again if this was started through the link `.venv`, or with other people's packages.

    The link may be exchanged for a new environment, whose packages do not fit those imported
    before. A part that needs the environment gets no packages but its own, whatever is set.
    """
    if os.name == "nt" or not hasattr(sys, "orig_argv"):
        return
    program, variables = sys.executable, dict(os.environ)
    if os.path.islink(sys.prefix):
        program = os.path.join(os.path.realpath(sys.prefix), "bin", "python")
    if ".far.env." in module and "-m" not in sys.orig_argv[:3]:
        variables = cleaned(variables)
    if (program, variables) != (sys.executable, dict(os.environ)):
        sys.stdout.flush()
        os.execve(program, [program, *sys.orig_argv[1:]], variables)


if __name__ == "__main__":
    sys.exit(main())
