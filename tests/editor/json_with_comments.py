"""Reading the JSON files for VS Code and the dev containers, which hold comments."""

from __future__ import annotations

import json
import re
from typing import Any

from baking import BakedProject

__all__ = ["read_json"]


def read_json(project: BakedProject, name: str) -> dict[str, Any]:
    """Return the content of a JSON file whose comments are on lines of their own."""
    text = re.sub(r"^\s*//.*$", "", project.read(name), flags=re.MULTILINE)
    content: dict[str, Any] = json.loads(text)
    return content
