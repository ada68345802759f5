"""The variables that would add another Python, or its packages, to ours.

`clean.sh` removes the same before a run, a session or a shell begins.
"""

from typing import Dict, Mapping

__all__ = ["REMOVED", "SET", "cleaned"]

REMOVED = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    "PYTHONSAFEPATH",
    "PYTHONINSPECT",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    # Each part that draws chooses its own.
    "MPLBACKEND",
)

SET = {"PYTHONNOUSERSITE": "1"}
"""An environment of conda would see the packages in `~/.local` otherwise."""


def cleaned(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return these variables without those, and with what keeps the person's own packages out."""
    kept = {name: value for name, value in variables.items() if name not in REMOVED}
    kept.update(SET)
    return kept
