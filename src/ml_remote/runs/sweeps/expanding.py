"""From `--sweep NAME=VALUES` to a list of parameter sets: every combination, or random samples."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ... import answers
from ...errors import UsageError
from ..variable_names import check_name

__all__ = [
    "MOST_SETS",
    "Axis",
    "ParameterSet",
    "check_places",
    "check_samples",
    "check_size",
    "count_combinations",
    "expand",
    "read_axes",
]

MOST_SETS = 10_000
"""Sets of one sweep."""

ParameterSet = tuple[tuple[str, str], ...]
"""The names and values of one run of a sweep, in the order in which they were given."""

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"(?P<log>log:)?(?P<low>{_NUMBER})\.\.(?!\.)(?P<high>{_NUMBER})")
_LIKE_A_RANGE = re.compile(r"log:.*|[-+.eE\s\d]*\d\s*\.\.[-+.eE\s\d]*")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS = 15
_PLACE = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")
_LONGEST = 1000  # characters of a value
_LARGEST = 4 * 10**6  # bytes of all sets; what is larger is not read on the machine
_TRIES = 50  # for each sample that is to be another one than those before
_EXAMPLES = "--sweep learning_rate=0.1,0.03 --sweep seed=0..4"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One swept parameter."""

    name: str
    text: str
    """Its values, as they were given."""
    values: Sequence[str] = ()
    """The values; empty for a range that only samples can be drawn from."""
    draw: Callable[[random.Random], str] | None = None
    """How a sample is drawn from such a range."""
    bounds: Mapping[str, object] | None = None
    """What a range is, for a program that proposes values: `low`, `high`, `whole` and `log`."""

    @property
    def space(self) -> Mapping[str, object]:
        """What its values are, as `about.json` of a sweep says it."""
        return {"choices": list(self.values)} if self.bounds is None else self.bounds


def read_axes(words: Sequence[str]) -> list[Axis]:
    """Return the swept parameters. Raises UsageError for what is none, or is there twice."""
    axes = [_read_axis(word) for word in words]
    for number, axis in enumerate(axes):
        if axis.name in {other.name for other in axes[:number]}:
            raise UsageError(
                f"--sweep has {axis.name} twice.",
                hint="Give all its values at once: --sweep NAME=VALUE,VALUE",
            )
    return axes


def expand(axes: Sequence[Axis], *, samples: int | None, seed: int) -> list[ParameterSet]:
    """Return the sets: every combination in order, or so many samples, each another one.

    Raises UsageError for none or too many, and for a range that has no list of values.
    """
    if samples is None:
        return _grid(axes)
    check_samples(axes, samples)
    return list(_samples(axes, samples, random.Random(seed)))


def check_samples(axes: Sequence[Axis], samples: int) -> None:
    """Raise UsageError unless there can be so many sets."""
    if not 0 < samples <= MOST_SETS:
        raise UsageError(f"--samples is {samples}; it must be between 1 and {MOST_SETS:,}.")
    count = count_combinations(axes) if axes else None
    if count is not None and count < samples:
        raise UsageError(
            f"--samples {samples} is more than the {count:,} combinations that there are.",
            hint="Without --samples, each combination runs once",
        )


def count_combinations(axes: Sequence[Axis]) -> int | None:
    """Return how many sets there can be; None where a range has no list of values."""
    if any(axis.draw is not None for axis in axes):
        return None
    return math.prod(len(axis.values) for axis in axes)


def check_size(sets: Iterable[ParameterSet]) -> None:
    """Raise UsageError when the list of all sets of a sweep is too long to be kept."""
    size = sum(len(json.dumps({"set": MOST_SETS, "parameters": one})) + 1 for one in sets)
    if size > _LARGEST:
        raise UsageError(
            f"The values of all sets take {size / 1e6:.1f} MB; a sweep has at most "
            f"{_LARGEST / 1e6:.0f} MB.",
            hint="Use shorter values, such as the name of a file",
        )


def check_places(command: Sequence[str], names: Sequence[str]) -> None:
    """Check the places `{name}` of a command. Raises UsageError for one that is not swept."""
    for word in command:
        for found in _PLACE.finditer(word):
            if found[2] is not None and found[2] not in names:
                raise UsageError(
                    f"{{{found[2]}}} in the command names no --sweep. "
                    f"There are: {', '.join(names)}.",
                    hint="If the program is to get this text as it is, double the braces",
                )


