"""Secrets in what a run prints: found, also when split over two writes, and written as `***`.

The values are in files of their own, one for each name: those of the project in `.lab/secrets/`,
those of one run in `secrets/` in its job's folder. Any Python from 3.6 on can do this.
"""

import html
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

__all__ = [
    "MASK",
    "SHORTEST",
    "Masker",
    "masked_notebook",
    "masked_text",
    "masked_values",
    "secret_values",
]

MASK = "***"
"""What is written in the place of a secret."""
SHORTEST = 8
"""Characters of the shortest value that is masked: shorter ones are parts of ordinary words."""


def secret_values(project: Path) -> List[str]:
    """Return the values of the project's secrets, and of those of the job that this runs in."""
    folders = [project / ".lab" / "secrets"]
    job = os.environ.get("LAB_JOB_FOLDER")
    if job:
        folders.append(Path(job) / "secrets")
    values = []
    for folder in folders:
        for path in sorted(folder.glob("[A-Za-z_]*")):
            try:
                values.append(path.read_bytes().decode("utf-8", "surrogateescape"))
            except OSError:  # another command has just removed it
                continue
    return values


def masked_values(values: Iterable[str]) -> List[str]:
    """Return the forms in which values may be printed, the longest first.

    These are the value itself, as Python and JSON quote it and as a web page has it, and each line
    of a value that has several. What is shorter than SHORTEST is left out.
    """
    forms = {""}
    for value in values:
        text = value.strip("\r\n")
        lines = text.splitlines()
        forms.update([text, text.replace("\n", "\r\n"), *(line.strip() for line in lines)])
    for form in list(forms):
        forms.update([repr(form)[1:-1], json.dumps(form)[1:-1], html.escape(form)])
        forms.add(json.dumps(form, ensure_ascii=False)[1:-1])
    return sorted(
        (form for form in forms if len(form) >= SHORTEST), key=lambda form: (-len(form), form)
    )


class Masker:
    """Masks values in a stream of bytes that comes in pieces.

    What may be the beginning of a value is held back until more has come, or until `flush`. A value
    that is completed after that is masked from there on, so all of it is never written.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values = [_bytes(form) for form in masked_values(values)]
        self._longest = len(self._values[0]) if self._values else 0
        self._first = {value[:1] for value in self._values}
        self._found = re.compile(b"|".join(map(re.escape, self._values)) or b"(?!)")
        self._held = b""
        self._written = 0  # how many bytes of what is held were written by `flush`

    def feed(self, piece: bytes) -> bytes:
        """Take a piece, and return what can be written."""
        text = self._held + piece
        output = bytearray()
        begin, done = 0, self._written
        while True:
            open_at = self._undecided(text, begin)
            found = self._found.search(text, begin)
            if found is None or found.start() >= open_at:
                break
            output += text[done : found.start()] + MASK.encode()
            begin = found.end()
            done = max(done, begin)
        output += text[done:open_at]
        self._held = text[open_at:]
        self._written = max(0, done - open_at)
        return bytes(output)

    def flush(self) -> bytes:
        """Return what is held back: nothing more has come for a while, or will come."""
        output = bytearray()
        found = self._found.search(self._held)  # a longer value begins with it
        while found is not None:
            output += self._held[self._written : found.start()] + MASK.encode()
            self._written = max(0, self._written - found.end())
            self._held = self._held[found.end() :]
            found = self._found.search(self._held)
        output += self._held[self._written :]
        self._written = len(self._held)
        return bytes(output)

    def _undecided(self, text: bytes, begin: int) -> int:
        """Return where what more may turn into a value begins; the end if nothing may."""
        for start in range(max(begin, len(text) - self._longest + 1), len(text)):
            if text[start : start + 1] in self._first:
                rest = text[start:]
                if any(len(rest) < len(value) and value.startswith(rest) for value in self._values):
                    return start
        return len(text)


def masked_text(content: object, values: Iterable[str]) -> object:
    """Return JSON content in which each text has the values masked; keys stay as they are."""
    forms = masked_values(values)
    found = re.compile("|".join(map(re.escape, forms)) or "(?!)")

    def masked(one: object) -> object:
        if isinstance(one, str):
            return found.sub(MASK, one)
        if isinstance(one, list):
            return [masked(item) for item in one]
        if isinstance(one, dict):
            return {key: masked(item) for key, item in one.items()}
        return one

    return masked(content)


def masked_notebook(notebook: Dict[str, Any], values: List[str]) -> object:
    """Return a notebook without the values; what a cell prints in pieces is taken as one stream."""
    for cell in notebook["cells"]:
        streams: Dict[str, Tuple[Masker, Dict[str, Any]]] = {}
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                masker = streams[output["name"]][0] if output["name"] in streams else Masker(values)
                output["text"] = masker.feed(_bytes(output["text"])).decode("utf-8", "replace")
                streams[output["name"]] = (masker, output)
        for masker, last in streams.values():
            last["text"] += masker.flush().decode("utf-8", "replace")
    return masked_text(notebook, values)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
