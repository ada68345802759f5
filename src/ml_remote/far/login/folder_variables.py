"""Variables in folders of lab.toml: $USER, $HOME, $SCRATCH and $WORK, replaced without a shell.

No shell reads such a value, so nothing else in it means anything.
"""

import re
from typing import List, Mapping

__all__ = ["NAMES", "variables_in", "with_values"]

NAMES = ("USER", "HOME", "SCRATCH", "WORK")
"""The variables that a folder may name."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def variables_in(folder: str) -> List[str]:
    """Return the variables that a folder names. Raises ValueError for any other $ or backquote."""
    names = [one or other for one, other in _VARIABLE.findall(folder)]
    if re.search(r"[$`]", _VARIABLE.sub("", folder)) or not set(names) <= set(NAMES):
        raise ValueError(folder)
    return names


def with_values(folder: str, values: Mapping[str, str]) -> str:
    """Return a folder with these values in the place of the variables that it names.

    Raises ValueError as `variables_in` does, and KeyError for a variable without a value.
    """
    variables_in(folder)
    return _VARIABLE.sub(lambda found: values[found.group(1) or found.group(2)], folder)
