"""Reading JSON as VS Code writes and reads it: with comments, and with commas before a bracket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..parsing import parse_json

__all__ = ["read_object"]

_STRING = r'("(?:\\.|[^"\\])*")'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_SPARE_COMMA = re.compile(rf"{_STRING}|,(?=\s*[\]}}])")


def read_object(path: Path, *, hint: str) -> dict[str, Any]:
    """Return the object in the file `path`.

    Raises ConfigurationError, with `hint` as what to do, when the file is missing, is not UTF-8, or
    holds no such object.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # Comments and commas inside a string are part of it: strings are matched, and kept.
        for surplus in (_COMMENT, _SPARE_COMMA):
            text = surplus.sub(lambda found: found[1] or "", text)
        content = parse_json(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", hint=hint) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}.", hint=hint) from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold an object, in braces.", hint=hint)
    return content
