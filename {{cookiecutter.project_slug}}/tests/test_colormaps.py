from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pytest
import seaborn as sns
from matplotlib.figure import Figure

from {{ cookiecutter.package_name }}.plots import (
    ColorError,
    check_lightness,
    confusion_heatmap,
    define_colormap,
    lightness,
)
from {{ cookiecutter.package_name }}.runs import LabError


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
    assert f"Colour number 2, {bad!r}," in str(caught.value)
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
