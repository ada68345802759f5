"""The record of a run: `run.json` among its results, written when it begins, completed at its end.

    .venv/bin/python .lab/far/current record begin [--commit COMMIT]
    .venv/bin/python .lab/far/current record end FOLDER EXIT_CODE

`begin` takes what the run is about from its job, as `LAB_JOB_FOLDER` and `LAB_OUTPUT_DIR` name it.
What cannot be known is left out, and a record that cannot be written stops no run. The keys are in
docs/contract.md. Python 3.6 is enough.
"""

import json
import os
import platform
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .files import replace_bytes, replace_text
from .masking import masked_text, secret_values
from .provenance import device, difference_of, lock_hash, source_of, versions

__all__ = ["DIFFERENCE", "RECORD", "STOPPED", "begin", "end", "has_begun", "main"]

RECORD = "run.json"
"""Its name among the results of a run."""
DIFFERENCE = "difference.patch"
"""What the code had besides its commit, as `git apply` takes it."""
STOPPED = "The run stopped at this cell."
"""Begins what a headless run prints after the error that has ended it."""

_FORMAT = 2
_TIME = "%Y-%m-%dT%H:%M:%S.%f+00:00"
_OF_A_JOB = (
    *("lab", "command", "name", "tty", "parameters", "variables", "secrets", "launcher", "hosts"),
    *("processes", "gpus", "resume"),
)
_LARGEST = 2**22  # bytes of a file that is read here


def begin(
    folder: Path,
    facts: Mapping[str, Any],
    project: Optional[Path] = None,
    *,
    code: str = "",
    apart: Sequence[str] = (),
) -> None:
    """Write the record of a run that begins now, whose results go to `folder`.

    `facts` are what the caller knows: `id`, `lab` or `command` and `name`, `parameters` and so on.
    They come before what is found out here, so a run from a checkout names its `commit`, and git
    is not asked. `project` is the project's folder, the working directory if it is not given.
    `apart` are the folders of [outputs], which are no code.
    `code` is the commit that a run from a checkout uses, where that is more than its `commit`.
    """
    with suppress(OSError, ValueError):
        root = Path.cwd() if project is None else project
        started = datetime.now(timezone.utc).strftime(_TIME)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"format": _FORMAT}  # type: Dict[str, Any]
        record.update({key: value for key, value in facts.items() if value not in (None, "", ())})
        secrets = secret_values(root)
        if "commit" not in record:
            record.update(source_of(root, apart))
        if record.get("dirty"):
            text = difference_of(root, record["commit"], secrets, until=code, apart=apart)
            record["difference"] = DIFFERENCE if text else ""
            if text:
                replace_bytes(folder / DIFFERENCE, text)
        found = {
            "lock": lock_hash(root),
            "versions": versions(root),
            "device": device(),
            "host": platform.node(),
            "started": started,
        }
        for key, value in found.items():
            if value and key not in record:
                record[key] = value
        _write(folder, masked_text(record, secrets))


def end(folder: Path, exit_code: int) -> None:
    """Add to the record in `folder`, if there is one, how and when the run ended."""
    with suppress(OSError, ValueError):
        record = _read(folder / RECORD)
        now = datetime.now(timezone.utc)
        with suppress(KeyError, TypeError, ValueError):
            started = datetime.strptime(record["started"], _TIME).replace(tzinfo=timezone.utc)
            record["seconds"] = max(0.0, round((now - started).total_seconds(), 1))
        record.update({"ended": now.strftime(_TIME), "exit_code": exit_code})
        _write(folder, record)


def has_begun(folder: Path) -> bool:
    """Return whether a run has a record in `folder` that is not complete: it is under way."""
    try:
        return "ended" not in _read(folder / RECORD)
    except (OSError, ValueError):
        return False


def main(arguments: List[str]) -> int:
    """Run `begin` or `end`; return 0, whatever comes of it, or 2 for wrong usage."""
    if arguments[:1] == ["end"] and len(arguments) == 3:
        with suppress(ValueError):
            end(Path(arguments[1]), int(arguments[2]))
        return 0
    if arguments != ["begin"] and (arguments[:2] != ["begin", "--commit"] or len(arguments) != 3):
        return 2
    with suppress(OSError, ValueError, KeyError):
        about = _read(Path(os.environ["LAB_JOB_FOLDER"]) / "about.json")
        facts = {key: about[key] for key in _OF_A_JOB if key in about}
        facts["id"] = os.environ["LAB_JOB"]
        code = ""
        if arguments[1:]:
            facts.update({"commit": arguments[2], "dirty": False})
        else:
            code = _code(Path(os.environ["LAB_JOB_FOLDER"]), facts)
        apart = _folders(Path(os.environ["LAB_JOB_FOLDER"]))
        begin(Path(os.environ["LAB_OUTPUT_DIR"]), facts, code=code, apart=apart)
    return 0


def _folders(job: Path) -> List[str]:
    """Return the folders of [outputs], whose new files are results of the job."""
    try:
        lines = (job / "folders").read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, ValueError):
        return []
    return [line for line in lines if line]


def _code(job: Path, facts: Dict[str, Any]) -> str:
    """Return the commit that a run from a checkout uses, and put into the facts what it follows."""
    try:
        kind, commit, follows, state = (job / "code").read_text(encoding="utf-8").split("\n")[:4]
    except (OSError, ValueError):
        return ""
    if kind != "checkout" or not follows:
        return ""
    facts.update({"commit": follows, "dirty": state == "dirty"})
    return commit


def _read(path: Path) -> Dict[str, Any]:
    """Return an object of JSON. Raises OSError and ValueError."""
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    values = json.loads(content.decode("utf-8")) if len(content) <= _LARGEST else None
    if not isinstance(values, dict):
        raise ValueError(str(path))
    return values


def _write(folder: Path, record: object) -> None:
    text = json.dumps(record, indent=1, sort_keys=True)
    replace_text(folder / RECORD, text + "\n")
