"""The pictures: what they show can be read off them."""

from pathlib import Path

import pytest
import torch

from {{ cookiecutter.package_name }} import plots
from {{ cookiecutter.package_name }}.data import DIGITS, DigitData, load
from {{ cookiecutter.package_name }}.evaluation import rank_mistakes
from {{ cookiecutter.package_name }}.training import EpochResult


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
