#!/usr/bin/env python3
"""Keep every lab's script and its notebook in step, without ever losing an edit.

    .venv/bin/python scripts/sync_pairs.py

The one that was changed since the last time is copied over the other; the notebook keeps the
outputs of the cells that stay. When both were changed, neither is touched and the exit code is 1.
What both were like the last time is remembered, as checksums, in .lab/pairs.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nbformat import NotebookNode

PROJECT = Path(__file__).resolve().parents[1]
MEMORY = PROJECT / ".lab" / "pairs.json"
SCRIPT_FORMAT = "py:percent"

Side = Literal["script", "notebook"]


def main(arguments: list[str] | None = None) -> int:
    """Bring all pairs in step; return 1 when one of them needs a person's decision."""
    options = _parse(arguments)
    scripts = [script.resolve() for script in options.scripts] or sorted(PROJECT.glob("labs/*.py"))
    memory = _read_memory()
    conflicts = 0
    for script in scripts:
        notebook = script.with_suffix(".ipynb")
        if options.missing and notebook.exists():
            continue
        try:
            print(_sync(script, notebook, memory=memory, keep=options.keep))
        except _ConflictError as conflict:
            print(conflict, file=sys.stderr)
            conflicts += 1
    _write(MEMORY, json.dumps(memory, indent=2) + "\n")
    return 1 if conflicts else 0


class _ConflictError(Exception):
    """A pair that only a person can bring in step; the message says how."""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bring scripts and notebooks in step.")
    parser.add_argument("scripts", nargs="*", type=Path, help="labs/*.py unless named")
    parser.add_argument(
        "--missing", action="store_true", help="only make notebooks that are missing"
    )
    parser.add_argument(
        "--keep",
        choices=["script", "notebook"],
        help="which one counts where both were changed; the other one's changes are lost",
    )
    return parser.parse_args(arguments)


def _sync(
    script: Path, notebook: Path, *, memory: dict[str, dict[Side, str]], keep: Side | None
) -> str:
    """Bring one pair in step and return what was done, in a sentence."""
    import jupytext

    name = script.relative_to(PROJECT).as_posix()
    script_text = script.read_text(encoding="utf-8")
    if not notebook.exists():
        fresh = jupytext.reads(script_text, SCRIPT_FORMAT)
        _write_notebook(notebook, fresh, previous=None)
        memory[name] = {"script": _checksum(script_text), "notebook": _checksum(_as_script(fresh))}
        return f"{name}: its notebook was made"

    old = jupytext.read(notebook)
    from_script = jupytext.reads(script_text, SCRIPT_FORMAT)
    notebook_text = _as_script(old)
    now: dict[Side, str] = {"script": _checksum(script_text), "notebook": _checksum(notebook_text)}
    if _as_script(from_script) == notebook_text:
        memory[name] = now
        return f"{name}: in step"

    source = keep or _changed_side(
        script, script_text, notebook_text, then=memory.get(name), now=now
    )
    if source == "script":
        _write_notebook(notebook, from_script, previous=old)
        now["notebook"] = _checksum(_as_script(from_script))
    else:
        _write(script, notebook_text)
        now["script"] = _checksum(notebook_text)
    memory[name] = now
    return f"{name}: the {source} was changed; the other now follows it"


def _changed_side(
    script: Path,
    script_text: str,
    notebook_text: str,
    *,
    then: dict[Side, str] | None,
    now: dict[Side, str],
) -> Side:
    """Tell which of the two was changed since they were last in step, or raise _ConflictError."""
    if then is not None:
        changed = [side for side in now if then[side] != now[side]]
    else:
        # Never synced here. The script that git has is what the notebook was made from.
        committed = _committed(script)
        texts: dict[Side, str] = {"script": script_text, "notebook": notebook_text}
        changed = [side for side in texts if texts[side] != committed]
    if len(changed) == 1:
        return changed[0]
    name = script.relative_to(PROJECT).as_posix()
    raise _ConflictError(
        f"{name} and its notebook were both changed since they were last in step. Neither was "
        "touched. Save a copy of what you want to keep of one of them, then choose:\n"
        f"  python scripts/sync_pairs.py {name} --keep script\n"
        f"  python scripts/sync_pairs.py {name} --keep notebook"
    )


def _committed(script: Path) -> str | None:
    """Return the text of the script in git's last commit, or None where there is none."""
    command = ["git", "show", f"HEAD:./{script.name}"]
    try:
        done = subprocess.run(command, cwd=script.parent, capture_output=True)
    except OSError:
        return None
    return (
        done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
        if done.returncode == 0
        else None
    )


def _as_script(notebook: NotebookNode) -> str:
    """Return what the script of this notebook is, with the settings of pyproject.toml."""
    import jupytext
    from jupytext.config import load_jupytext_config

    config = load_jupytext_config(str(PROJECT / "labs"))
    text: str = jupytext.writes(notebook, SCRIPT_FORMAT, config=config)
    return text


def _write_notebook(path: Path, notebook: NotebookNode, *, previous: NotebookNode | None) -> None:
    """Write the notebook, with the outputs of those cells that `previous` has too."""
    import nbformat
    from jupytext.combine import combine_inputs_with_outputs

    if previous is not None:
        notebook = combine_inputs_with_outputs(notebook, previous)
    else:
        # Cells are told apart by names; these are the same wherever the notebook is made.
        for number, cell in enumerate(notebook.cells, start=1):
            cell["id"] = f"cell-{number:02}"
    _write(path, nbformat.writes(notebook, version=4) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file in one piece: a reader, or an interruption, finds the old one or the new one."""
    path.parent.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    Path(temporary).chmod(mode)
    Path(temporary).replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _read_memory() -> dict[str, dict[Side, str]]:
    try:
        content: dict[str, dict[Side, str]] = json.loads(MEMORY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


if __name__ == "__main__":
    sys.exit(main())
