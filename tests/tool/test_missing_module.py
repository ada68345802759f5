"""What is proposed when a lab cannot import a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_remote.package_lists.modules import missing_package

ERROR = "\x1b[0;31mModuleNotFoundError\x1b[0m: No module named '{}'"


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("timm", "timm"),
        ("cv2", "opencv-python-headless"),
        ("sklearn.svm", "scikit-learn"),
        ("some_module", "some-module"),
        ("handwriting", None),
        ("helpers", None),
    ],
)
def test_package_of_a_module_is_proposed(tmp_path: Path, module: str, package: str | None) -> None:
    (tmp_path / "src/handwriting").mkdir(parents=True)
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs/helpers.py").touch()
    lines = ["Traceback (most recent call last)", ERROR.format(module), ""]
    assert missing_package(lines, tmp_path) == package


@pytest.mark.parametrize("name", ["$(touch x)", "a; rm -r b", "-x", "a" * 100, "../a"])
def test_nothing_but_a_name_is_proposed(tmp_path: Path, name: str) -> None:
    assert missing_package([ERROR.format(name), "ImportError: no"], tmp_path) is None
