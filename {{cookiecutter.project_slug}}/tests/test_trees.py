"""Drawings of decision trees."""

import warnings
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from {{ cookiecutter.package_name }}.trees import DrawingError, export_tree

IRIS = load_iris(as_frame=True)


@pytest.fixture
def tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(IRIS.data, IRIS.target)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_drawing_has_the_questions_and_the_format_of_its_ending(
    tree: DecisionTreeClassifier, ending: str, start: bytes, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without Graphviz, matplotlib draws
        drawing = export_tree(tree, tmp_path / f"a tree.{ending}")
    assert drawing.path.read_bytes().startswith(start)
    assert "petal width (cm)" in drawing.svg
    with pytest.raises(DrawingError, match="already exists"):
        export_tree(tree, drawing.path)


def test_other_endings_and_numbers_of_names_are_refused(
    tree: DecisionTreeClassifier, tmp_path: Path
) -> None:
    with pytest.raises(DrawingError, match=r"\.png, \.svg or \.pdf"):
        export_tree(tree, tmp_path / "tree.gif")
    with pytest.raises(DrawingError, match="feature_names has 1 names"):
        export_tree(tree, tmp_path / "tree.svg", feature_names=["one"])
