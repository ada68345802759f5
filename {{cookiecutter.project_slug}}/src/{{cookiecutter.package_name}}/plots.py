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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike, NDArray

from .runs import LabError

if TYPE_CHECKING:  # so that a lab about tables need not wait for torch
    from torch import Tensor

    from .data import ImageData, Samples
    from .evaluation import EpochResult

__all__ = [
    "ColorError",
    "check_lightness",
    "class_counts",
    "confusion_heatmap",
    "define_colormap",
    "learning_curves",
    "lightness",
    "mistake_gallery",
    "sample_grid",
]

WIDTH = 6.0  # inches: what is wider is shrunk in VS Code, with the text in it
BLUE, ORANGE = "#0072B2", "#D55E00"  # from the palette of M. Okabe and K. Ito (2008)

# Red, green, blue and perhaps alpha, one or two digits each, without the # that matplotlib wants.
BARE_HEX = re.compile(r"[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8}", re.IGNORECASE)
NOTICEABLE = 1.0  # about the smallest difference in lightness that the eye sees

# For functions that draw names from data, in which a $ begins no formula.
_draws_names = mpl.rc_context({"text.parse_math": False})

_registered: set[str] = set()  # names of colormaps that are ours, so that they may be replaced


class ColorError(LabError, ValueError):
    """Colours that cannot form a colormap; the message names them."""


@_draws_names
def sample_grid(
    samples: Samples, classes: Sequence[str], *, rows: int = 4, columns: int | None = None
) -> Figure:
    """Draw `rows` x `columns` images, each with the name of its class above it.

    They are taken at equal distances, since those of a folder come class by class.
    """
    names = [_short(name) for name in classes]
    wide = max(map(len, names)) > 6
    columns = columns or (6 if wide else 10)
    figure = Figure(figsize=(WIDTH, rows * (WIDTH / columns + 0.2)), layout="constrained")
    cells = _grid(figure, rows, columns)
    shown = samples[:: max(1, len(samples) // len(cells))][: len(cells)]
    for axes, image, label in zip(cells, shown.inputs, shown.labels.tolist(), strict=False):
        _draw(axes, image)
        axes.set_title(names[label], fontsize=8 if wide else 10)
    return figure


@_draws_names
def class_counts(data: ImageData, *, what: str = "class") -> Figure:
    """Draw how many images of each class there are to learn from and to test on."""
    names = [_short(name) for name in data.classes]
    every = 1 + len(names) // 100  # names that fit
    lying = sum(map(len, names)) > 10 * WIDTH  # side by side they would run into one another
    height = 1 + 0.25 * min(len(names), 100) if lying else 2.8
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    labels = [*data.train.labels.tolist(), *data.test.labels.tolist()]
    table = pd.DataFrame(
        {
            what: pd.Categorical([data.classes[label] for label in labels], data.classes),
            "part": ["train"] * len(data.train) + ["test"] * len(data.test),
        }
    )
    along = {"y" if lying else "x": what}
    sns.countplot(table, **along, hue="part", palette=[BLUE, ORANGE], ax=axes)
    for bar in axes.containers[1]:
        bar.set_hatch("///")  # in print without colours, blue and orange are the same grey
    kinds, numbers = (axes.yaxis, axes.xaxis) if lying else (axes.xaxis, axes.yaxis)
    kinds.set_label_text(what)
    kinds.set_ticks(range(0, len(names), every), names[::every])
    numbers.set_label_text("images")
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
    """Draw the losses and the metrics after every epoch."""
    epochs = range(1, len(results) + 1)
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [result.train_loss for result in results], "o-", color=BLUE, label="train")
    left.plot(epochs, [result.test_loss for result in results], "s--", color=ORANGE, label="test")
    left.set(xlabel="epoch", ylabel="loss", yscale="log")
    left.legend(frameon=False)
    low, high = left.get_ylim()
    steps = LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,))
    steps = steps if high > 4 * low else MaxNLocator(5, steps=(1, 2, 5, 10))
    left.yaxis.set(major_locator=steps, minor_locator=NullLocator())
    left.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    lines = zip(results[-1].metrics, ("s--", "^-.", "v:"), (ORANGE, BLUE, "black"), strict=False)
    for name, line, color in lines:
        right.plot(epochs, [one.metrics[name] for one in results], line, color=color, label=name)
    right.set(xlabel="epoch", ylabel="on the test data")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        sns.despine(ax=axes)
    return figure


