"""Drawings of trees: every name, path and kind of tree comes out right, or is refused."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from handwriting_lab.preprocessing import LogScaler
from handwriting_lab.runs import LabError
from handwriting_lab.trees import (
    DrawingError,
    TreeDrawing,
    export_tree,
)

SIGNATURES = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}
HOSTILE_NAMES = [
    "two words",
    '"quoted"',
    "it's",
    "<b>bold</b>",
    "a < b & c > d",
    "&lt; &amp; &#960;",
    "back\\slash \\N \\",
    "{left|right}",
    "$x$ and $y$",
    "%s {x} #1",
    "]]> <!-- --",
    "größe in µm², длина",
    "長さ",
]

IRIS = load_iris(as_frame=True)

DOT = shutil.which("dot")
WITHOUT_DOT = "Graphviz is not installed"


def small_tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(IRIS.data, IRIS.target)


def tree_that_uses_every_column(columns: int) -> DecisionTreeClassifier:
    """Return a tree with as many classes as columns, where each column tells one class."""
    inputs = np.eye(columns)
    return DecisionTreeClassifier(random_state=0).fit(inputs, np.arange(columns))


def texts(drawing: TreeDrawing) -> list[str]:
    """Return all lines of text in a drawing, as a reader sees them."""
    elements = ElementTree.fromstring(drawing.svg).iter("{http://www.w3.org/2000/svg}text")
    lines = [" ".join("".join(element.itertext()).split()) for element in elements]
    # The name of a column is in a line of its own, above its threshold.
    return "\n".join(lines).replace("\n<=", " ≤").split("\n")


def thresholds(lines: Iterable[str]) -> set[str]:
    return {line.split(" ≤ ")[0] for line in lines if " ≤ " in line}


def classes(lines: Iterable[str]) -> set[str]:
    return {line.removeprefix("class = ") for line in lines if line.startswith("class = ")}


@pytest.fixture(params=["dot", "matplotlib"])
def drawn_by(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Run a test with Graphviz and again where it is not installed."""
    drawer: str = request.param
    if drawer == "dot" and not DOT:
        pytest.skip(WITHOUT_DOT)
    if drawer == "matplotlib":
        monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    return drawer


