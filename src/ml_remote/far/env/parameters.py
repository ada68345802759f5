"""What a run is given: the parameters of a lab, the project, and the folder for its results.

A lab's own package has the same rules (its `runs.py`), but nothing here may depend on a project.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = [
    "RunError",
    "add_parameter_option",
    "project_root",
    "results_folder",
    "split_parameters",
    "typed_parameters",
]

_PROJECT_FILE = "lab.toml"
_PARAMETER_OPTION = ("-p", "--parameter")
_PAIR = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<value>.*)", re.DOTALL)


class RunError(Exception):
    """A run that cannot start; the message is a sentence that says what to do."""


def split_parameters(arguments: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the `-p NAME VALUE` pairs of a command line, and everything else on it.

    They may be written as `-p NAME=VALUE`, too.

    A value may begin with a hyphen, as -1e-3 does; argparse would take that for an option.
    """
    pairs, others = [], []
    left = list(arguments)
    while left:
        pair = _PAIR.fullmatch(left[1]) if len(left) > 1 else None
        if left[0] in _PARAMETER_OPTION and pair is not None:
            pairs.append((pair["name"], pair["value"]))
            del left[:2]
        elif left[0] in _PARAMETER_OPTION and len(left) > 2:
            pairs.append((left[1], left[2]))
            del left[:3]
        else:
            others.append(left.pop(0))
    return pairs, others


def add_parameter_option(parser: argparse.ArgumentParser) -> None:
    """Add `-p NAME VALUE` to a command line, and reject one that is incomplete."""
    parser.add_argument(
        *_PARAMETER_OPTION,
        nargs=2,
        action="append",
        metavar=("NAME", "VALUE"),
        help="set a parameter of the lab; can be repeated",
    )


def typed_parameters(
    pairs: Iterable[Sequence[str]], *, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return (name, text) pairs as parameters, each value of the type that its default has.

    Raises RunError when a name is not in `defaults`, or a text is no value of that type.
    """
    values = {}
    for name, text in pairs:
        if name not in defaults:
            raise RunError(
                f"This lab has no parameter {name!r}. It has: {', '.join(defaults) or 'none'}."
            )
        try:
            values[name] = _typed(text, defaults[name])
        except (ValueError, KeyError, SyntaxError, TypeError):
            raise RunError(
                f"The parameter {name} cannot be {text!r}. Give it a value like its default "
                f"{defaults[name]!r}, of type {type(defaults[name]).__name__}."
            ) from None
    return values


def project_root() -> Path:
    """Return the nearest folder with a `lab.toml`: from here upwards, else from this file upwards.

    Raises RunError when there is none.
    """
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / _PROJECT_FILE).is_file():
                return folder
    raise RunError(f"There is no {_PROJECT_FILE} in {Path.cwd()}. Run this in the project.")


def results_folder(lab: str) -> Path:
    """Make the folder for one run's results: `LAB_OUTPUT_DIR`, or outputs/<lab>/<time>/.

    Raises RunError when a thousand runs of the lab started in this second.
    """
    named = os.environ.get("LAB_OUTPUT_DIR")
    if named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    # Two runs may start within one second.
    for suffix in ("", *(f"_{number}" for number in range(2, 1000))):
        folder = project_root() / "outputs" / lab / f"{time}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RunError(f"A thousand runs of {lab} started in one second. Wait a second and try again.")


def _typed(text: str, default: object) -> object:
    """Return `text` as a value of the type that `default` has; raise ValueError if it is none."""
    if isinstance(default, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(default, int | float | str):
        return type(default)(text)
    if isinstance(default, list | tuple | dict):
        return type(default)(ast.literal_eval(text))
    return text
