"""The labs' pictures: each function returns a figure, which `Run.show` saves and shows.

The colours can be told apart with any kind of colour vision: one hue from light to dark for
amounts, blue and orange for two lines, which differ in dashes or hatching, too. `define_colormap`
makes other colours from a few.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike, NDArray

from .runs import LabError

if TYPE_CHECKING:  # so that a lab about tables need not wait for torch
    from .data import DigitData, Samples
    from .training import EpochResult

__all__ = [
    "ColorError",
    "check_lightness",
    "confusion_heatmap",
    "define_colormap",
    "digit_counts",
    "learning_curves",
    "lightness",
    "mistake_gallery",
    "sample_grid",
]

BLUE, ORANGE = "#0072B2", "#D55E00"  # from the palette of M. Okabe and K. Ito (2008)

# Red, green, blue and perhaps alpha, one or two digits each, without the # that matplotlib wants.
BARE_HEX = re.compile(r"[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8}", re.IGNORECASE)
NOTICEABLE = 1.0  # about the smallest difference in lightness that the eye sees

_registered: set[str] = set()  # names of colormaps that are ours, so that they may be given anew


class ColorError(LabError, ValueError):
    """Something that no colormap can be made of; the message names it."""


def sample_grid(samples: Samples, *, rows: int = 4, columns: int = 10) -> Figure:
    """Draw the first `rows` x `columns` images, each with its known label above it."""
    figure = Figure(figsize=(columns * 0.8, rows * 0.95), layout="constrained")
    for number, axes in enumerate(_grid(figure, rows, columns)):
        if number < len(samples):
            axes.imshow(samples.images[number, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(str(int(samples.labels[number])), fontsize=10)
    return figure


def digit_counts(data: DigitData) -> Figure:
    """Draw how many images of each digit there are to learn from and to test on."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    table = pd.DataFrame(
        {
            "digit": [*data.train.labels.tolist(), *data.test.labels.tolist()],
            "part": ["train"] * len(data.train) + ["test"] * len(data.test),
        }
    )
    sns.countplot(table, x="digit", hue="part", palette=[BLUE, ORANGE], ax=axes)
    for bar in axes.containers[1]:
        bar.set_hatch("///")  # in print without colours, blue and orange are the same grey
    axes.set(xlabel="digit", ylabel="images")
    axes.legend(
        axes.containers,
        ["train", "test"],
        frameon=False,
        ncols=2,
        loc="lower right",
        bbox_to_anchor=(1, 1),
    )
    sns.despine(ax=axes)
    return figure


def learning_curves(results: Sequence[EpochResult]) -> Figure:
    """Draw loss and accuracy after every epoch."""
    epochs = range(1, len(results) + 1)
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [result.train_loss for result in results], "o-", color=BLUE, label="train")
    left.plot(epochs, [result.test_loss for result in results], "s--", color=ORANGE, label="test")
    left.set(xlabel="epoch", ylabel="loss (nats)", yscale="log")
    left.legend(frameon=False)
    right.plot(epochs, [100 * result.accuracy for result in results], "s--", color=ORANGE)
    right.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        sns.despine(ax=axes)
    return figure


def confusion_heatmap(
    matrix: ArrayLike,
    class_names: Sequence[str],
    *,
    what: str = "digit",
    cmap: str | Colormap = "Blues",
) -> Figure:
    """Draw a confusion matrix as a heat map.

    The colours follow the counts to the power of 0.3, since on a linear scale the mistakes would be
    as pale as the empty cells beside a thousand correct answers.

    Args:
        matrix: counts, shape (C, C); row = known class, column = predicted class.
        class_names: C names, in the order of the rows.
        what: what is known and predicted, for the axes.
        cmap: a colormap from light to dark.
    """
    size = 2 + 0.5 * max(len(class_names), 4)
    figure = Figure(figsize=(size, size * 0.9), layout="constrained")
    axes = figure.subplots()
    counts = np.asarray(matrix)
    sns.heatmap(
        counts,
        ax=axes,
        cmap=cmap,
        norm=PowerNorm(0.3, vmin=0, vmax=max(1, counts.max())),
        annot=[[str(count) if count else "" for count in row] for row in counts.tolist()],
        fmt="",
        annot_kws={"fontsize": 9},
        cbar=False,
        square=True,
        linewidths=0.5,
        xticklabels=class_names,
        yticklabels=class_names,
    )
    axes.set(xlabel=f"predicted {what}", ylabel=f"known {what}")
    axes.tick_params(axis="y", rotation=0)
    return figure


