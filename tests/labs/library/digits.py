"""The digits, and what happens when MNIST is missing or damaged."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.datasets import MNIST

from handwriting_lab import digits
from handwriting_lab.data import DataError
from handwriting_lab.runs import ParameterError

COUNTS = {"train": 50, "t10k": 20}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a tiny MNIST of random pixels on this machine; yield its folder."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    random = np.random.default_rng(0)
    archives, checksums = [], {}
    for part, count in COUNTS.items():
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        contents = {
            f"{part}-images-idx3-ubyte": _idx_header(0x803, count, 28, 28) + pixels.tobytes(),
            f"{part}-labels-idx1-ubyte": _idx_header(0x801, count) + labels.tobytes(),
        }
        for name, content in contents.items():
            archive = gzip.compress(content)
            (folder / f"{name}.gz").write_bytes(archive)
            archives.append((f"{name}.gz", hashlib.md5(archive).hexdigest()))
            checksums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(MNIST, "resources", archives)
    monkeypatch.setattr(MNIST, "mirrors", [])
    monkeypatch.setattr(digits, "MNIST_CHECKSUMS", checksums)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("LAB_MNIST_MIRROR", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def _idx_header(magic: int, *shape: int) -> bytes:
    return np.array([magic, *shape], dtype=">u4").tobytes()


def test_bundled_digits_look_like_mnist() -> None:
    found = digits.load("digits")
    assert found.name == "digits"
    assert len(found.train) + len(found.test) == 1797
    assert found.train.images.shape[1:] == (1, 28, 28)
    assert found.train.images.dtype == torch.float32
    assert found.train.images.min() == 0
    assert found.train.images.max() == 1
    assert found.train.labels.dtype == torch.int64


def test_no_bundled_digit_is_both_learned_and_tested() -> None:
    found = digits.load("digits")
    assert not set(found.train.indices.tolist()) & set(found.test.indices.tolist())
    assert len(found.test) == 450


def test_unknown_data_set_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"'fashion'.*'auto', 'mnist' or 'digits'"):
        digits.load("fashion")


def test_mnist_is_fetched_and_then_found(tmp_path: Path, mirror: Path) -> None:
    fetched = digits.load("mnist", directory=tmp_path / "data")
    for archive in mirror.iterdir():
        archive.unlink()
    found = digits.load("mnist", directory=tmp_path / "data")
    assert (len(fetched.train), len(fetched.test)) == (50, 20)
    assert torch.equal(fetched.train.images, found.train.images)
    assert torch.equal(fetched.test.labels, found.test.labels)


@pytest.mark.usefixtures("mirror")
def test_nothing_is_read_that_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digits.load("mnist", directory=tmp_path)
    read: list[tuple[str, int]] = []

    def count_bytes(
        path: Path, kind: type[np.uint8], count: int, *, offset: int
    ) -> NDArray[np.uint8]:
        found = fromfile(path, kind, count, offset=offset)
        read.append((path.name, len(found)))
        return found

    fromfile = np.fromfile
    monkeypatch.setattr(np, "fromfile", count_bytes)
    monkeypatch.setattr(Path, "read_bytes", None)  # what was intact is not compared again
    few = digits.load("mnist", images=7, directory=tmp_path)
    assert torch.equal(few.train.images, whole.train.images[:7])
    assert torch.equal(few.train.labels, whole.train.labels[:7])
    assert len(few.test) == 20
    assert dict(read)["train-images-idx3-ubyte"] == 7 * 28 * 28
    assert dict(read)["train-labels-idx1-ubyte"] == 7
    assert len(digits.load("mnist", images=1000, directory=tmp_path).train) == 50


def test_fewer_bundled_digits_are_the_first_ones() -> None:
    assert torch.equal(
        digits.load("digits", images=9).train.images, digits.load("digits").train.images[:9]
    )
    with pytest.raises(ParameterError, match=r"images = -1 must be at least 0"):
        digits.load("digits", images=-1)


def test_project_that_others_own_notes_nothing(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".lab").touch()  # so that nothing can be written below it
    monkeypatch.setattr(digits, "project_root", lambda: tmp_path / "root")
    for _ in range(2):
        assert len(digits.load("mnist", directory=tmp_path).train) == 50


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path, mirror: Path) -> None:
    found = digits.load("mnist", directory=tmp_path)
    pixels = gzip.decompress((mirror / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((mirror / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert found.test.images.numpy().tobytes() == pixels
    assert found.test.labels.byte().numpy().tobytes() == labels


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "empty"])
def test_damaged_file_is_noticed_and_fetched_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    intact = digits.load("mnist", directory=tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes({"cut": content[:1000], "empty": b"", "changed": changed}[damage])
    mended = digits.load("mnist", directory=tmp_path)
    assert torch.equal(mended.train.images, intact.train.images)
    assert path.read_bytes() == content
    assert ("is damaged or incomplete" in capsys.readouterr().out) == (damage != "missing")


def test_failing_download_is_told_in_a_sentence(tmp_path: Path, mirror: Path) -> None:
    (mirror / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not the archive")
    with pytest.raises(DataError, match=r"could not be fetched.*LAB_MNIST_MIRROR"):
        digits.load("mnist", directory=tmp_path)
    assert not [path for path in (tmp_path / "MNIST").rglob("*") if path.is_file()]


def test_auto_takes_the_bundled_digits_when_there_is_no_network(
    tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for archive in mirror.iterdir():
        archive.unlink()
    assert digits.load("auto", directory=tmp_path).name == "digits"
    assert "bundled digits are used." in capsys.readouterr().out


def test_auto_does_not_wait_for_a_server_that_never_answers(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def never_answer(*_: object, **__: object) -> None:
        released.wait()
        raise OSError("the test is over")

    monkeypatch.setattr(MNIST, "download", never_answer)
    monkeypatch.setattr(digits, "SECONDS_TO_TRY", 0.1)
    try:
        assert digits.load("auto", directory=tmp_path).name == "digits"
    finally:
        released.set()


@pytest.mark.usefixtures("mirror")
def test_auto_takes_mnist_when_it_can_be_fetched(tmp_path: Path) -> None:
    assert digits.load("auto", directory=tmp_path).name == "mnist"


@pytest.mark.usefixtures("mirror")
def test_auto_fetches_nothing_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert digits.load("auto", directory=tmp_path).name == "digits"
    assert not list(tmp_path.glob("MNIST"))
