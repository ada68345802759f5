"""The pictures: what they show can be read off them."""

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from {{ cookiecutter.package_name }} import plots
from {{ cookiecutter.package_name }}.data import DIGITS, DigitData, load
from {{ cookiecutter.package_name }}.evaluation import rank_mistakes
from {{ cookiecutter.package_name }}.training import EpochResult

# What the eye makes of red, green and blue light without one kind of its cones. Source: G. Machado,
# M. Oliveira and L. Fernandes, A Physiologically-based Model for Simulation of Color Vision
# Deficiency (2009), severity 1.
COLOUR_VISION = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# From linear sRGB to CIE XYZ, as IEC 61966-2-1 defines it.
TO_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)
CLEARLY = 50  # units of CIE 1976 L*a*b*; about 2 are just seen, red and green to many eyes are 7


def seen(color: str, vision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a colour as an eye with that colour vision sees it, in L*a*b*; shape (3,)."""
    rgb = np.array(to_rgb(color))
    light = vision @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = (TO_XYZ @ light.clip(0, 1)) / TO_XYZ.sum(axis=1)
    root = [np.cbrt(v) if v > (6 / 29) ** 3 else v * (29 / 6) ** 2 / 3 + 4 / 29 for v in (x, y, z)]
    a, b = 500 * (root[0] - root[1]), 200 * (root[1] - root[2])
    return np.array([116 * root[1] - 16, a, b])


def difference(first: str, second: str, vision: NDArray[np.float64]) -> float:
    """Return how different two colours look, in units of L*a*b*."""
    return float(np.linalg.norm(seen(first, vision) - seen(second, vision)))


@pytest.mark.parametrize("vision", COLOUR_VISION.values(), ids=COLOUR_VISION.keys())
def test_colours_can_be_told_apart_with_every_colour_vision(vision: NDArray[np.float64]) -> None:
    for first, second in combinations([plots.BLUE, plots.ORANGE, "white"], 2):
        assert difference(first, second, vision) > CLEARLY


def test_red_and_green_could_not_be_told_apart() -> None:
    assert difference("tab:red", "tab:green", COLOUR_VISION["deuteranopia"]) < CLEARLY / 5


def test_confusion_matrix_only_gets_darker() -> None:
    assert plots.check_lightness(mpl.colormaps["Blues"])


def test_what_differs_in_colour_differs_in_something_else(digits: DigitData) -> None:
    (bars,) = plots.digit_counts(digits).axes
    train, test = ({bar.get_hatch() for bar in container} for container in bars.containers)
    assert train.isdisjoint(test)
    legend = bars.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["train", "test"]
    assert [{bar.get_hatch()} for bar in legend.get_patches()] == [train, test]
    loss, _ = plots.learning_curves([EpochResult(1.0, 0.8, 0.7), EpochResult(0.5, 0.6, 0.8)]).axes
    assert len({(line.get_linestyle(), line.get_marker()) for line in loss.lines}) == 2


@pytest.fixture(scope="module")
def digits() -> DigitData:
    return load("digits")


def test_samples_carry_their_labels(digits: DigitData) -> None:
    figure = plots.sample_grid(digits.train, rows=2, columns=5)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [str(label) for label in digits.train.labels[:10].tolist()]


def test_bars_are_as_high_as_the_counts(digits: DigitData) -> None:
    (axes,) = plots.digit_counts(digits).axes
    heights = {(bar.get_height()) for container in axes.containers for bar in container}
    assert torch.bincount(digits.train.labels).max().item() in heights
    assert torch.bincount(digits.test.labels).max().item() in heights


def test_curves_have_a_point_for_every_epoch() -> None:
    figure = plots.learning_curves([EpochResult(1.0, 0.8, 0.7), EpochResult(0.5, 0.6, 0.8)])
    loss, accuracy = figure.axes
    assert list(loss.lines[0].get_ydata()) == [1.0, 0.5]
    assert list(accuracy.lines[0].get_ydata()) == [70.0, 80.0]


def test_heat_map_names_the_axes_and_counts_the_mistakes() -> None:
    matrix = torch.diag(torch.full((10,), 100))
    matrix[4, 9] = 7
    (axes,) = plots.confusion_heatmap(matrix, DIGITS).axes
    assert axes.get_ylabel() == "known digit"
    assert axes.get_xlabel() == "predicted digit"
    assert [text.get_text() for text in axes.texts].count("7") == 1


def test_gallery_shows_known_predicted_and_confidence(digits: DigitData) -> None:
    probabilities = torch.full((len(digits.test), 10), 0.01)
    probabilities[torch.arange(len(digits.test)), digits.test.labels] = 0.91
    wrong = int(digits.test.labels[3]) ^ 1
    probabilities[3] = 0.0
    probabilities[3, wrong] = 0.97
    mistakes = rank_mistakes(digits.test, probabilities)
    titles = [axes.get_title() for axes in plots.mistake_gallery(digits.test, mistakes).axes]
    assert titles[0] == f"known {digits.test.labels[3]}\npredicted {wrong} (97%)"


def test_gallery_without_mistakes_says_so(digits: DigitData, tmp_path: Path) -> None:
    probabilities = torch.nn.functional.one_hot(digits.test.labels, 10).float()
    figure = plots.mistake_gallery(digits.test, rank_mistakes(digits.test, probabilities))
    figure.savefig(tmp_path / "gallery.png")
    assert figure.get_suptitle() == "No mistakes to show"
