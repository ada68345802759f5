"""Drawings of fitted decision trees."""

from __future__ import annotations

import html
import io
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import graphviz
import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from sklearn.base import BaseEstimator, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree, export_graphviz, plot_tree
from sklearn.utils.validation import check_is_fitted

from .runs import LabError

__all__ = ["DrawingError", "TreeDrawing", "export_tree"]

FORMATS = ("png", "svg", "pdf")

# What XML cannot hold, and what would break a line.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

# The root is at the left: in that direction a tree needs the least room, as its boxes lie on their
# sides.
COMPACT = 'graph [nodesep=0.1, ranksep=0.55] node [margin="0.06,0.04"]'
BOX_MARGIN = 1.15  # space that a box of matplotlib's drawing takes, as a multiple of its own height
LEVEL_WIDTH = 1.3  # the same to the right, as a multiple of its width
FONT_SIZE = 10  # points
PIXELS_PER_INCH = 96
MOST_PIXELS = 30_000  # a side; matplotlib refuses 65,536


class DrawingError(LabError, ValueError):
    """A tree that cannot be drawn as asked; the message says what can."""


@dataclass(frozen=True)
class TreeDrawing:
    """The drawing of a tree; a notebook shows it below the cell that ends with it.

    Attributes:
        path: the file that holds it.
        svg: the same picture as SVG.
        png: the same as PNG, which notebooks make as small as the window is narrow.
    """

    path: Path
    svg: str = field(repr=False)
    png: bytes = field(repr=False)

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        return self.png, {"alt": "Drawing of a decision tree, from its root at the left"}


class _Look(TypedDict):
    """The options that both of scikit-learn's ways of drawing a tree share."""

    feature_names: list[str]
    class_names: list[str] | None
    proportion: bool
    precision: int
    filled: bool
    rounded: bool


def export_tree(
    model: BaseEstimator,
    path: str | os.PathLike[str],
    *,
    feature_names: Iterable[object] | None = None,
    class_names: Iterable[object] | None = None,
    proportion: bool = True,
    overwrite: bool = False,
) -> TreeDrawing:
    """Draw a fitted decision tree into a file, and return the drawing for a notebook to show.

    Graphviz draws it; where its program `dot` is missing, matplotlib does, and a warning says so.

    Args:
        model: a decision tree (classifier or regressor), a pipeline that ends with one, or a search
            such as `GridSearchCV` whose best model is either.
        path: the file, ending in .png, .svg or .pdf. Its folder is made if missing.
        feature_names: one for each column that reaches the tree; unless given, those it was fitted
            with, as far as they are known.
        class_names: one for each class, in the order of the tree's `classes_`; these unless given.
        proportion: show shares instead of numbers of samples.
        overwrite: replace the file if it exists.

    Raises:
        DrawingError: `model` holds no decision tree or one of a thousand levels, the path has
            another ending, exists, or cannot be written, or the number of names is wrong.
        sklearn.exceptions.NotFittedError: the tree is not fitted.
    """
    path = Path(path).expanduser()
    file_format = _format_of(path)
    if path.exists() and not overwrite:
        raise DrawingError(
            f"{path} already exists. Give another path, or overwrite=True to replace it."
        )
    tree, known_names = _tree_inside(model)
    look = _Look(
        feature_names=_feature_names(tree, known_names if feature_names is None else feature_names),
        class_names=_class_names(tree, class_names),
        proportion=proportion,
        precision=_decimals(tree),
        filled=True,
        rounded=True,
    )
    formats = {file_format, "svg", "png"}
    try:
        pictures = _draw_with_dot(tree, look, formats)
    except (graphviz.ExecutableNotFound, graphviz.CalledProcessError) as error:
        warnings.warn(_warning(error), stacklevel=2)
        pictures = _draw_with_matplotlib(tree, look, formats)
    _write(path, pictures[file_format])
    return TreeDrawing(path=path, svg=pictures["svg"].decode("utf-8"), png=pictures["png"])