def mistake_gallery(samples: Samples, mistakes: pd.DataFrame, *, columns: int = 8) -> Figure:
    """Draw misclassified images, each with its known and predicted label and the confidence.

    Args:
        samples: what the mistakes were made on.
        mistakes: rows of `evaluation.rank_mistakes`; all of them are drawn, in their order.
        columns: images side by side.
    """
    rows = max(1, -(-len(mistakes) // columns))
    figure = Figure(figsize=(columns * 1.25, rows * 1.6), layout="constrained")
    cells = _grid(figure, rows, columns)
    for axes, mistake in zip(cells, mistakes.itertuples(), strict=False):
        axes.imshow(samples.images[mistake.position, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(
            f"known {mistake.known}\npredicted {mistake.predicted} ({mistake.confidence:.0%})",
            fontsize=7.5,
        )
    if mistakes.empty:
        figure.suptitle("No mistakes to show")
    return figure


def define_colormap(
    colors: Iterable[ColorType], name: str = "custom", n: int = 256, *, register: bool = False
) -> LinearSegmentedColormap:
    """Return a smooth colormap that runs through `colors`, evenly spaced.

    Args:
        colors: two or more. Hexadecimal, with or without `#`, with or without alpha, or anything
            else that is a colour to matplotlib: a name, a tuple of numbers from 0 to 1...
        name: what the colormap is called.
        n: how many steps it has; at least as many as there are colours.
        register: make it, and its reverse as `name`_r, known by name to matplotlib and seaborn.

    Raises:
        ColorError: one of `colors` is no colour, there are fewer than two, `n` is too small, or the
            name is to be registered and belongs to a colormap made elsewhere.
    """
    if isinstance(colors, str) or not isinstance(colors, Iterable):
        raise ColorError(f"colors is {colors!r}; give a list of two or more colours.")
    rgba = [_to_rgba(color, number) for number, color in enumerate(colors, start=1)]
    if len(rgba) < 2:
        raise ColorError(f"colors holds {len(rgba)} of the two or more that a colormap needs.")
    if not isinstance(n, int | np.integer) or n < len(rgba):
        raise ColorError(
            f"n is {n!r}; give a whole number, at least {len(rgba)} for {len(rgba)} colours."
        )
    colormap = LinearSegmentedColormap.from_list(name, rgba, N=int(n))
    if register:
        _register(colormap, colormap.reversed())
    return colormap


def lightness(colormap: Colormap) -> NDArray[np.float64]:
    """Return how light each step of `colormap` is on paper, from 0 (black) to 100; shape (n,).

    Source: L* of CIE 1976, of the luminance that IEC 61966-2-1 defines for sRGB.
    """
    rgba = colormap(np.arange(colormap.N))  # (n, 4)
    alpha = rgba[:, 3:]
    srgb = rgba[:, :3] * alpha + (1 - alpha)  # (n, 3)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]  # (n,)
    dark = luminance * (29 / 3) ** 3
    return np.where(luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, dark)


def check_lightness(colormap: Colormap) -> bool:
    """Tell whether `colormap` only gets lighter, or only darker; warn if it does both.

    Such a map shows edges where the data has none, and two far values look alike in print without
    colours, and to some eyes. It suits only data with a middle that both sides lead away from.
    """
    levels = lightness(colormap)
    if levels[-1] < levels[0]:
        levels = levels[::-1]
    falls = np.maximum.accumulate(levels) - levels
    worst = int(falls.argmax())
    if falls[worst] <= NOTICEABLE:
        return True
    peak = levels[:worst].max()
    warnings.warn(
        f"The lightness of the colormap {colormap.name!r} is not monotonic: it rises to {peak:.0f} "
        f"and falls back to {levels[worst]:.0f}. Order the colours from light to dark, unless the "
        "data has a middle.",
        stacklevel=2,
    )
    return False


def _grid(figure: Figure, rows: int, columns: int) -> list[Axes]:
    """Return rows x columns frameless axes, row by row."""
    cells = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in cells:
        axes.set_axis_off()
    return cells


def _to_rgba(color: ColorType, number: int) -> tuple[float, float, float, float]:
    """Return a colour as red, green, blue and alpha from 0 to 1, or raise ColorError."""
    # Before matplotlib, to which 000001 is a grey level like "0.5": the number 1, white.
    bare = isinstance(color, str) and BARE_HEX.fullmatch(color)
    try:
        rgba = to_rgba(f"#{color}" if bare else color)
    except (TypeError, ValueError):
        rgba = (np.nan,) * 4
    if not np.isfinite(rgba).all():
        raise ColorError(
            f"Colour number {number}, {color!r}, is none. Give hexadecimal digits (#1b9e77, "
            "1b9e77, #1b9e7780 with alpha), a name that matplotlib knows (teal), or three or four "
            "numbers from 0 to 1."
        )
    return rgba


def _register(*colormaps: Colormap) -> None:
    """Make colormaps known by their names; those that others registered are left alone."""
    for colormap in colormaps:
        if colormap.name in mpl.colormaps and colormap.name not in _registered:
            raise ColorError(
                f"There is a colormap {colormap.name!r} already. Choose a name of your own."
            )
    for colormap in colormaps:
        if colormap.name in mpl.colormaps:
            mpl.colormaps.unregister(colormap.name)
        mpl.colormaps.register(colormap)
        _registered.add(colormap.name)
