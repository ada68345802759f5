"""Images from a folder of one's own, drawn ones, and what is done to them in training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from {{ cookiecutter.package_name }} import data

COLOURS = {"ash": (200, 30, 30), "elm": (30, 200, 30)}


def test_images_of_a_folder_are_squares_of_bytes_with_the_class_of_their_folder(
    load: Callable[[], data.ImageData],
) -> None:
    loaded = load()
    assert list(loaded.classes) == ["ash", "elm"]
    assert len(loaded.train) + len(loaded.test) == 20
    assert len(loaded.test) > 0
    for part in (loaded.train, loaded.test):
        assert part.images.shape[1:] == (3, 16, 16)
        assert part.images.dtype == torch.uint8
        for image, label in zip(part.images, part.labels.tolist(), strict=True):
            wanted = torch.tensor(COLOURS[loaded.classes[label]])
            assert (image.float().mean((1, 2)) - wanted).abs().max() < 5


def test_images_are_decoded_once_and_again_when_they_change(
    folder: Path, load: Callable[[], data.ImageData], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load()
    with monkeypatch.context() as without_decoder:
        without_decoder.setattr(Image, "open", None)
        assert torch.equal(load().train.images, first.train.images)
    Image.new("RGB", (20, 20), "blue").save(folder / "elm" / "new.png")
    again = load()
    assert len(again.train) + len(again.test) == 21


def test_files_that_are_no_images_are_named_and_left_out(
    folder: Path, load: Callable[[], data.ImageData], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ash" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    # A file whose width is text and whose orientation is 6, so that Pillow writes both anew.
    exif = "4578696600004d4d002a0000000800020100000200000002780000000112000300000001000600000000"
    damaged = folder / "elm" / "damaged.jpg"
    Image.new("RGB", (9, 9)).save(damaged, exif=bytes.fromhex(exif) + bytes(4))
    (folder / "ash" / "notes.txt").write_text("no image")
    loaded = load()
    assert len(loaded.train) + len(loaded.test) == 20
    told = "2 of 22 files cannot be read as images and were skipped, such as 'ash/broken.jpg'."
    assert told in capsys.readouterr().out


def test_every_image_is_moved_by_itself_and_stays_whole() -> None:
    torch.manual_seed(0)
    images = torch.zeros(200, 2, 9, 9)
    images[:, :, 4, 4] = 1  # a dot in the middle
    moved = data.shift(2)(images)
    assert moved.shape == images.shape
    assert torch.equal(moved.sum((2, 3)), torch.ones(200, 2))
    places = moved[:, 0].flatten(1).argmax(1)
    rows, columns = places // 9, places % 9
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}
    assert len(set(places.tolist())) == 25


def test_half_of_the_images_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.zeros(200, 1, 3, 4)
    images[..., 0] = 1
    mirrored = data.flip(images)[:, 0, 0, 3]
    assert 60 < mirrored.sum() < 140


def test_data_directory_is_data_in_the_project_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_DATA_DIR", raising=False)
    assert data.data_directory().parts[-1] == "data"
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path))
    assert data.data_directory() == tmp_path
