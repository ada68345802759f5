"""The template's hooks as modules: each file is valid Python before cookiecutter renders it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from baking import TEMPLATE_ROOT

__all__ = ["load_hook"]


def load_hook(name: str) -> ModuleType:
    """Return the hook of this name, not run."""
    path = TEMPLATE_ROOT / "hooks" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module
