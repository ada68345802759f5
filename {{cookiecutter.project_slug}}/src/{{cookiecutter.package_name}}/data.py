"""Images and their labels as tensors, from a folder of your own; what is done to them in training.

`shift` and `flip` change every image of a batch by itself. What torchvision offers beside treats a
batch as one image; such a transform is given image by image:
`lambda images: torch.stack([jitter(image) for image in images])`.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .runs import LabError, ParameterError, is_watched, project_root

__all__ = [
    "DataError",
    "ImageData",
    "Samples",
    "Transform",
    "data_directory",
    "flip",
    "load_folder",
    "shift",
]

ENDINGS = {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}

Transform = Callable[[Tensor], Tensor]
"""Of images (B, C, H, W) as many, changed."""


class DataError(LabError):
    """A data set is not available; the message says why and what to do."""


@dataclass(frozen=True)
class Samples:
    """Images with their known labels.

    Attributes:
        images: float32 from 0 to 1, or bytes (uint8) from 0 to 255; shape (N, C, H, W).
        labels: the number of the class that each image is said to show, int64, shape (N,).
        indices: where each image is in the set that it comes from, int64, shape (N,).
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Samples:
        """Return a part of the samples."""
        return Samples(self.images[part], self.labels[part], self.indices[part])

    @property
    def inputs(self) -> Tensor:
        """The images as a network takes them: float32 from 0 to 1."""
        return self.images.float() / 255 if self.images.dtype == torch.uint8 else self.images

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Images and labels, as `training.fit` takes them."""
        return self.images, self.labels


@dataclass(frozen=True)
class ImageData:
    """A set of images, split into what a network learns from and what it is tested on."""

    name: str
    classes: Sequence[str]  # their names, in the order of the labels
    train: Samples
    test: Samples


def data_directory() -> Path:
    """Return where data sets are kept: `LAB_DATA_DIR`, or `data/` in the project."""
    named = os.environ.get("LAB_DATA_DIR")
    return _in_home(named) if named else project_root() / "data"


def load_folder(
    folder: Path | str,
    *,
    size: int = 128,
    test_part: float = 0.2,
    workers: int | None = None,
    cache: Path | None = None,
) -> ImageData:
    """Load a folder of images that has a folder for each class: `leaves/oak/1.jpg`.

    They are decoded once and kept as bytes in a file that is mapped into memory, so they may be
    more than the memory holds. A folder with the folders `train` and `test` (or `val`) is split
    already. Any other is split by the names of its images: a new one never moves the others. Links
    are followed, but not to a folder that is read anyway.

    Args:
        folder: where the images are; a relative path begins at the project's folder.
        size: pixels a side; images are cut to a square and made that large or small.
        test_part: how much of the images to hold out, between 0 and 1.
        workers: how many processes decode; as many as there are processors unless given.
        cache: where they are kept, 3 * `size` ** 2 bytes an image; `.lab/images` unless given.

    Returns:
        Images of three colours: bytes, shape (N, 3, size, size).

    Raises:
        DataError: there is no such folder, it lacks images of two classes, or the disk is full.
        ParameterError: `size` or `test_part` is out of range.
    """
    if size < 1 or not 0 < test_part < 1:
        raise ParameterError(
            f"size = {size} must be at least 1, and test_part = {test_part} between 0 and 1."
        )
    folder = (project_root() / _in_home(folder)).resolve()
    # A link may lead nowhere, and a pipe would never end.
    files = [file for file in _find(folder, test_part) if (folder / file.name).is_file()]
    _classes(folder, files)
    status = [(folder / file.name).stat() for file in files]
    content = [files, [(one.st_size, one.st_mtime_ns) for one in status]]
    caches = cache or project_root() / ".lab" / "images"
    kept = caches / f"{_hash([str(folder), size, test_part])}-{_hash(content)}"
    while not kept.is_dir():
        if os.environ.get("LOCAL_RANK", "0") != "0":  # of several processes one does it
            time.sleep(0.2)
            continue
        try:
            _decode(folder, files, kept, size=size, workers=workers)
        except OSError as error:
            why = f"{error.strerror or error}. Name another folder as cache."
            raise DataError(f"The images cannot be kept in {caches}: {why}") from error
    files = [_File(*file) for file in json.loads((kept / "files.json").read_text("utf-8"))]
    classes = _classes(folder, files)
    _tell_of_gaps(classes, files)
    pixels = _mapped(kept / "pixels", len(files), size, size, 3)
    labels = torch.tensor([classes.index(file.kind) for file in files])
    # In memory the colours come last, as convolutions like it.
    everything = Samples(pixels.permute(0, 3, 1, 2), labels, torch.arange(len(files)))
    first = sum(not file.is_test for file in files)
    return ImageData(folder.name, classes, everything[:first], everything[first:])


def _in_home(path: Path | str) -> Path:
    """Return a path with the home folder that a ~ in it means."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ParameterError(f"{path} names the home of a user who is not known here.") from None


