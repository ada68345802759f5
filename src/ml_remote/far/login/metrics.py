"""Metrics and parameters of runs, read from their results, and what differs between runs.

A run's program has written these files, so anything may be in them. What is no number is no metric,
what is damaged or too large says nothing, and names are bounded. Python 3.6 is enough.
"""

import json
import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

__all__ = [
    "CURVES",
    "METRICS",
    "STEPS",
    "Known",
    "curves_of",
    "differing",
    "label",
    "metrics_of",
    "parameters_of",
    "read_object",
    "text_of",
]

METRICS = "metrics.json"
"""The last values: an object of names and numbers, and perhaps `parameters`."""
CURVES = "metrics.jsonl"
"""Values over time: an object a line, with `step` or `epoch`."""
STEPS = ("epoch", "step")
"""What tells when a line of CURVES was written, the better one first."""

_LARGEST = 2**22  # bytes of a file of JSON
_LONGEST_LINE = 2**16
_MOST_LINES = 200000
_MOST_NAMES = 200
_LONGEST_NAME = 100
_LONGEST_VALUE = 200
_DEEPEST = 5
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Known(NamedTuple):
    """The parameters of a run."""

    values: Dict[str, str]
    is_full: bool
    """Whether those that have their default value are among them."""


def read_object(path: Path) -> Dict[str, Any]:
    """Return the object of JSON in a file; an empty one if there is none that can be read."""
    try:
        with _opened(path) as file:
            content = file.read(_LARGEST + 1)
        values = json.loads(content.decode("utf-8")) if len(content) <= _LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def parameters_of(folder: Path, record: Mapping[str, Any]) -> Known:
    """Return the parameters of the run with these results and this record.

    They are those of a lab; of a program, its options and the variables that were given to it.
    """
    found = {}  # type: Dict[str, str]
    found.update(_options(record.get("command")))
    found.update(_pairs(record.get("variables")))
    found.update(_pairs(record.get("parameters")))
    settled = read_object(folder / METRICS).get("parameters")
    if isinstance(settled, dict):
        found.update({name: text_of(value) for name, value in settled.items() if _is_name(name)})
    few = dict(islice(found.items(), _MOST_NAMES))
    return Known(few, isinstance(settled, dict) and bool(settled))


def metrics_of(folder: Path) -> Dict[str, float]:
    """Return the last value of each metric of the run with these results; nested ones as `a.b`."""
    values = read_object(folder / METRICS)
    values.pop("parameters", None)
    found = dict(islice(_numbers(values), _MOST_NAMES))
    for row in [] if found else _rows(folder / CURVES):
        found.update(row)
        if len(found) > _MOST_NAMES:
            break
    return {name: value for name, value in found.items() if name not in STEPS}


def curves_of(folder: Path) -> Dict[str, Tuple[str, List[float], List[float]]]:
    """Return each metric over time: `epoch` or `step`, its values, and those of the metric."""
    found = {}  # type: Dict[str, Tuple[str, List[float], List[float]]]
    for row in _rows(folder / CURVES):
        steps = [name for name in STEPS if name in row]
        for name, value in row.items():
            if not steps or name in STEPS or (name not in found and len(found) >= _MOST_NAMES):
                continue
            kind, moments, values = found.setdefault(name, (steps[0], [], []))
            if kind in row:
                moments.append(row[kind])
                values.append(value)
    return found


def differing(runs: Sequence[Known]) -> List[str]:
    """Return the parameters in which runs differ, in the order in which they first come.

    Where a run does not say what its defaults are, one that it was not given counts as the same.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.values))
    given = {name for run in runs if not run.is_full for name in run.values}
    found = []
    for name in names:
        values = {
            run.values.get(name)
            for run in runs
            if name in run.values or run.is_full or name in given
        }
        if len(values) > 1:
            found.append(name)
    return found


def label(values: Mapping[str, str], names: Sequence[str]) -> str:
    """Return how a run differs from others, such as `lr=0.1 seed=2`."""
    return " ".join("{}={}".format(name, values[name]) for name in names if name in values)


def text_of(value: object) -> str:
    """Return the value of a parameter as a text; numbers that are equal have equal ones."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if _NUMBER.fullmatch(value) and len(value) < 40:
            return _number_text(value)
        return value.lower() if value in ("True", "False") else value[:_LONGEST_VALUE]
    if isinstance(value, (int, float)):
        return _number_text(repr(value)[:40])
    return "" if value is None else json.dumps(value)[:_LONGEST_VALUE]


def _number_text(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    if number != number or number in (float("inf"), float("-inf")):
        return text
    return "{:.0f}".format(number) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _numbers(values: Mapping[str, Any], before: str = "") -> Iterator[Tuple[str, float]]:
    """Yield the numbers of an object, and of those in it."""
    for name, value in values.items():
        full = before + name
        if not _is_name(full):
            continue
        if isinstance(value, dict) and before.count(".") < _DEEPEST:
            for pair in _numbers(value, full + "."):
                yield pair
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                yield full, float(value)
            except OverflowError:
                continue


def _rows(path: Path) -> Iterator[Dict[str, float]]:
    """Yield the numbers of each line of CURVES; a line that is no object says nothing."""
    try:
        with _opened(path) as file:
            for _ in range(_MOST_LINES):
                line = file.readline(_LONGEST_LINE)
                if not line:
                    return
                try:
                    values = json.loads(line.decode("utf-8"))
                except (ValueError, RecursionError):
                    continue
                if isinstance(values, dict):
                    yield dict(islice(_numbers(values), _MOST_NAMES))
    except OSError:
        return


def _opened(path: Path) -> BinaryIO:
    """Open an ordinary file. Raises OSError for what else it is: a pipe would be read for ever."""
    descriptor = os.open(str(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(str(path))
    return os.fdopen(descriptor, "rb")


def _pairs(pairs: object) -> Dict[str, str]:
    """Return the names and values of a list of pairs, as far as it is one."""
    found = {}
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, list) and len(pair) == 2 and _is_name(pair[0]):
            found[pair[0]] = text_of(pair[1])
    return found


def _options(command: object) -> Dict[str, str]:
    """Return the options of a program: `--lr 0.1`, `--lr=0.1`, and `--fast`, which is true."""
    words = command if isinstance(command, list) else []
    if not all(isinstance(word, str) for word in words):
        return {}
    found = {}
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else "--"
        name, given, value = word.partition("=")
        if not name.startswith("--") or not _is_name(name[2:]):
            continue
        if not given:
            value = after if not after.startswith("-") or _NUMBER.fullmatch(after) else "true"
        found[name[2:]] = text_of(value)
    return found


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
