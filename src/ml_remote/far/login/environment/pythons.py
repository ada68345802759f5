"""A Python of this machine that can make the environment."""

from typing import Optional

from .carried import CARRIED
from .commands import answer
from .programs import find_program

__all__ = ["find_python"]

_NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 11))"
_VERSIONS = ("3.14", "3.13", "3.12", "3.11")


def find_python(wanted: str) -> Optional[str]:
    """Return the wanted version, else the system's, else any that is new enough; None if none.

    One that the laptop has carried to the project is looked for first.
    """
    names = ["python" + wanted, "python3", "python", *("python" + one for one in _VERSIONS)]
    carried = sorted(path.resolve() for path in CARRIED.glob("*/bin"))
    for name in names:
        program = find_program(name, *carried)
        if program and answer([program, "-c", _NEW_ENOUGH], seconds=20) is not None:
            return program
    return None
