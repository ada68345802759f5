"""The pictures: what they show can be read off them."""

import numpy as np
import pytest
import torch

from {{ cookiecutter.package_name }} import plots
from {{ cookiecutter.package_name }}.data import ImageData, Samples
from {{ cookiecutter.package_name }}.evaluation import EpochResult, rank_mistakes

RESULTS = [
    EpochResult(1.0, 0.8, {"accuracy": 0.7, "distance": 0.2}),
    EpochResult(0.5, 0.6, {"accuracy": 0.8, "distance": 0.1}),
]


def test_what_differs_in_colour_differs_in_something_else(few_images: ImageData) -> None:
    (bars,) = plots.class_counts(few_images).axes
    train, test = ({bar.get_hatch() for bar in container} for container in bars.containers)
    assert train.isdisjoint(test)
    legend = bars.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["train", "test"]
    assert [{bar.get_hatch()} for bar in legend.get_patches()] == [train, test]
    for axes in plots.learning_curves(RESULTS).axes:
        assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 2


@pytest.fixture(scope="module", params=["grey", "colours"])
def data(request: pytest.FixtureRequest, few_images: ImageData) -> ImageData:
    """Images of each kind that there can be: numbers of one colour, and bytes of three."""
    if request.param == "grey":
        return few_images
    pixels = torch.randint(0, 256, (100, 3, 16, 16), dtype=torch.uint8)
    colours = Samples(pixels, torch.arange(100) % 3, torch.arange(100))
    return ImageData("colours", ["größe $x_1$", "$\\frac{", "_"], colours[:80], colours[80:])


def test_samples_carry_the_names_of_their_classes(data: ImageData) -> None:
    figure = plots.sample_grid(data.train, data.classes, rows=2, columns=5)
    titles = [axes.get_title() for axes in figure.axes]
    spread = data.train.labels[:: len(data.train) // 10][:10]  # of a folder, all of one class first
    assert titles == [data.classes[label] for label in spread.tolist()]
    figure.canvas.draw()  # a name that looks like a formula is none
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert np.allclose(shown, data.train.inputs[0].permute(1, 2, 0).squeeze().numpy())


def test_bars_are_as_high_as_the_counts(data: ImageData) -> None:
    (axes,) = plots.class_counts(data).axes
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()] == list(data.classes)
    for container, samples in zip(axes.containers, (data.train, data.test), strict=True):
        counts = torch.bincount(samples.labels, minlength=len(data.classes)).tolist()
        assert [bar.get_height() for bar in container] == counts


def test_names_that_look_like_formulas_are_drawn_as_they_are() -> None:
    figure = plots.confusion_heatmap([[3, 1], [1, 2]], ["$_$", "b_$^$"], what="$_$^")
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$_$", "b_$^$"]
    assert axes.get_xlabel() == "predicted $_$^"


def test_curves_have_a_point_for_every_epoch() -> None:
    losses, metrics = plots.learning_curves(RESULTS).axes
    assert list(losses.lines[0].get_ydata()) == [1.0, 0.5]
    assert [line.get_label() for line in metrics.lines] == ["accuracy", "distance"]
    assert list(metrics.lines[0].get_ydata()) == [0.7, 0.8]


def test_heat_map_names_the_axes_and_counts_the_mistakes() -> None:
    matrix = torch.diag(torch.full((10,), 100))
    matrix[4, 9] = 7
    names = [*"01234567", "$\\frac{", "$x$ and a long name"]
    (axes,) = plots.confusion_heatmap(matrix, names, what="digit").axes
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert axes.get_ylabel() == "known digit"
    assert axes.get_xlabel() == "predicted digit"
    assert [text.get_text() for text in axes.texts].count("7") == 1


def test_gallery_shows_known_predicted_and_confidence(data: ImageData) -> None:
    count = len(data.classes)
    probabilities = torch.nn.functional.one_hot(data.test.labels, count).float()
    known = int(data.test.labels[3])
    probabilities[3] = 0.0
    probabilities[3, known - 1] = 0.97
    mistakes = rank_mistakes(data.test, probabilities, data.classes)
    figure = plots.mistake_gallery(data.test, mistakes)
    figure.canvas.draw()
    titles = [axes.get_title() for axes in figure.axes]
    named = data.classes[known], data.classes[known - 1]
    assert titles[0] == "known {}\npredicted {} (97%)".format(*named)
