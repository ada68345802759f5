"""What several tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from {{ cookiecutter.package_name }}.data import ImageData, Samples, load_folder


@pytest.fixture(scope="session")
def few_images() -> ImageData:
    """Grey noise with one bright quarter, which is the class: 400 to learn from, 100 for tests."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (500,), generator=generator)
    images = torch.rand(500, 1, 28, 28, generator=generator) * 0.6
    for image, label in zip(images, labels.tolist(), strict=True):
        down, right = divmod(label, 2)
        image[:, down * 14 : down * 14 + 14, right * 14 : right * 14 + 14] += 0.2
    everything = Samples(images, labels, torch.arange(500))
    classes = ["upper left", "upper right", "lower left", "lower right"]
    return ImageData("few", classes, everything[:400], everything[400:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures of each of two kinds of leaf, of several sizes and formats."""
    for name, colour in {"ash": (200, 30, 30), "elm": (30, 200, 30)}.items():
        (tmp_path / "leaves" / name).mkdir(parents=True)
        for number in range(10):
            image = Image.new("RGB", (30 + number, 40), colour)
            image.save(tmp_path / "leaves" / name / f"{number}.{('jpg', 'png')[number % 2]}")
    return tmp_path / "leaves"


@pytest.fixture
def load(folder: Path, tmp_path: Path) -> Callable[[], ImageData]:
    """Load that folder, in this process, into a cache of its own."""
    return lambda: load_folder(folder, size=16, workers=0, cache=tmp_path / "cache")
