"""The labs' pictures fit the place beside the script in VS Code, with text that can be read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from handwriting_lab import plots
from handwriting_lab.data import ImageData, Samples
from handwriting_lab.evaluation import EpochResult, rank_mistakes

MANY = [f"a long name {number}" for number in range(37)]


def data_of(classes: list[str]) -> ImageData:
    count = len(classes) * 10
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8)
    samples = Samples(pixels, torch.arange(count) % len(classes), torch.arange(count))
    return ImageData("made up", classes, samples[: count // 2], samples[count // 2 :])


def gallery(data: ImageData, count: int) -> Figure:
    shape = len(data.test), len(data.classes)
    mistakes = rank_mistakes(data.test, torch.rand(shape).softmax(dim=1), data.classes)
    return plots.mistake_gallery(data.test, mistakes.head(count))


def losses(*values: float) -> Figure:
    return plots.learning_curves([EpochResult(one, one, {"accuracy": 0.5}) for one in values])


def ticks(figure: Figure, side: int, direction: str) -> list[str]:
    """Return the labels that are shown at an axis."""
    figure.canvas.draw()
    axis = getattr(figure.axes[side], f"{direction}axis")
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text()
        for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        if low <= place <= high
    ]


@pytest.mark.parametrize("classes", [list("0123456789"), MANY], ids=["digits", "many long names"])
def test_pictures_are_as_wide_as_the_window_at_most(classes: list[str], tmp_path: Path) -> None:
    data = data_of(classes)
    for figure in (
        plots.sample_grid(data.train, classes),
        plots.class_counts(data),
        losses(2, 1),
        gallery(data, 30),
        plots.confusion_heatmap(torch.eye(10), classes[:10]),
    ):
        figure.savefig(tmp_path / "figure.png", dpi=110, bbox_inches="tight")
        width = int.from_bytes((tmp_path / "figure.png").read_bytes()[16:20], "big")
        assert width <= 680
        sizes = [text.get_fontsize() for axes in figure.axes for text in axes.texts]
        sizes += [axes.title.get_fontsize() for axes in figure.axes]
        assert min(sizes, default=8) >= 8  # points; 10 pixels where the window is narrow


def test_names_of_many_classes_are_beside_their_bars() -> None:
    (axes,) = plots.class_counts(data_of(MANY)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == MANY
    assert {bar.get_width() for bars in axes.containers for bar in bars} == {5}


@pytest.mark.parametrize(("count", "columns"), [(0, 1), (1, 1), (3, 3), (30, 5)])
def test_gallery_has_no_more_columns_than_pictures(count: int, columns: int) -> None:
    figure = gallery(data_of(list("0123456789")), count)
    assert figure.axes[0].get_gridspec().ncols == columns
    assert figure.get_figwidth() == pytest.approx(columns * plots.WIDTH / 5)
    assert figure.get_suptitle() == ("" if count else "No mistakes to show")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.3, 0.12], ["0.2", "0.5", "1", "2"]),
        ([0.8, 0.5], ["0.5", "0.6", "0.7", "0.8"]),
        ([5e3, 5e-3], ["0.01", "0.1", "1", "10", "100", "1000"]),
    ],
)
def test_losses_have_a_few_plain_numbers_at_their_axis(
    values: list[float], expected: list[str]
) -> None:
    assert ticks(losses(*values), 0, "y") == expected


def test_odd_losses_are_drawn() -> None:
    for values in ([1, 0], [math.nan, 1], [0.0, 0.0]):
        assert len(ticks(losses(*values), 0, "y")) < 12


@pytest.mark.parametrize("epochs", [1, 2, 8, 300])
def test_epochs_are_whole_numbers_with_room_between_them(epochs: int) -> None:
    labels = ticks(losses(*[1.0] * epochs), 1, "x")
    assert 1 <= len(labels) <= 7
    assert all(label.isdigit() for label in labels)
