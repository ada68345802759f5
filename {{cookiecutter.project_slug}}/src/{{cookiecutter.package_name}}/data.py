"""Handwritten digits as tensors: the real MNIST, and a small set that needs no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .runs import LabError, ParameterError, project_root

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

__all__ = ["DIGITS", "DataError", "DigitData", "Samples", "data_directory", "load"]

DIGITS = [str(digit) for digit in range(10)]
IMAGE_SIZE = 28  # pixels a side, as in MNIST

# MD5 sums of the uncompressed files, as torchvision leaves them in MNIST/raw.
MNIST_CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
IMAGE_HEADER, LABEL_HEADER = 16, 8  # bytes before the pixels and the labels of an IDX file
SECONDS_TO_TRY = 8.0  # how long "auto" waits for a download before it takes the bundled set
SECONDS_TO_FETCH = 600.0
FETCHING = ".fetching-"


class DataError(LabError):
    """A data set cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Samples:
    """Images with their known labels.

    Attributes:
        images: grey values from 0 (paper) to 1 (ink), float32, shape (N, 1, 28, 28).
        labels: the digit that each image is said to show, int64, shape (N,).
        indices: where each image stands in the set it comes from, int64, shape (N,).
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DigitData:
    """A data set, split into what a network learns from and what it is tested on."""

    name: str
    train: Samples
    test: Samples


def data_directory() -> Path:
    """Return where data sets are kept: `LAB_DATA_DIR`, or `data/` in the project."""
    named = os.environ.get("LAB_DATA_DIR")
    return Path(named).expanduser() if named else project_root() / "data"


def load(name: str = "auto", *, directory: Path | None = None) -> DigitData:
    """Load a set of handwritten digits.

    Args:
        name: "mnist" (70,000 images, fetched once), "digits" (1,797 images that come with
            scikit-learn), or "auto": MNIST if it is here or comes within a few seconds, else
            digits.
        directory: where MNIST is kept; `data_directory()` unless given.

    Raises:
        ParameterError: `name` is none of the three.
        DataError: MNIST cannot be had.
    """
    directory = data_directory() if directory is None else directory
    if name == "digits":
        return _load_bundled()
    if name == "mnist":
        return _load_mnist(directory, seconds=SECONDS_TO_FETCH)
    if name != "auto":
        raise ParameterError(f"There is no data set {name!r}. Take 'auto', 'mnist' or 'digits'.")
    try:
        return _load_mnist(directory, seconds=SECONDS_TO_TRY)
    except DataError:
        print("MNIST could not be fetched, so the 1,797 bundled digits are used instead.")
        return _load_bundled()


def _load_bundled() -> DigitData:
    """Return scikit-learn's digits, enlarged to MNIST's size, a quarter of them held out.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998).
    """
    # Only this data set needs scikit-learn, which takes a second to import.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)  # (1797, 64) from 0 to 16, (1797,)
    small = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    enlarged = F.interpolate(small, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
    # The same quarter every time, so that results of different seeds can be compared.
    parts = train_test_split(
        np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0
    )
    train, test = (
        Samples(enlarged[part], torch.from_numpy(labels[part]).long(), torch.from_numpy(part))
        for part in parts
    )
    return DigitData("digits", train, test)


def _load_mnist(directory: Path, *, seconds: float) -> DigitData:
    """Return MNIST from `directory`, fetching what is missing or damaged within `seconds`.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits
    (1998).
    """
    raw = directory / "MNIST" / "raw"
    contents = {name: _intact_contents(raw / name) for name in MNIST_CHECKSUMS}
    if None in contents.values():
        _fetch_mnist(directory, seconds=seconds)
        contents = {name: _intact_contents(raw / name) for name in MNIST_CHECKSUMS}
    missing = [name for name, content in contents.items() if content is None]
    if missing:
        raise DataError(f"MNIST in {raw} is not complete: {', '.join(missing)}. Run this again.")
    train, test = (
        _mnist_samples(contents[f"{part}-images-idx3-ubyte"], contents[f"{part}-labels-idx1-ubyte"])
        for part in ("train", "t10k")
    )
    return DigitData("mnist", train, test)


def _mnist_samples(image_file: bytearray | None, label_file: bytearray | None) -> Samples:
    assert image_file is not None
    assert label_file is not None
    pixels = torch.frombuffer(image_file, dtype=torch.uint8, offset=IMAGE_HEADER)
    labels = torch.frombuffer(label_file, dtype=torch.uint8, offset=LABEL_HEADER).long()
    images = pixels.reshape(-1, 1, IMAGE_SIZE, IMAGE_SIZE).float().div_(255)
    return Samples(images, labels, torch.arange(len(labels)))


def _intact_contents(path: Path) -> bytearray | None:
    """Return the bytes of an MNIST file; None if there is none, or a wrong one, now removed."""
    try:
        content = bytearray(path.read_bytes())
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == MNIST_CHECKSUMS[path.name]:
            return content
        print(f"{path} is damaged or incomplete; it is removed and fetched again.")
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{path} cannot be read or replaced: {error.strerror}.") from error
    return None


def _fetch_mnist(directory: Path, *, seconds: float) -> None:
    """Bring the four files of MNIST into `directory` by torchvision, from one of its mirrors.

    A thread does the work because neither a dead network nor a slow name server can be
    interrupted. It writes to a folder of its own and moves finished files only, so leaving it
    behind does no harm.
    """
    problems: list[str] = []

    def fetch() -> None:
        try:
            _remove_abandoned_folders(directory)
            raw = directory / "MNIST" / "raw"
            raw.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=FETCHING, dir=directory) as folder:
                _mirrored_mnist()(folder, download=True)
                for name in MNIST_CHECKSUMS:
                    Path(folder, "MNIST", "raw", name).replace(raw / name)
        except (OSError, RuntimeError) as error:
            problems.append(" ".join(str(error).split()))

    thread = threading.Thread(target=fetch, name="fetch-mnist", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        problems.append(f"it took longer than {seconds:.0f} s")
    if problems:
        raise DataError(
            f"MNIST could not be fetched into {directory}: {problems[0]}. Connect to a network and "
            "run this again, or name a mirror in LAB_MNIST_MIRROR, or copy the folder MNIST of "
            "another machine there, or take the data set 'digits', which needs no network."
        )


def _mirrored_mnist() -> type[MNIST]:
    """Return torchvision's MNIST with the mirror named in `LAB_MNIST_MIRROR` asked first."""
    # Only a download needs torchvision, which takes seconds to import.
    from torchvision.datasets import MNIST

    mirror = os.environ.get("LAB_MNIST_MIRROR")
    if not mirror:
        return MNIST
    # The name of the class is the name of the folder that it writes to.
    return type("MNIST", (MNIST,), {"mirrors": [mirror.rstrip("/") + "/", *MNIST.mirrors]})


def _remove_abandoned_folders(directory: Path) -> None:
    """Remove what killed downloads left behind: folders older than any that still runs."""
    for folder in directory.glob(f"{FETCHING}*"):
        if time.time() - folder.stat().st_mtime > 2 * SECONDS_TO_FETCH:
            shutil.rmtree(folder, ignore_errors=True)
