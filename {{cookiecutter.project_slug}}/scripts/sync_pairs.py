#!/usr/bin/env python3
"""Keep every lab's script and its notebook in step, without ever losing an edit.

    .venv/bin/python scripts/sync_pairs.py

The one that was changed since the last time is copied over the other; the notebook keeps the
outputs of the cells that stay. When both were changed, neither is touched and the exit code is 1.
What both were like the last time is remembered, as checksums, in .lab/pairs.json. The header of a
script, where a kernel may be named, is neither compared nor copied.

Inside a commit, pre-commit has put changes aside that are not committed. Nothing is written then:
the exit code is 1 when a notebook has edits that the commit would leave out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nbformat import NotebookNode

PROJECT = Path(__file__).resolve().parents[1]
MEMORY = PROJECT / ".lab" / "pairs.json"
SCRIPT_FORMAT = "py:percent"
HEADER = re.compile(r"\A# ---\n(#.*\n)*?# ---\n\n*")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
RUN = "python scripts/sync_pairs.py"
IS_COMMIT = os.environ.get("PRE_COMMIT") == "1"

Side = Literal["script", "notebook"]
Memory = dict[str, dict[Side, str]]


def main(arguments: list[str] | None = None) -> int:
    """Sync all pairs; return 1 if one of them needs a person's decision."""
    options = _parse(arguments)
    memory = _read_memory()
    faults = 0
    named = [Path.cwd() / half for half in options.halves]
    for half in named or sorted(PROJECT.glob("labs/*.py")):
        script, notebook = half.with_suffix(".py"), half.with_suffix(".ipynb")
        if options.missing and os.path.lexists(notebook):
            continue
        name = os.path.relpath(script, PROJECT).replace(os.sep, "/")
        try:
            print(_sync(name, script, notebook, memory=memory, keep=options.keep))
        except (_PairError, OSError) as fault:
            print(fault if isinstance(fault, _PairError) else f"{name}: {fault}", file=sys.stderr)
            faults += 1
    if not IS_COMMIT:
        _write(MEMORY, json.dumps(memory, indent=2) + "\n")
    return 1 if faults else 0


class _PairError(Exception):
    """A pair that only a person can sync; the message says how."""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bring scripts and notebooks in step.")
    parser.add_argument("halves", nargs="*", help="scripts or notebooks; default: labs/*.py")
    parser.add_argument("--missing", action="store_true", help="only make missing notebooks")
    keep_help = "which one to keep if both were changed; changes in the other are lost"
    parser.add_argument("--keep", choices=["script", "notebook"], help=keep_help)
    return parser.parse_args(arguments)


def _sync(name: str, script: Path, notebook: Path, *, memory: Memory, keep: Side | None) -> str:
    """Sync one pair and return what was done, in a sentence."""
    import jupytext

    raw = _in_git(script, "") if IS_COMMIT else script.read_bytes()
    if raw is None:
        return f"{name}: not in this commit"
    text = _decoded(raw, name)
    if not IS_COMMIT and re.search(r"^<{7} (?s:.*)^>{7} ", text, re.MULTILINE):
        raise _PairError(f"{name} has the marks of an unfinished merge. Nothing was changed.")
    if not text.strip():
        raise _PairError(f"{name} is empty. Nothing was changed. Undo that: git checkout -- {name}")
    from_script = jupytext.reads(text, SCRIPT_FORMAT)
    script_text = _as_script(from_script)
    if not notebook.exists():
        if not IS_COMMIT:
            _write_notebook(notebook, from_script, previous=None)
            memory[name] = {"script": _checksum(text), "notebook": _checksum(script_text)}
        return f"{name}: its notebook was made"

    old_bytes = notebook.read_bytes()
    old = _read_notebook(old_bytes, name, notebook.name)
    notebook_text = _as_script(old)
    now: dict[Side, str] = {"script": _checksum(text), "notebook": _checksum(notebook_text)}
    if _body(script_text) == _body(notebook_text):
        memory[name] = now
        return f"{name}: in step"

    then = memory.get(name) or _never_synced(name, script, notebook, now["notebook"])
    changed = [side for side in now if then.get(side) != now[side]]
    if IS_COMMIT and "notebook" in changed:
        raise _PairError(
            f"The notebook of {name} has edits that this commit would leave out. Nothing was "
            f"changed. Bring both in step, then commit again:\n  {RUN} {name} && git add {name}"
        )
    source = keep or (changed[0] if len(changed) == 1 else None)
    if source is None:
        raise _PairError(
            f"{name} and its notebook were both changed since they were last in step. Neither was "
            "touched. Save a copy of what you want to keep of one of them, then choose:\n"
            f"  {RUN} {name} --keep script\n  {RUN} {name} --keep notebook"
        )
    if IS_COMMIT:
        return f"{name}: its notebook will follow it"
    if (script.read_bytes(), notebook.read_bytes()) != (raw, old_bytes):
        raise _PairError(f"{name} or its notebook was just saved. Nothing was changed. Try again.")
    if source == "script":
        _write_notebook(notebook, from_script, previous=old)
        now["notebook"] = _checksum(script_text)
    else:
        header = HEADER.match(text)
        new = (header[0] if header else "") + _body(notebook_text)
        now["script"] = _checksum(new)
        new = new.replace("\n", "\r\n") if b"\r\n" in raw else new
        _write(script, f"\ufeff{new}" if raw.startswith(b"\xef\xbb\xbf") else new)
    memory[name] = now
    return f"{name}: the {source} was changed; the other now follows it"


