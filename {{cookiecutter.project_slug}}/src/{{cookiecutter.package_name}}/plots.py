"""The labs' pictures: each function returns a figure, which `Run.show` saves and shows.

The colours can be told apart with any kind of colour vision: one hue from light to dark for
amounts, blue and orange for two lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from .data import DigitData, Samples
from .training import EpochResult

__all__ = [
    "confusion_heatmap",
    "digit_counts",
    "learning_curves",
    "mistake_gallery",
    "sample_grid",
]

BLUE, ORANGE = "#0072B2", "#D55E00"  # from the palette of M. Okabe and K. Ito (2008)


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
    axes.set(xlabel="digit", ylabel="images")
    axes.legend(title=None, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
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


def confusion_heatmap(matrix: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix as a heat map.

    The colours follow the counts to the power of 0.3, since on a linear scale the mistakes would be
    as pale as the empty cells beside a thousand correct answers.

    Args:
        matrix: counts, shape (C, C); row = known class, column = predicted class.
        class_names: C names, in the order of the rows.
    """
    size = 2 + 0.5 * len(class_names)
    figure = Figure(figsize=(size, size * 0.9), layout="constrained")
    axes = figure.subplots()
    counts = matrix.numpy()
    sns.heatmap(
        counts,
        ax=axes,
        cmap="Blues",
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
    axes.set(xlabel="predicted digit", ylabel="known digit")
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


def _grid(figure: Figure, rows: int, columns: int) -> list[Axes]:
    """Return rows x columns frameless axes, row by row."""
    cells = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in cells:
        axes.set_axis_off()
    return cells
