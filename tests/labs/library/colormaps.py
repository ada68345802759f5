"""Colours that every eye tells apart, and colormaps of one's own."""

import warnings
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handwriting_lab import plots
from handwriting_lab.plots import (
    ColorError,
    check_lightness,
    confusion_heatmap,
    define_colormap,
    lightness,
)
from handwriting_lab.runs import LabError

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


@pytest.mark.parametrize(
    ("color", "rgba"),
    [
        ("#ff8000", (255, 128, 0, 255)),
        ("ff8000", (255, 128, 0, 255)),
        ("FF8000", (255, 128, 0, 255)),
        ("#ff800040", (255, 128, 0, 64)),
        ("ff800040", (255, 128, 0, 64)),
        ("#f80", (255, 136, 0, 255)),
        ("f80", (255, 136, 0, 255)),
        ("f804", (255, 136, 0, 68)),
        ("000001", (0, 0, 1, 255)),
        ("100000", (16, 0, 0, 255)),
        ("0.2", (51, 51, 51, 255)),
        ("teal", (0, 128, 128, 255)),
        ("xkcd:sky blue", (117, 187, 253, 255)),
        ((1, 0, 0.2), (255, 0, 51, 255)),
        ((1, 0, 0, 0.2), (255, 0, 0, 51)),
        (("red", 0.2), (255, 0, 0, 51)),
        (np.array([0.0, 1.0, 0.0]), (0, 255, 0, 255)),
    ],
)
def test_every_way_to_write_a_colour_is_understood(
    color: object, rgba: tuple[int, int, int, int]
) -> None:
    colormap = define_colormap([color, "black"])
    assert colormap(0, bytes=True) == pytest.approx(rgba, abs=0.5)


def test_runs_smoothly_through_all_colours() -> None:
    colors = ["#000000", "#ff0000", "#ffff00", "#ffffff"]
    colormap = define_colormap(colors, name="heat", n=301)
    steps = colormap(np.arange(301))
    assert (colormap.name, colormap.N) == ("heat", 301)
    reached = [mpl.colors.to_hex(steps[position]) for position in (0, 100, 200, 300)]
    assert reached == colors
    assert np.abs(np.diff(steps, axis=0)).max() == pytest.approx(1 / 100)


@pytest.mark.parametrize(
    "bad", ["#12345", "12345", "gg0000", "", "tael", None, 7, (1, 2, 3), (0.1, 0.2), (0, 0, np.nan)]
)
def test_the_bad_colour_is_named(bad: object) -> None:
    with pytest.raises(ColorError) as caught:
        define_colormap(["black", bad, "white"])
    assert f"Colour 2, {bad!r}," in str(caught.value)
    assert "#1b9e77" in str(caught.value)


@pytest.mark.parametrize("colors", [[], ["red"], "viridis", None, 3])
def test_too_few_colours_are_refused(colors: object) -> None:
    with pytest.raises(ColorError, match="two or more"):
        define_colormap(colors)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [2, 0, -1, 2.5, "256"])
def test_too_few_steps_are_refused(n: object) -> None:
    with pytest.raises(ColorError, match=f"n is {n!r}.*at least 3"):
        define_colormap(["black", "red", "white"], n=n)  # type: ignore[arg-type]


def test_errors_are_those_of_a_lab() -> None:
    assert issubclass(ColorError, LabError)
    assert issubclass(ColorError, ValueError)


def test_seaborn_takes_it_by_name_once_registered() -> None:
    define_colormap(["#fff", "#800"], name="blood", register=True)
    axes = Figure().subplots()
    sns.heatmap([[0, 1]], cmap="blood", ax=axes)
    assert axes.collections[0].to_rgba(1.0) == pytest.approx((136 / 255, 0, 0, 1))
    assert mpl.colormaps["blood_r"](0)[:3] == pytest.approx((136 / 255, 0, 0))


def test_the_confusion_matrix_takes_it() -> None:
    colormap = define_colormap(["#fff", "#800"])
    figure = confusion_heatmap([[3, 0], [1, 4]], ["yes", "no"], what="answer", cmap=colormap)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted answer", "known answer")
    most_and_none = axes.collections[0].to_rgba([4, 0])
    assert most_and_none[0] == pytest.approx((136 / 255, 0, 0, 1))
    assert most_and_none[1] == pytest.approx((1, 1, 1, 1))


def test_is_not_registered_unasked() -> None:
    define_colormap(["white", "black"], name="hidden")
    assert "hidden" not in mpl.colormaps


@pytest.mark.filterwarnings("error")
def test_a_cell_can_register_again_with_other_colours() -> None:
    define_colormap(["white", "black"], name="again", register=True)
    define_colormap(["red", "black"], name="again", register=True)
    assert mpl.colormaps["again"](0)[:3] == (1, 0, 0)


@pytest.mark.parametrize("name", ["viridis", "rocket", "mako_r"])
def test_colormaps_of_others_are_not_replaced(name: str) -> None:
    before = mpl.colormaps[name]
    with pytest.raises(ColorError, match=f"'{name}' already"):
        define_colormap(["white", "black"], name=name, register=True)
    assert mpl.colormaps[name] == before


def test_lightness_is_that_of_cie() -> None:
    colormap = define_colormap(["black", "#777777", "red", "white"], n=4)
    assert lightness(colormap) == pytest.approx([0, 50.03, 53.24, 100], abs=0.01)


def test_lightness_of_a_translucent_colour_is_that_on_paper() -> None:
    assert lightness(define_colormap(["#00000000", "#000000ff"], n=2)) == pytest.approx([100, 0])


@pytest.mark.parametrize("colors", [["white", "teal", "black"], ["#000", "#f00", "#fff"]])
def test_monotonic_lightness_passes_without_a_warning(colors: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_lightness(define_colormap(colors))
        assert check_lightness(mpl.colormaps["viridis"])


@pytest.mark.parametrize("colors", [["blue", "white", "red"], ["white", "black", "white"]])
def test_lightness_that_turns_is_warned_of(colors: list[str]) -> None:
    with pytest.warns(UserWarning, match="lightness of the colormap 'turning' is not monotonic"):
        assert not check_lightness(define_colormap(colors, name="turning"))


def test_the_rainbow_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="'jet'"):
        assert not check_lightness(mpl.colormaps["jet"])