@dataclass(frozen=True)
class shift:  # called as a function; a checkpoint notes its pixels
    """Move every image by up to this many pixels in each direction; new pixels are 0.

    Raises ParameterError when `pixels` is negative, or not less than a side of the images.
    """

    pixels: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return the images (B, C, H, W), each moved by itself."""
        pixels, (count, _, height, width) = self.pixels, images.shape
        if not 0 <= pixels < min(height, width):
            raise ParameterError(f"shift = {pixels} must be between 0 and the size of an image.")
        padded = F.pad(images, [pixels] * 4).permute(0, 2, 3, 1)  # (B, H + 2p, W + 2p, C)
        # Chosen on the CPU, whose random numbers a checkpoint keeps.
        down, right = torch.randint(0, 2 * pixels + 1, (2, count)).to(images.device)
        rows = down[:, None] + torch.arange(height, device=images.device)  # (B, H)
        columns = right[:, None] + torch.arange(width, device=images.device)  # (B, W)
        which = torch.arange(count, device=images.device)[:, None, None]
        return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip(images: Tensor) -> Tensor:
    """Mirror half of the images, left to right."""
    mirrored = (torch.rand(len(images)) < 0.5).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


class _File(NamedTuple):
    is_test: bool
    name: str  # relative to the folder
    kind: str  # its class


def _find(folder: Path, test_part: float) -> list[_File]:
    """Return the images in a folder: those to learn from, then those to test on."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. To send it there: lab data push")
    parts: list[tuple[Path, bool | None]] = [(folder, None)]
    named = {one.name.lower(): one for one in sorted(folder.iterdir()) if one.is_dir()}
    words = ("train", "training"), ("test", "testing", "val", "valid", "validation")
    trains, tests = ([named[one] for one in names if one in named] for names in words)
    if trains and tests:
        parts = [(trains[0], False), (tests[0], True)]
    places = [
        (place, is_test)
        for part, is_test in parts
        for place in filter(Path.is_dir, part.glob("[!.]*"))
    ]
    places.sort(key=lambda one: one[0].is_symlink())  # folders come before links to them
    read: set[str] = set()
    files = []
    for place, is_test in [one for one in places if _is_new(one[0], read)]:
        kind = os.fsencode(place.name).decode(errors="replace")
        found = [path.relative_to(folder).as_posix() for path in _images_in(place, read)]
        if not found:
            print(f"{place} has no images and was skipped.")
        for name in found:
            held_out = _share(name) < test_part if is_test is None else is_test
            files.append(_File(held_out, name, kind))
    return sorted(files)


def _images_in(place: Path, read: set[str]) -> Iterator[Path]:
    """Yield what seem to be images in a folder and in those below it."""
    for where, folders, names in os.walk(place, followlinks=True):
        inner = [Path(where, name) for name in folders]
        folders[:] = [one.name for one in inner if not one.is_symlink() or _is_new(one, read)]
        for name in names:
            if Path(name).suffix.lower() in ENDINGS and not name.startswith("."):
                yield Path(where, name)


def _is_new(place: Path, read: set[str]) -> bool:
    """Add a folder to those that are read, unless it is a link to, into or above one of them."""
    real = str(place.resolve()).rstrip(os.sep) + os.sep
    if place.is_symlink() and any(real.startswith(one) or one.startswith(real) for one in read):
        print(f"{place} leads to images that are read anyway and was skipped.")
        return False
    read.add(real)
    return True