@_draws_names
def confusion_heatmap(
    matrix: ArrayLike,
    class_names: Sequence[str],
    *,
    what: str = "class",
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
    names = [_short(name, 24) for name in class_names]
    every = 1 + len(names) // 60  # 1 where all names and counts fit
    size, room = 1.5 + 0.42 * min(max(len(names), 4), 60), 0.07 * max(map(len, names))
    figure = Figure(figsize=(size + room, size * 0.9 + room), layout="constrained")
    FigureCanvasAgg(figure)  # without one, matplotlib makes an image of it for every name
    axes = figure.subplots()
    counts = np.asarray(matrix)
    texts = [[str(count) if count else "" for count in row] for row in counts.tolist()]
    sns.heatmap(
        pd.DataFrame(counts, names, names),
        ax=axes,
        cmap=cmap,
        norm=PowerNorm(0.3, vmin=0, vmax=max(1, counts.max())),
        annot=texts if every == 1 else None,
        fmt="",
        annot_kws={"fontsize": 9},
        cbar=False,
        square=True,
        linewidths=0.5 if every == 1 else 0,
        xticklabels=every,
        yticklabels=every,
    )
    axes.set(xlabel=f"predicted {what}", ylabel=f"known {what}")
    axes.tick_params(axis="y", rotation=0)
    return figure


@_draws_names
def mistake_gallery(
    samples: Samples, mistakes: pd.DataFrame, *, columns: int | None = None
) -> Figure:
    """Draw misclassified images, each with its known and predicted label and the confidence.

    Args:
        samples: what the mistakes were made on.
        mistakes: rows of `evaluation.rank_mistakes`; all of them are drawn, in their order.
        columns: images side by side; unless given, as many as can be read beside one another.
    """
    longest = max((len(_short(name)) for name in mistakes["predicted"]), default=0)
    width = max(WIDTH / 5, 0.066 * (longest + 16))  # the second line of the titles fits into it
    columns = min(columns or int(WIDTH / width), max(1, len(mistakes)))
    rows = max(1, -(-len(mistakes) // columns))
    figure = Figure((columns * width, rows * (min(width, 1.4) + 0.35)), layout="constrained")
    cells = _grid(figure, rows, columns)
    for axes, mistake in zip(cells, mistakes.itertuples(), strict=False):
        _draw(axes, samples[mistake.position : mistake.position + 1].inputs[0])
        axes.set_title(
            f"known {_short(mistake.known)}\n"
            f"predicted {_short(mistake.predicted)} ({mistake.confidence:.0%})",
            fontsize=8,
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
        raise ColorError(f"colors has {len(rgba)}, but a colormap needs two or more.")
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
    """Return whether `colormap` only gets lighter, or only darker; warn if it does both.

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


def _short(name: str, longest: int = 14) -> str:
    """Return the name of a class, cut where it would run into its neighbour's."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _draw(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W) of one colour, which is ink on paper, or of three."""
    pixels = image.permute(1, 2, 0).numpy()  # (H, W, C)
    axes.imshow(pixels[..., 0] if len(image) == 1 else pixels, cmap="gray_r", vmin=0, vmax=1)


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
            f"Colour {number}, {color!r}, is not a colour. Give hexadecimal digits (#1b9e77, "
            "1b9e77, #1b9e7780 with alpha), a name that matplotlib knows (teal), or three or four "
            "numbers from 0 to 1."
        )
    return rgba


def _register(*colormaps: Colormap) -> None:
    """Register colormaps by their names; leave those that others registered alone."""
    for colormap in colormaps:
        if colormap.name in mpl.colormaps and colormap.name not in _registered:
            raise ColorError(f"The colormap {colormap.name!r} already exists. Choose another name.")
    for colormap in colormaps:
        if colormap.name in mpl.colormaps:
            mpl.colormaps.unregister(colormap.name)
        mpl.colormaps.register(colormap)
        _registered.add(colormap.name)
