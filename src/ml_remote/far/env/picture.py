"""Draw runs side by side: each parameter against a metric, and metrics over time.

    .venv/bin/python .lab/far/current picture <description.json >picture.base64

The description is an object with `title`, `panels` and `curves`, as `runs/drawing.py` of the tool
writes it. The picture is a PNG, printed as base64.
"""

from __future__ import annotations

import base64
import io
import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MADE_BY", "main"]

MADE_BY = "lab runs --compare"
"""What the picture says of itself, as PNG's keyword `Software`."""

_COLUMNS = 3
_SIZE = (4.6, 3.5)  # inches of a panel
_MOST_LEGEND = 10  # lines
_LONGEST = 34  # characters of a label
_MOST_TICKS = 6
_SPREAD = 50  # how many times larger than the smallest the largest value is, for a scale of powers


def main(arguments: list[str]) -> int:
    """Draw what standard input describes; return the exit code."""
    print(base64.encodebytes(picture(json.load(sys.stdin))).decode("ascii"))
    return 0


def picture(wanted: dict[str, Any]) -> bytes:
    """Return the picture of a description, as a PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    panels, curves = wanted["panels"], wanted["curves"]
    count = max(1, len(panels) + len(curves))
    columns = min(_COLUMNS, count)
    rows = math.ceil(count / columns)
    # A dollar sign in a name begins no formula.
    with plt.rc_context({"text.parse_math": False, "axes.grid": True, "grid.alpha": 0.3}):
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(_SIZE[0] * columns, _SIZE[1] * rows + 0.5),
            squeeze=False,
            layout="constrained",
        )
        axes = list(grid.flat)
        for panel, ax in zip(panels, axes, strict=False):
            _draw_panel(ax, panel, wanted["metric"])
        for curve, ax in zip(curves, axes[len(panels) :], strict=False):
            _draw_curves(ax, curve)
        for ax in axes[count:]:
            ax.remove()
        figure.suptitle(_short(wanted["title"], 90), fontsize=11)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=120, metadata={"Software": MADE_BY})
    plt.close(figure)
    return file.getvalue()


def _draw_panel(ax: Axes, panel: dict[str, Any], metric: str) -> None:
    """Draw a parameter against a metric: a point a run, the best ones as stars."""
    values, metrics = panel["values"], panel["metrics"]
    numbers = [_number(value) for value in values]
    if all(number is not None for number in numbers):
        places = [number for number in numbers if number is not None]
        if min(places) > 0 and max(places) / min(places) >= _SPREAD:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        few = sorted(set(places))
        if len(few) <= _MOST_TICKS:
            ax.set_xticks(few, [f"{one:g}" for one in few])
            ax.minorticks_off()
    else:
        names = sorted(set(values))
        places = [float(names.index(value)) for value in values]
        ax.set_xticks(range(len(names)), [_short(name, 14) for name in names], rotation=20)
        ax.margins(x=0.15)
    best = panel["best"]
    for is_best, style in ((False, {"marker": "o", "s": 36}), (True, {"marker": "*", "s": 170})):
        chosen = [index for index, one in enumerate(best) if one == is_best]
        ax.scatter(
            [places[index] for index in chosen],
            [metrics[index] for index in chosen],
            color="C1" if is_best else "C0",
            alpha=1.0 if is_best else 0.75,
            label="best" if is_best else None,
            zorder=3 if is_best else 2,
            **style,
        )
    if any(best):
        ax.legend(fontsize=8)
    ax.set_xlabel(_short(panel["name"], _LONGEST))
    ax.set_ylabel(_short(metric, _LONGEST))


def _draw_curves(ax: Axes, curve: dict[str, Any]) -> None:
    """Draw a metric over time: a line a run."""
    import matplotlib as mpl

    lines = sorted(curve["lines"], key=lambda line: line["is_best"])  # the best on top
    shades: Sequence[Any] = mpl.colormaps["viridis"](
        [0.9 * index / max(1, len(lines) - 1) for index in range(len(lines))]
    )
    for line, shade in zip(lines, shades, strict=True):
        marker = "o" if len(line["x"]) < 2 else None
        is_best = line["is_best"]
        name = f"best: {line['label']}" if is_best else line["label"]
        (drawn,) = ax.plot(line["x"], line["y"], color=shade, marker=marker)
        if is_best:
            drawn.set(color="C1", linewidth=2.5)
        if is_best or len(lines) <= _MOST_LEGEND:
            drawn.set_label(_short(name, _LONGEST))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=7)
    ax.set_xlabel(curve["step"])
    ax.set_ylabel(_short(curve["name"], _LONGEST))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _short(text: str, most: int) -> str:
    """Return a text in which all can be printed, and not more than fits; none begins with `_`."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    short = plain if len(plain) <= most else f"{plain[: most - 3]}..."
    return f" {short}" if short.startswith("_") else short