def _read_axis(word: str) -> Axis:
    name, is_given, text = (part.strip() for part in word.partition("="))
    if not is_given or not answers.is_a(answers.VARIABLE, name):
        raise UsageError(
            f"--sweep {word!r} is not NAME=VALUES; a name has letters, digits and _.",
            hint=f"For example: {_EXAMPLES}",
        )
    check_name(name)
    if not text:
        raise UsageError(f"--sweep {name}= has no values.", hint=f"For example: {_EXAMPLES}")
    if text.startswith("log:") or ("," not in text and _LIKE_A_RANGE.fullmatch(text)):
        return _read_range(name, text)
    values = [_unquoted(value.strip()) for value in _split(text)]
    for number, value in enumerate(values, 1):
        if not value:
            raise UsageError(f"--sweep {name}: value {number} of {text!r} is empty.")
        if value in values[: number - 1]:
            raise UsageError(f"--sweep {name} has {value!r} twice.")
        if not value.isprintable() or len(value) > _LONGEST:
            raise UsageError(
                f"--sweep {name}: value {number} is not one line of up to {_LONGEST} characters."
            )
        if _LIKE_A_RANGE.fullmatch(value):
            raise UsageError(
                f"--sweep {name}: the range {value!r} cannot be one of several values.",
                hint="Give a range alone (seed=0..4), or each value (seed=0,1,2,7)",
            )
    return Axis(name=name, text=text, values=values)


def _split(text: str) -> list[str]:
    """Return the values of a list; a comma in brackets, or in quotes around a value, is theirs."""
    values, opened, quote = [""], 0, ""
    for letter in text:
        if quote or (letter in "\"'" and not values[-1].strip()):
            quote = "" if letter == quote else quote or letter
        else:
            opened += (letter in "[({") - (letter in "])}")
        if letter == "," and not quote and opened == 0:
            values.append("")
        else:
            values[-1] += letter
    return text.split(",") if quote or opened else values  # they are but letters


def _unquoted(value: str) -> str:
    """Return a value without the quotes that a comma in it needs."""
    is_quoted = "," in value and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _read_range(name: str, text: str) -> Axis:
    """Return the axis of `0..4`, `0.1..0.5` or `log:1e-4..1e-1`. Raises UsageError."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--sweep {name}: {text!r} is not a range.",
            hint="Write it as 0..4, or, for --samples, as 0.1..0.5 or log:1e-4..1e-1",
        )
    low, high = float(found["low"]), float(found["high"])
    if not math.isfinite(low) or not math.isfinite(high):
        raise UsageError(f"--sweep {name}: the numbers of {text!r} are too large.")
    if low > high:
        raise UsageError(
            f"--sweep {name}: {text!r} runs backwards.",
            hint="Write the smaller number first",
        )
    if found["log"]:
        if low <= 0:
            raise UsageError(f"--sweep {name}: a logarithmic range must begin above 0.")
        begin, end = math.log(low), math.log(high)
        return Axis(
            name=name,
            text=text,
            draw=lambda chance: _short(math.exp(chance.uniform(begin, end))),
            bounds={"low": low, "high": high, "whole": False, "log": True},
        )
    if _WHOLE.fullmatch(found["low"]) and _WHOLE.fullmatch(found["high"]):
        if max(len(found[end].lstrip("+-")) for end in ("low", "high")) > _MOST_DIGITS:
            raise UsageError(
                f"--sweep {name}: the whole numbers of {text!r} have more than {_MOST_DIGITS} "
                "digits."
            )
        first, last = int(found["low"]), int(found["high"])
        whole = {"low": first, "high": last, "whole": True, "log": False}
        if last - first < MOST_SETS:
            values = [*map(str, range(first, last + 1))]
            return Axis(name=name, text=text, values=values, bounds=whole)
        return Axis(
            name=name,
            text=text,
            draw=lambda chance: str(chance.randint(first, last)),
            bounds=whole,
        )
    return Axis(
        name=name,
        text=text,
        draw=lambda chance: _short(chance.uniform(low, high)),
        bounds={"low": low, "high": high, "whole": False, "log": False},
    )


def _short(value: float) -> str:
    return f"{value:.6g}"


def _grid(axes: Sequence[Axis]) -> list[ParameterSet]:
    for axis in axes:
        if axis.draw is not None:
            raise UsageError(
                f"--sweep {axis.name}: {axis.text!r} has no list of values.",
                hint="List the values, or draw some at random: --samples N",
            )
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_SETS:
        raise UsageError(
            f"These are {count:,} combinations; a sweep has at most {MOST_SETS:,}.",
            hint="Draw some of them at random: --samples N",
        )
    names = [axis.name for axis in axes]
    return [
        tuple(zip(names, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def _samples(axes: Sequence[Axis], wanted: int, chance: random.Random) -> Iterator[ParameterSet]:
    """Yield samples, each another one. Raises UsageError where there are not so many."""
    if all(axis.draw is None for axis in axes):
        count = math.prod(len(axis.values) for axis in axes)
        for number in chance.sample(range(count), wanted):
            yield _combination(axes, number)
        return
    known: set[ParameterSet] = set()
    for _ in range(wanted * _TRIES):
        one = tuple(
            (axis.name, chance.choice(axis.values) if axis.draw is None else axis.draw(chance))
            for axis in axes
        )
        if one not in known:
            known.add(one)
            yield one
        if len(known) == wanted:
            return
    raise UsageError(f"These ranges have fewer than {wanted:,} different sets.")


def _combination(axes: Sequence[Axis], number: int) -> ParameterSet:
    """Return one combination by its number among all."""
    pairs = []
    for axis in reversed(axes):
        number, place = divmod(number, len(axis.values))
        pairs.append((axis.name, axis.values[place]))
    return tuple(reversed(pairs))
