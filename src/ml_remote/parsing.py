"""JSON and TOML that others wrote: whatever a text holds, the only error is ValueError.

Python's own parsers raise RecursionError where values are nested hundreds of times, and both stop
at the byte order mark with which some editors on Windows begin a file.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

__all__ = ["parse_json", "parse_toml"]

_MARK = "\ufeff"
_TOO_DEEP = "its values are nested too deeply"


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - it can be any
    """Return the value that a JSON text holds. Raises ValueError."""
    try:
        return json.loads(text.removeprefix(_MARK) if isinstance(text, str) else text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables that a TOML text holds. Raises ValueError."""
    try:
        return tomllib.loads(text.removeprefix(_MARK))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