def _write(path: Path, picture: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    except OSError as error:
        raise DrawingError(f"{path} cannot be written: {error.strerror}.") from error


def _format_of(path: Path) -> str:
    """Return the format that the path's ending asks for."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise DrawingError(
            f"{str(path)!r} ends in {path.suffix!r}; a tree is drawn as .png, .svg or .pdf."
        )
    return ending


def _tree_inside(model: BaseEstimator) -> tuple[BaseDecisionTree, Iterable[object] | None]:
    """Return the fitted tree in `model`, and the names of its columns if they are known."""
    names = None
    while not isinstance(model, BaseDecisionTree):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, Pipeline):
            names = _names_after(model[:-1], names)
            model = model.steps[-1][1]
        else:
            raise DrawingError(
                f"There is no tree to draw in a {type(model).__name__}. Pass a fitted decision "
                "tree, a pipeline that ends with one, or one of a forest: forest.estimators_[0]."
            )
    name = type(model).__name__
    check_is_fitted(model, msg=f"This {name} is not fitted: call fit() first, then draw it.")
    return model, getattr(model, "feature_names_in_", names)


def _names_after(steps: Pipeline, names: Iterable[object] | None) -> Iterable[object] | None:
    """Return what the columns are called when they leave `steps`, if the steps can tell."""
    try:
        return steps.get_feature_names_out(names)
    except (AttributeError, ValueError):  # steps that give no names, or are not fitted
        return None


def _feature_names(tree: BaseDecisionTree, names: Iterable[object] | None) -> list[str]:
    columns = tree.n_features_in_
    if names is None:
        return [f"x[{column}]" for column in range(columns)]
    return _checked_names("feature_names", names, expected=columns, what="columns")


def _class_names(tree: BaseDecisionTree, names: Iterable[object] | None) -> list[str] | None:
    one_label = is_classifier(tree) and tree.n_outputs_ == 1
    if names is not None and not one_label:
        raise DrawingError(
            "class_names is for a classifier that predicts one label for each sample. Omit it "
            f"for this {type(tree).__name__}."
        )
    if not one_label:
        return None
    names = tree.classes_ if names is None else names
    return _checked_names("class_names", names, expected=len(tree.classes_), what="classes")


def _checked_names(
    argument: str, names: Iterable[object], *, expected: int, what: str
) -> list[str]:
    """Return `names` as text of one line each, or raise DrawingError."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise DrawingError(f"{argument} is {names!r}; give a list of {expected} names.")
    texts = [UNPRINTABLE.sub(" ", str(name)) for name in names]
    if len(texts) != expected:
        raise DrawingError(
            f"{argument} has {len(texts)} names, but the tree was fitted on {expected} {what}. "
            "Give one name for each."
        )
    return texts


def _decimals(tree: BaseDecisionTree) -> int:
    """Return how many decimals show two digits of the tree's smallest threshold, at least three."""
    inner = tree.tree_.children_left != tree.tree_.children_right
    sizes = [abs(threshold) for threshold in tree.tree_.threshold[inner] if threshold]
    digits = 1 - math.floor(math.log10(min(sizes))) if sizes else 0
    return min(max(3, digits), 15)


@contextmanager
def _depth_limit(tree: BaseDecisionTree) -> Iterator[None]:
    """Raise DrawingError where scikit-learn cannot follow a tree down to its deepest leaves."""
    try:
        yield
    except RecursionError:
        raise DrawingError(
            f"The tree is {tree.get_depth()} levels deep, which cannot be drawn. Fit it with a "
            "smaller max_depth."
        ) from None


def _draw_with_dot(tree: BaseDecisionTree, look: _Look, formats: Iterable[str]) -> dict[str, bytes]:
    """Draw with Graphviz, whose program reads the description and writes the picture by pipes."""
    # In a label, entities such as &amp; and escapes such as \N (the node's number) mean things.
    escaped = _with_names(look, lambda name: html.escape(name).replace("\\", "\\\\"), "\\n")
    with _depth_limit(tree):
        drawing = export_graphviz(tree, rotate=True, **escaped)
    source = graphviz.Source(drawing.replace("{", f"{{ {COMPACT}", 1))
    return {name: source.pipe(format=name, quiet=True) for name in formats}


def _warning(error: graphviz.ExecutableNotFound | graphviz.CalledProcessError) -> str:
    missing = isinstance(error, graphviz.ExecutableNotFound)
    problem = "was not found" if missing else f"failed ({error})"
    return (
        f"Graphviz's program `dot` {problem}, so matplotlib drew the tree. For the usual drawing, "
        "install Graphviz (`conda install -c conda-forge graphviz`, `apt install graphviz`, "
        "`brew install graphviz`) and draw again."
    )


def _draw_with_matplotlib(
    tree: BaseDecisionTree, look: _Look, formats: Iterable[str]
) -> dict[str, bytes]:
    """Draw with matplotlib, on a figure so large that no two boxes overlap."""
    escaped = _with_names(look, lambda name: name.replace("$", r"\$"), "\n")  # two $: a formula
    with mpl.rc_context({"text.usetex": False, "svg.fonttype": "none"}):
        figure = Figure()
        renderer = FigureCanvasAgg(figure).get_renderer()
        axes = figure.add_axes((0, 0, 1, 1))
        with _depth_limit(tree):
            labels = plot_tree(tree, ax=axes, fontsize=FONT_SIZE, **escaped)
        for label in labels:  # scikit-learn puts the root on top
            label.xy, label.xyann = ((1 - y, 1 - x) for x, y in (label.xy, label.xyann))
        boxes = [label.get_window_extent(renderer) for label in labels]
        width = max(box.width for box in boxes) * LEVEL_WIDTH * (tree.get_depth() + 1)
        height = max(box.height for box in boxes) * BOX_MARGIN / _smallest_gap(labels)
        figure.set_size_inches(width / figure.dpi, height / figure.dpi)
        resolution = min(PIXELS_PER_INCH, MOST_PIXELS * figure.dpi / max(width, height))
        return {name: _saved(figure, name, resolution) for name in formats}


def _smallest_gap(labels: Iterable[Annotation]) -> float:
    """Return the distance of the two closest labels of one level, as a fraction of the height."""
    places = sorted(label.xyann for label in labels)
    gaps = [right[1] - left[1] for left, right in pairwise(places) if left[0] == right[0]]
    return min(gaps, default=1.0)


def _with_names(look: _Look, escape: Callable[[str], str], new_line: str) -> _Look:
    """Return `look` with every name escaped, and a line for a column's alone: boxes are narrow."""
    classes = look["class_names"]
    return {
        **look,
        "feature_names": [escape(name) + new_line for name in look["feature_names"]],
        "class_names": None if classes is None else [escape(name) for name in classes],
    }


def _saved(figure: Figure, file_format: str, resolution: float) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, dpi=resolution)
    return buffer.getvalue()
