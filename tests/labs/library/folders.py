"""Folders of images: how they are split, kept and refused."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from PIL import Image

from handwriting_lab.data import DataError, ImageData, load_folder, shift
from handwriting_lab.runs import ParameterError


def test_new_image_does_not_move_others_between_training_and_test(
    folder: Path, load: Callable[[], ImageData]
) -> None:
    before = load()
    for number in range(5):
        Image.new("RGB", (20, 20), "blue").save(folder / "elm" / f"new{number}.png")
    after = load()
    grown = len(after.train) - len(before.train), len(after.test) - len(before.test)
    assert min(grown) >= 0
    assert sum(grown) == 5


@pytest.mark.parametrize(
    ("learnt", "tested"), [("train", "test"), ("Train", "TEST"), ("training", "Validation")]
)
def test_folder_that_is_split_already_stays_so(
    folder: Path, tmp_path: Path, learnt: str, tested: str
) -> None:
    for part in (learnt, tested):
        (tmp_path / "split" / part).mkdir(parents=True)
    for path in sorted(folder.rglob("*.*")):
        part = tested if path.stem in "01" else learnt
        (tmp_path / "split" / part / path.parent.name).mkdir(exist_ok=True)
        path.rename(tmp_path / "split" / part / path.parent.name / path.name)
    data = load_folder(tmp_path / "split", size=8, workers=0, cache=tmp_path / "cache")
    assert (len(data.train), len(data.test)) == (16, 4)
    assert list(data.classes) == ["ash", "elm"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("missing", "There is no folder .*missing"),
        ("leaves/ash", "in a folder of its own. It has: none. Images end in .bmp, "),
        ("one", "one needs images of at least two classes"),
        ("two", "two has no images to test on: 2 are too few to split"),
    ],
)
def test_folder_without_classes_is_refused(folder: Path, name: str, complaint: str) -> None:
    for place in ("one/elm", "two/elm", "two/ash"):
        (folder.parent / place).mkdir(parents=True)
        (folder / "elm" / "0.jpg").rename(folder.parent / place / "2.jpg")  # to learn from
        Image.new("RGB", (9, 9)).save(folder / "elm" / "0.jpg")
    with pytest.raises(DataError, match=complaint):
        load_folder(folder.parent / name, workers=0, cache=folder.parent / "cache")


@pytest.mark.parametrize("wrong", [{"size": 0}, {"test_part": 0.0}, {"test_part": 1.0}])
def test_sizes_and_parts_that_cannot_be_are_refused(folder: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"size = .* must be at least 1"):
        load_folder(folder, **wrong)


def test_images_larger_than_the_memory_are_read_from_the_disk(
    load: Callable[[], ImageData], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = load()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000))
    with pytest.warns(UserWarning, match="not writable"):
        mapped = load()
    assert torch.equal(copied.train.images, mapped.train.images)


def test_workers_find_the_same_and_what_was_decoded_before_is_removed(
    folder: Path, load: Callable[[], ImageData], tmp_path: Path
) -> None:
    before = load()
    Image.new("RGB", (20, 20), "blue").save(folder / "elm" / "new.png")
    after = load_folder(folder, size=16, workers=2, cache=tmp_path / "cache")
    assert len(after.train) + len(after.test) == 21
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert before.train.images.float().mean() > 0  # still there for who has loaded it


@pytest.mark.parametrize("pixels", [-1, 9])
def test_images_cannot_be_moved_by_less_than_nothing_or_out_of_sight(pixels: int) -> None:
    with pytest.raises(ParameterError, match=f"shift = {pixels} must be between 0"):
        shift(pixels)(torch.zeros(2, 1, 12, 9))
