"""Which manager makes or changes the environment: one keeps the manager that it has."""

from pathlib import Path
from typing import Optional

from .carried import carried_wheels
from .failures import Failure
from .lists import Lists
from .managers import CONDA_FAMILY, MANAGERS, Manager
from .managers.uv import Uv
from .output import say
from .settings import Settings
from .state import State, allowed_managers

__all__ = ["choose_manager"]

_INSTALL_UV = "uv needs no administrator: curl -LsSf https://astral.sh/uv/install.sh | sh"


def choose_manager(root: Path, settings: Settings, lists: Lists, state: State) -> Manager:
    """Return the manager; raises Failure if the one that is asked for is not installed.

    conda is not taken by itself for a project that has no list for it.
    """
    wanted = settings.manager
    if wanted not in MANAGERS and wanted != "auto":
        raise Failure(
            'lab.toml says manager = "{}". It can be auto, conda, mamba, micromamba, uv or'
            " venv.".format(wanted)
        )
    if not lists.pyproject.is_file() and lists.environment_yml.is_file():
        return _of_conda(root, wanted, _kept(root, settings, state))
    kept = _kept(root, settings, state)
    if kept is not None:
        if kept.name in CONDA_FAMILY and carried_wheels() is not None:
            raise Failure(
                "{} made the environment, and does not install wheels.".format(kept.name),
                'Set manager = "uv" under [environment] in lab.toml, then: lab setup --carry',
            )
        return kept
    if wanted == "auto" and carried_wheels() is not None:
        return _first(root, "uv") or _brought_or_pip(root)
    if wanted == "auto":
        of_conda = CONDA_FAMILY if lists.environment_yml.is_file() else ()
        return _first(root, *of_conda, "uv") or _brought_or_pip(root)
    if wanted == "conda":
        found = _first(root, "conda", "mamba", "micromamba")
        if found is None:
            raise Failure(
                "lab.toml asks for conda, but this machine has no conda, mamba or micromamba.",
                'Install Miniforge (https://conda-forge.org/download/), or set manager = "auto"'
                " in lab.toml.",
            )
        return found
    return _found(root, wanted)


def _of_conda(root: Path, wanted: str, kept: Optional[Manager]) -> Manager:
    """Return conda, mamba or micromamba: nothing else reads the only list that there is."""
    names = CONDA_FAMILY if wanted in ("auto", "conda") else (wanted,)
    found = kept or _first(root, *names)
    if found is None or found.name not in CONDA_FAMILY:
        raise Failure(
            "The list of this project is an environment.yml, which only conda, mamba and micromamba"
            " read, and this machine has {}.".format(
                "none of them" if wanted in ("auto", *CONDA_FAMILY) else "to use " + wanted
            ),
            "Install Miniforge there (https://conda-forge.org/download/), or name another list in"
            ' lab.toml, under [environment]: from = "requirements.txt"',
        )
    return found


def _kept(root: Path, settings: Settings, state: State) -> Optional[Manager]:
    """Return the manager of the environment that works, if it may and can be kept."""
    if not state.works or state.record is None:
        return None
    name = state.record.manager
    if name not in allowed_managers(settings.manager) or name not in MANAGERS:
        return None
    found = MANAGERS[name].find(root)
    is_gone = found is None and name == "uv" and settings.manager == "auto"
    return _brought_or_pip(root) if is_gone else found


def _brought_or_pip(root: Path) -> Manager:
    """Install uv, which takes a tenth of pip's time; fall back to pip if that fails."""
    try:
        return Uv.bring(root)
    except Failure as failure:
        say("{} pip makes the environment, which takes longer.".format(failure.sentence))
        return _found(root, "venv")


def _first(root: Path, *names: str) -> Optional[Manager]:
    for name in names:
        found = MANAGERS[name].find(root)
        if found is not None:
            return found
    return None


def _found(root: Path, name: str) -> Manager:
    found = MANAGERS[name].find(root)
    if found is None:
        raise Failure(
            "lab.toml asks for {}, which is not installed here.".format(name),
            'Install it, or set manager = "auto" in lab.toml.',
            *([_INSTALL_UV] if name == "uv" else []),
        )
    return found
