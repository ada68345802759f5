"""The notebook of a new lab, as jupytext would write it: the laptop need not have jupytext."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

from ..files import Change, apply_changes, read_bytes
from ..parsing import parse_json
from ..state import make_state

__all__ = ["note_pair", "notebook_of"]

_HEADER = re.compile(r"\A# ---\n(#.*\n)*?# ---\n\n*")
_MEMORY = "pairs.json"
_CELL = re.compile(r"^# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?$", re.MULTILINE)
_METADATA = {
    "jupytext": {
        "main_language": "python",
        "text_representation": {
            "extension": ".py",
            "format_name": "percent",
            "format_version": "1.3",
        },
    },
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
}


def notebook_of(script: str) -> str:
    """Return the notebook of a script in percent format that `lab new` has made."""
    heads = list(_CELL.finditer(script))
    ends = [head.start() for head in heads[1:]] + [len(script)]
    cells = [
        _cell(number, head, script[head.end() : end])
        for number, (head, end) in enumerate(zip(heads, ends, strict=True), start=1)
    ]
    document = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def note_pair(state: Path, name: str, script: str) -> None:
    """Note that a script and its notebook are in step, where scripts/sync_pairs.py looks for that.

    `state` is the project's `.lab`. Where it cannot be noted, a person is asked later which of the
    two they have changed.
    """
    checksum = "2:" + hashlib.sha256(_HEADER.sub("", script).encode()).hexdigest()
    with suppress(OSError, ValueError):
        path = make_state(state) / _MEMORY
        before = read_bytes(path)
        known = parse_json(before or b"{}")
        if isinstance(known, dict):
            known[name] = {"script": checksum, "notebook": checksum}
            after = json.dumps(known, indent=2) + "\n"
            apply_changes([Change(path=path, before=before, after=after.encode())])


def _cell(number: int, head: re.Match[str], text: str) -> dict[str, object]:
    name = f"cell-{number:02}"
    metadata: dict[str, object] = {"tags": parse_json(head["tags"])} if head["tags"] else {}
    if text.endswith("\n\n\n"):  # as formatters want it before a function or a class
        metadata["lines_to_next_cell"] = 2
    text = text.strip("\n")
    if head["markdown"]:
        plain = re.sub("^# ?", "", text, flags=re.MULTILINE)
        source = plain.splitlines(keepends=True)
        return {"cell_type": "markdown", "id": name, "metadata": metadata, "source": source}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": metadata,
        "outputs": [],
        "source": text.splitlines(keepends=True),
    }