def _classes(folder: Path, files: Sequence[_File]) -> list[str]:
    """Return the names of the classes, or say which part has too few of them."""
    to_learn, to_test = ({file.kind for file in files if file.is_test == part} for part in (0, 1))
    classes = sorted(to_learn | to_test)
    if len(classes) < 2:
        raise DataError(
            f"{folder} needs images of at least two classes, each in a folder of its own. "
            f"It has: {', '.join(classes) or 'none'}. Images end in {', '.join(sorted(ENDINGS))}."
        )
    for part, kinds in (("learn from", to_learn), ("test on", to_test)):
        if not kinds:
            raise DataError(f"{folder} has no images to {part}: {len(files)} are too few to split.")
    return classes


def _tell_of_gaps(classes: Sequence[str], files: Sequence[_File]) -> None:
    for part, is_test in (("learn from", False), ("test on", True)):
        lacking = set(classes) - {file.kind for file in files if file.is_test == is_test}
        if lacking:
            print(f"There are no images to {part} of: {', '.join(sorted(lacking))}.")


def _mapped(file: Path, *shape: int) -> Tensor:
    """Return the bytes of a file, mapped into memory, as a tensor of that shape."""
    # Linux promises no private copy of more than the memory; what is larger is read only.
    mode: Literal["c", "r"] = "c" if math.prod(shape) < psutil.virtual_memory().total else "r"
    return torch.from_numpy(np.memmap(file, np.uint8, mode, shape=shape))


def _share(name: str) -> float:
    """Return a number from 0 to 1 that depends on nothing but the name."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:4]) / 2**32


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


class _Pictures(Dataset[tuple[Tensor, bool]]):
    """The images of a list of files, cut and scaled; bytes, shape (size, size, 3)."""

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, bool]:
        """Return the image, and whether it could be decoded."""
        square = self.size, self.size
        try:
            with Image.open(self.files[number]) as image:
                image.draft("RGB", square)  # JPEG is decoded at about that size: much faster
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I"):  # 16 bits a pixel, of which RGB takes 8
                    upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
                fitted = ImageOps.fit(upright.convert("RGB"), square)
                return torch.from_numpy(np.array(fitted)), True
        except Exception:  # damaged files make decoders fail in many ways: struct.error, say
            return torch.zeros(*square, 3, dtype=torch.uint8), False


def _decode(
    folder: Path, files: list[_File], kept: Path, *, size: int, workers: int | None
) -> None:
    """Write the images as bytes into a new folder, complete or not at all."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    for rest in kept.parent.glob("new-*/pixels"):  # by a process that was killed
        if time.time() - rest.stat().st_mtime > 3600:
            shutil.rmtree(rest.parent, ignore_errors=True)
    needed, free = len(files) * size * size * 3, shutil.disk_usage(kept.parent).free
    if needed > free:
        raise DataError(
            f"{kept.parent} has room for {free / 1e9:.1f} GB, and {len(files):,} images of "
            f"{size} x {size} take {needed / 1e9:.1f} GB. Take a smaller size, or name another "
            "folder as cache."
        )
    if "fork" not in multiprocessing.get_all_start_methods():
        workers = 0  # a new interpreter would run the lab again
    workers = os.cpu_count() or 1 if workers is None else workers
    loader = DataLoader(
        _Pictures([folder / file.name for file in files], size),
        batch_size=16,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    with tempfile.TemporaryDirectory(prefix="new-", dir=kept.parent) as new:
        good: list[bool] = []
        with Path(new, "pixels").open("wb") as file:
            bar = tqdm(loader, unit_scale=16, unit=" images", disable=not is_watched())
            for images, are_good in bar:
                file.write(images[are_good].numpy().data)
                good += are_good.tolist()
        broken = [file.name for file, is_good in zip(files, good, strict=True) if not is_good]
        if broken:
            print(
                f"{len(broken)} of {len(files)} files cannot be read as images and were skipped, "
                f"such as {broken[0]!r}."
            )
        left = [file for file, is_good in zip(files, good, strict=True) if is_good]
        Path(new, "files.json").write_text(json.dumps(left), "utf-8")
        for older in kept.parent.glob(kept.name.split("-")[0] + "-*"):
            if older != kept:
                shutil.rmtree(older, ignore_errors=True)  # what the folder held before
        Path(new).chmod(0o755)
        if not kept.is_dir():  # else another process was faster
            Path(new).rename(kept)
            Path(new).mkdir()  # for the context, which removes it