def _never_synced(name: str, script: Path, notebook: Path, now: str) -> dict[Side, str]:
    """Return what both were like when in step: the script that git has, unless that came later."""
    committed = _checksum(_decoded(_in_git(script, "HEAD") or b"", name))
    is_older = not IS_COMMIT and notebook.stat().st_mtime < script.stat().st_mtime
    return {} if is_older and now != committed else {"script": committed, "notebook": committed}


def _in_git(script: Path, revision: str) -> bytes | None:
    """Return the script in a commit, or in the index; None where there is none."""
    command = ["git", "cat-file", "blob", f"{revision}:./{script.name}"]
    try:
        done = subprocess.run(command, cwd=script.parent, capture_output=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _decoded(raw: bytes, name: str) -> str:
    """Return a script's text with plain line ends, without a byte order mark."""
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _PairError(f"{name} is not UTF-8. Nothing was changed. Save it as UTF-8.") from None


def _read_notebook(raw: bytes, name: str, file: str) -> NotebookNode:
    import nbformat

    try:
        notebook = nbformat.reads(raw.decode("utf-8-sig"), as_version=4)
        nbformat.validate(notebook)
    except Exception as fault:  # whatever is in the file, the other pairs are brought in step
        reason = f"is damaged ({type(fault).__name__})" if raw.strip() else "is empty"
        raise _PairError(
            f"The notebook of {name} {reason}. Nothing was changed. Move {file} away, and another "
            f"is made from the script: {RUN} {name}"
        ) from None
    return notebook


def _as_script(notebook: NotebookNode) -> str:
    """Return what the script of this notebook is, with the settings of pyproject.toml."""
    import jupytext
    from jupytext.config import load_jupytext_config

    config = load_jupytext_config(str(PROJECT / "labs"))
    text: str = jupytext.writes(notebook, SCRIPT_FORMAT, config=config)
    return text.replace("\r\n", "\n")


def _body(text: str) -> str:
    """Return a script without its header."""
    return HEADER.sub("", text)


def _write_notebook(path: Path, notebook: NotebookNode, *, previous: NotebookNode | None) -> None:
    """Write the notebook, with kernel and outputs of those cells that `previous` has too."""
    import nbformat
    from jupytext.combine import combine_inputs_with_outputs

    kernel = KERNEL if previous is None else previous.metadata.get("kernelspec", KERNEL)
    if previous is not None:
        notebook = combine_inputs_with_outputs(notebook, previous)
    else:
        # Cells are told apart by names; these are the same wherever the notebook is made.
        for number, cell in enumerate(notebook.cells, start=1):
            cell["id"] = f"cell-{number:02}"
    notebook.metadata["kernelspec"] = kernel
    _write(path, nbformat.writes(notebook, version=4) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file in one piece: a reader, or an interruption, finds the old one or the new one."""
    path = path.resolve()
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    if path.exists():
        temporary.chmod(path.stat().st_mode & 0o777)
    temporary.replace(path)


def _checksum(text: str) -> str:
    """Return a checksum of a script without its header; 2: earlier ones included the header."""
    return "2:" + hashlib.sha256(_body(text).encode("utf-8", "surrogatepass")).hexdigest()


def _read_memory() -> Memory:
    try:
        content = json.loads(MEMORY.read_text(encoding="utf-8"))
        return {
            name: then for name, then in content.items() if str(then["script"]).startswith("2:")
        }
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return {}


if __name__ == "__main__":
    sys.exit(main())