def export_quietly(*arguments: object, **options: object) -> TreeDrawing:
    """Draw without the warnings that dot is missing, and that a letter is missing from a font."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Graphviz's program|Glyph")
        return export_tree(*arguments, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "PNG"])
def test_ending_decides_the_format(ending: str, drawn_by: str, tmp_path: Path) -> None:
    drawing = export_quietly(small_tree(), tmp_path / f"tree.{ending}")
    assert drawing.path == tmp_path / f"tree.{ending}"
    assert drawing.path.read_bytes().startswith(SIGNATURES[ending.lower()])


def test_a_notebook_shows_the_drawing(drawn_by: str, tmp_path: Path) -> None:
    drawing = export_quietly(small_tree(), tmp_path / "tree.pdf")
    shown, described = drawing._repr_png_()
    assert shown.startswith(SIGNATURES["png"])
    assert described["alt"]
    assert "petal width (cm) ≤ 0.8" in texts(drawing)
    assert ElementTree.fromstring(drawing.svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert repr(drawing) == f"TreeDrawing(path={drawing.path!r})"


def test_hostile_names_come_out_right(drawn_by: str, tmp_path: Path) -> None:
    names = HOSTILE_NAMES
    drawing = export_quietly(
        tree_that_uses_every_column(len(names)),
        tmp_path / "tree.svg",
        feature_names=names,
        class_names=names,
    )
    # The last class is what remains when every other column has been asked for.
    assert len(thresholds(texts(drawing))) == len(names) - 1
    assert thresholds(texts(drawing)) < set(names)
    assert classes(texts(drawing)) == set(names)


def test_what_a_line_cannot_hold_becomes_a_space(drawn_by: str, tmp_path: Path) -> None:
    names = ["a\nb", "c\x00d", "e\ud800f", "g\uffffh"]
    drawing = export_quietly(
        tree_that_uses_every_column(4), tmp_path / "tree.svg", class_names=names
    )
    assert classes(texts(drawing)) == {"a b", "c d", "e f", "g h"}


@pytest.mark.parametrize(
    "name", ["two words.svg", "it's.svg", '"quoted".svg', "$(touch pwned).svg", "-o;&|.svg"]
)
def test_hostile_paths_are_only_paths(name: str, drawn_by: str, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "$HOME" / name
    assert export_quietly(small_tree(), path).path.is_file()
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    export_tree(small_tree(), "~/tree.svg")
    assert (tmp_path / "tree.svg").is_file()


def test_names_are_those_of_the_frame_and_of_the_classes(tmp_path: Path) -> None:
    target = IRIS.target.map(dict(enumerate(IRIS.target_names)))
    tree = DecisionTreeClassifier(random_state=0).fit(IRIS.data, target)
    lines = texts(export_tree(tree, tmp_path / "tree.svg"))
    assert thresholds(lines) <= set(IRIS.data.columns)
    assert classes(lines) == {"setosa", "versicolor", "virginica"}


def test_a_tree_without_names_is_drawn_with_numbers(drawn_by: str, tmp_path: Path) -> None:
    tree = DecisionTreeClassifier(max_depth=1).fit(IRIS.data.to_numpy() * [0, 0, 0, 1], IRIS.target)
    lines = texts(export_quietly(tree, tmp_path / "tree.svg"))
    assert thresholds(lines) == {"x[3]"}
    assert classes(lines) == {"0", "1"}


def test_the_tree_in_a_pipeline_is_drawn_with_the_names_that_reach_it(tmp_path: Path) -> None:
    pipeline = make_pipeline(
        StandardScaler(), make_pipeline(LogScaler(), DecisionTreeClassifier(random_state=0))
    )
    search = GridSearchCV(pipeline, {"pipeline__decisiontreeclassifier__max_depth": [1, 2]}, cv=2)
    for number, model in enumerate((pipeline, search)):
        model.fit(IRIS.data, IRIS.target)
        lines = texts(export_tree(model, tmp_path / f"{number}.svg"))
        assert thresholds(lines)
        assert thresholds(lines) <= set(IRIS.data.columns)


def test_names_given_are_preferred(tmp_path: Path) -> None:
    lines = texts(
        export_tree(
            small_tree(),
            tmp_path / "tree.svg",
            feature_names=pd.Index(["a", "b", "c", "d"]),
            class_names=np.array([10, 20, 30]),
        )
    )
    assert thresholds(lines) <= {"a", "b", "c", "d"}
    assert classes(lines) == {"10", "20", "30"}


def test_proportion_shows_shares_instead_of_counts(drawn_by: str, tmp_path: Path) -> None:
    shares = texts(export_quietly(small_tree(), tmp_path / "shares.svg"))
    counts = texts(export_quietly(small_tree(), tmp_path / "counts.svg", proportion=False))
    assert "samples = 100.0%" in shares
    assert "value = [0.333, 0.333, 0.333]" in shares
    assert "samples = 150" in counts
    assert "value = [50, 50, 50]" in counts


def test_small_thresholds_keep_two_digits(drawn_by: str, tmp_path: Path) -> None:
    tree = DecisionTreeClassifier().fit([[0.000012], [0.000056]], [0, 1])
    drawing = export_quietly(tree, tmp_path / "tree.svg", feature_names=["x"])
    assert "x ≤ 3.4e-05" in texts(drawing)


@pytest.mark.parametrize(
    "tree",
    [
        DecisionTreeRegressor(random_state=0),
        DecisionTreeRegressor(max_depth=1),
        ExtraTreeClassifier(random_state=0),
        DecisionTreeClassifier(max_leaf_nodes=40, random_state=0),
    ],
    ids=["deep regressor", "small regressor", "extra tree", "forty leaves"],
)
def test_other_trees_are_drawn_whole(
    tree: DecisionTreeRegressor, drawn_by: str, tmp_path: Path
) -> None:
    inputs, target = load_diabetes(return_X_y=True, as_frame=True)
    tree.fit(inputs[::4], target[::4].round(-1))
    lines = texts(export_quietly(tree, tmp_path / "tree.svg"))
    assert sum(line.startswith("samples = ") for line in lines) == tree.tree_.node_count


def test_a_tree_of_one_leaf_is_drawn(drawn_by: str, tmp_path: Path) -> None:
    for name, tree in {"c": DecisionTreeClassifier(), "r": DecisionTreeRegressor()}.items():
        drawing = export_quietly(tree.fit([[1.0], [2.0]], [3, 3]), tmp_path / f"{name}.svg")
        assert "samples = 100.0%" in texts(drawing)


def test_a_tree_too_deep_to_draw_is_said(drawn_by: str, tmp_path: Path) -> None:
    numbers = np.arange(1500)
    # With classes in turn, every question splits off a single sample.
    chain = DecisionTreeClassifier().fit(numbers.reshape(-1, 1), numbers % 2)
    with pytest.raises(DrawingError, match=r"is 1499 levels deep.*smaller max_depth"):
        export_quietly(chain, tmp_path / "tree.svg")


def test_several_labels_a_sample_are_drawn_without_class_names(
    drawn_by: str, tmp_path: Path
) -> None:
    tree = DecisionTreeClassifier().fit([[0], [1], [2]], [[0, 1], [1, 0], [1, 1]])
    assert not classes(texts(export_quietly(tree, tmp_path / "tree.svg")))
    with pytest.raises(DrawingError, match="one label"):
        export_tree(tree, tmp_path / "other.svg", class_names=["a", "b"])


def boxes(drawing: TreeDrawing) -> list[tuple[float, float, float, float]]:
    """Return (left, top, right, bottom) of the boxes in a drawing by matplotlib."""
    found = []
    for path in ElementTree.fromstring(drawing.svg).iter("{http://www.w3.org/2000/svg}path"):
        if "fill: #" in path.get("style", "") and "stroke: #000000" in path.get("style", ""):
            points = np.array(re.findall(r"-?[\d.]+", path.get("d", "")), float).reshape(-1, 2)
            found.append((*points.min(axis=0), *points.max(axis=0)))
    return found


@pytest.mark.parametrize("leaves", [2, 7, 60])
def test_no_boxes_overlap_without_dot(
    leaves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    inputs, target = load_diabetes(return_X_y=True, as_frame=True)
    tree = DecisionTreeRegressor(max_leaf_nodes=leaves, random_state=0).fit(inputs, target)
    drawn = boxes(export_quietly(tree, tmp_path / "tree.svg"))
    assert len(drawn) == tree.tree_.node_count
    for one, other in combinations(drawn, 2):
        beside = one[2] <= other[0] or other[2] <= one[0]
        assert beside or one[3] <= other[1] or other[3] <= one[1]


def test_dot_missing_from_the_path_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.warns(UserWarning, match="`dot` was not found, so matplotlib drew.*apt") as seen:
        export_tree(small_tree(), tmp_path / "tree.png")
    assert seen[0].filename == __file__


def test_dot_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho no layout engine >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.warns(UserWarning, match="`dot` failed.*no layout engine.*so matplotlib drew"):
        export_tree(small_tree(), tmp_path / "tree.png")


@pytest.mark.skipif(not DOT, reason=WITHOUT_DOT)
def test_nothing_is_warned_of_with_dot(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_tree(small_tree(), tmp_path / "tree.png")


@pytest.mark.parametrize("name", ["tree.gif", "tree", "tree.svg.bak", ".png", "", "tree."])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match=r"\.png, \.svg or \.pdf"):
        export_tree(small_tree(), Path(name))


def test_an_existing_file_is_kept_unless_overwrite_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "tree.svg"
    path.write_text("precious")
    with pytest.raises(DrawingError, match=r"already exists\..*overwrite=True"):
        export_tree(small_tree(), path)
    assert path.read_text() == "precious"
    export_tree(small_tree(), path, overwrite=True)
    assert path.read_bytes().startswith(SIGNATURES["svg"])


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "tree.svg").mkdir(parents=True)
    for path in (tmp_path / "file" / "tree.svg", tmp_path / "folder" / "tree.svg"):
        with pytest.raises(DrawingError, match=r"tree\.svg cannot be written"):
            export_tree(small_tree(), path, overwrite=True)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(),
        DecisionTreeRegressor(),
        make_pipeline(LogScaler(), DecisionTreeClassifier()),
    ],
)
def test_an_unfitted_tree_is_refused(model: object, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match=r"DecisionTree\w+ is not fitted: call fit"):
        export_tree(model, tmp_path / "new" / "tree.svg")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (RandomForestClassifier(n_estimators=2), "RandomForestClassifier"),
        (make_pipeline(StandardScaler(), LinearRegression()), "LinearRegression"),
        (make_pipeline(StandardScaler(), "passthrough"), "str"),
        (None, "NoneType"),
    ],
)
def test_a_model_without_a_tree_is_refused(model: object, kind: str, tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match=rf"no tree to draw in a {kind}\."):
        export_tree(model, tmp_path / "tree.svg")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ({"feature_names": ["a", "b"]}, "feature_names has 2 names.*4 columns"),
        ({"feature_names": []}, "feature_names has 0 names.*4 columns"),
        ({"feature_names": list("abcde")}, "feature_names has 5 names.*4 columns"),
        ({"class_names": ["a", "b"]}, "class_names has 2 names.*3 classes"),
        ({"feature_names": "abcd"}, "feature_names is 'abcd'; give a list of 4"),
        ({"class_names": True}, "class_names is True; give a list of 3"),
    ],
)
def test_a_wrong_number_of_names_is_refused(
    names: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(DrawingError, match=complaint):
        export_tree(small_tree(), tmp_path / "tree.svg", **names)
    assert not list(tmp_path.iterdir())


def test_a_regressor_has_no_class_names(tmp_path: Path) -> None:
    tree = DecisionTreeRegressor().fit([[0], [1]], [0.5, 1.5])
    with pytest.raises(DrawingError, match="Omit it for this DecisionTreeRegressor"):
        export_tree(tree, tmp_path / "tree.svg", class_names=["a", "b"])


def test_errors_are_those_of_a_lab() -> None:
    assert issubclass(DrawingError, LabError)
    assert issubclass(DrawingError, ValueError)
