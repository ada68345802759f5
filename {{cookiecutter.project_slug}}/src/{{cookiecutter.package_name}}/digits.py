"""Handwritten digits as tensors: the real MNIST, and a small set that needs no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from .data import DataError, ImageData, Samples, data_directory
from .runs import ParameterError, project_root

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

__all__ = ["DIGITS", "load"]

DIGITS = tuple(map(str, range(10)))
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


def load(name: str = "auto", *, images: int = 0, directory: Path | None = None) -> ImageData:
    """Load a set of handwritten digits, those of MNIST as bytes.

    Args:
        name: "mnist" (70,000 images, fetched once), "digits" (1,797 images that come with
            scikit-learn), or "auto": MNIST if it is here or comes within a few seconds, else
            digits. CI fetches none.
        images: how many to learn from: the first ones, and no others are read; 0 means all.
        directory: where MNIST is kept; `data_directory()` unless given.

    Raises:
        ParameterError: `name` is none of the three, or `images` is negative.
        DataError: MNIST is not available.
    """
    if images < 0:
        raise ParameterError(f"images = {images} must be at least 0, which means all.")
    count = images or -1
    directory = data_directory() if directory is None else directory
    if name == "digits":
        return _load_bundled(count)
    if name == "mnist":
        return _load_mnist(directory, count, seconds=SECONDS_TO_FETCH)
    if name != "auto":
        raise ParameterError(f"There is no data set {name!r}. Take 'auto', 'mnist' or 'digits'.")
    if os.environ.get("CI") == "true" and not (directory / "MNIST").is_dir():
        return _load_bundled(count)
    try:
        return _load_mnist(directory, count, seconds=SECONDS_TO_TRY)
    except DataError:
        print("MNIST could not be fetched. The 1,797 bundled digits are used.")
        return _load_bundled(count)


def _load_bundled(count: int) -> ImageData:
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
    return ImageData("digits", DIGITS, train[: count if count > 0 else None], test)


def _load_mnist(directory: Path, count: int, *, seconds: float) -> ImageData:
    """Return MNIST from `directory`, fetching what is missing or damaged within `seconds`.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits
    (1998).
    """
    raw = directory / "MNIST" / "raw"
    if _lacking(raw):
        _fetch_mnist(directory, seconds=seconds)
    if missing := _lacking(raw):
        raise DataError(f"MNIST in {raw} is not complete: {', '.join(missing)}. Run this again.")
    return ImageData("mnist", DIGITS, _read(raw, "train", count), _read(raw, "t10k", -1))


def _read(raw: Path, part: str, count: int) -> Samples:
    """Return the first samples of a part of MNIST, all if `count` is -1; no others are read."""
    files = raw / f"{part}-images-idx3-ubyte", raw / f"{part}-labels-idx1-ubyte"
    pixels = np.fromfile(files[0], np.uint8, max(-1, count * IMAGE_SIZE**2), offset=IMAGE_HEADER)
    labels = torch.from_numpy(np.fromfile(files[1], np.uint8, count, offset=LABEL_HEADER)).long()
    images = torch.from_numpy(pixels).reshape(-1, 1, IMAGE_SIZE, IMAGE_SIZE)
    return Samples(images, labels, torch.arange(len(labels)))


def _lacking(raw: Path) -> list[str]:
    """Return which files of MNIST are not there; what is damaged is removed.

    Comparing them with their checksums takes longer than to learn from some of them, so the project
    notes those that were found intact, and does not read them again until they change.
    """
    paths = [raw / name for name in MNIST_CHECKSUMS]
    note = project_root() / ".lab" / "mnist.txt"
    signature = ""
    with suppress(OSError):
        found = [(one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in map(os.stat, paths)]
        signature = f"{raw.resolve()} {found}"
        if note.read_text("utf-8") == signature:
            return []
    lacking = [path.name for path in paths if not _is_intact(path)]
    if signature and not lacking:
        with suppress(OSError):  # such as a project that others own
            note.parent.mkdir(exist_ok=True)
            note.write_text(signature, "utf-8")
    return lacking


def _is_intact(path: Path) -> bool:
    """Return whether a file of MNIST is as it should be; a wrong one is removed."""
    try:
        content = path.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == MNIST_CHECKSUMS[path.name]:
            return True
        print(f"{path} is damaged or incomplete; it is removed and fetched again.")
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{path} cannot be read or replaced: {error.strerror}.") from error
    return False


def _fetch_mnist(directory: Path, *, seconds: float) -> None:
    """Download the four files of MNIST into `directory` by torchvision, from one of its mirrors.

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
