"""The managers by their names in lab.toml. A new one is a class and a line."""

from typing import Dict, Type

from .base import Manager, Work
from .conda import Conda, Mamba, Micromamba
from .pip import Pip
from .uv import Uv

__all__ = ["CONDA_FAMILY", "MANAGERS", "Manager", "Work"]

CONDA_FAMILY = ("mamba", "micromamba", "conda")
"""In the order in which `auto` takes them."""

MANAGERS: Dict[str, Type[Manager]] = {
    manager.name: manager for manager in (Conda, Mamba, Micromamba, Uv, Pip)
}
