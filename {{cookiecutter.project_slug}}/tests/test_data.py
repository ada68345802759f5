"""The data sets, and what happens when MNIST is missing or damaged."""

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
from torchvision.datasets import MNIST

from {{ cookiecutter.package_name }} import data
from {{ cookiecutter.package_name }}.runs import ParameterError

COUNTS = {"train": 50, "t10k": 20}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A web server on this machine with a tiny MNIST of random pixels; yields its folder."""
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
    monkeypatch.setattr(data, "MNIST_CHECKSUMS", checksums)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("LAB_MNIST_MIRROR", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def _idx_header(magic: int, *shape: int) -> bytes:
    return np.array([magic, *shape], dtype=">u4").tobytes()


def test_bundled_digits_look_like_mnist() -> None:
    digits = data.load("digits")
    assert digits.name == "digits"
    assert len(digits.train) + len(digits.test) == 1797
    assert digits.train.images.shape[1:] == (1, 28, 28)
    assert digits.train.images.dtype == torch.float32
    assert digits.train.images.min() == 0
    assert digits.train.images.max() == 1
    assert digits.train.labels.dtype == torch.int64


def test_no_bundled_digit_is_both_learned_and_tested() -> None:
    digits = data.load("digits")
    assert not set(digits.train.indices.tolist()) & set(digits.test.indices.tolist())
    assert len(digits.test) == 450


def test_unknown_data_set_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"'fashion'.*'auto', 'mnist' or 'digits'"):
        data.load("fashion")


def test_mnist_is_fetched_and_then_found(tmp_path: Path, mirror: Path) -> None:
    fetched = data.load("mnist", directory=tmp_path / "data")
    for archive in mirror.iterdir():
        archive.unlink()
    found = data.load("mnist", directory=tmp_path / "data")
    assert (len(fetched.train), len(fetched.test)) == (50, 20)
    assert torch.equal(fetched.train.images, found.train.images)
    assert torch.equal(fetched.test.labels, found.test.labels)


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path, mirror: Path) -> None:
    digits = data.load("mnist", directory=tmp_path)
    pixels = gzip.decompress((mirror / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((mirror / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert (digits.test.images * 255).round().byte().numpy().tobytes() == pixels
    assert digits.test.labels.byte().numpy().tobytes() == labels


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "empty"])
def test_damaged_file_is_noticed_and_fetched_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    intact = data.load("mnist", directory=tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes({"cut": content[:1000], "empty": b"", "changed": changed}[damage])
    mended = data.load("mnist", directory=tmp_path)
    assert torch.equal(mended.train.images, intact.train.images)
    assert path.read_bytes() == content
    assert ("is damaged or incomplete" in capsys.readouterr().out) == (damage != "missing")


def test_failing_download_is_told_in_a_sentence(tmp_path: Path, mirror: Path) -> None:
    (mirror / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not the archive")
    with pytest.raises(data.DataError, match=r"could not be fetched.*LAB_MNIST_MIRROR"):
        data.load("mnist", directory=tmp_path)
    assert not [path for path in (tmp_path / "MNIST").rglob("*") if path.is_file()]


def test_auto_takes_the_bundled_digits_when_there_is_no_network(
    tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for archive in mirror.iterdir():
        archive.unlink()
    assert data.load("auto", directory=tmp_path).name == "digits"
    assert "bundled digits are used instead" in capsys.readouterr().out


def test_auto_does_not_wait_for_a_server_that_never_answers(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def never_answer(*_: object, **__: object) -> None:
        released.wait()
        raise OSError("the test is over")

    monkeypatch.setattr(MNIST, "download", never_answer)
    monkeypatch.setattr(data, "SECONDS_TO_TRY", 0.1)
    try:
        assert data.load("auto", directory=tmp_path).name == "digits"
    finally:
        released.set()


@pytest.mark.usefixtures("mirror")
def test_auto_takes_mnist_when_it_can_be_fetched(tmp_path: Path) -> None:
    assert data.load("auto", directory=tmp_path).name == "mnist"


def test_data_directory_is_data_in_the_project_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_DATA_DIR", raising=False)
    assert data.data_directory().parts[-1] == "data"
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path))
    assert data.data_directory() == tmp_path
