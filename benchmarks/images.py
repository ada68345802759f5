"""A folder of JPEGs as training reads it: ours, and torchvision's ImageFolder.

Run: python benchmarks/images.py [--images N] [--workers N] [--epochs N]. It draws the images (500 x
375, five classes), reads them in shuffled batches of 128 x 128, and prints the seconds of the first
epoch and of the fastest later one. With --megabytes, ours reads them again as on a machine with so
much memory: the process may take no more beside its imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SIZE, BATCH = 128, 128


def main() -> None:
    """Draw the images, and read them in both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=0, help="how much memory ours may take")
    parser.add_argument("--read", nargs=2, metavar=("HOW", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options)))
        return
    ways = ["ImageFolder", "ours", *(["limited"] if options.megabytes else [])]
    with tempfile.TemporaryDirectory(prefix="images-") as folder:
        ask("draw", Path(folder, "leaves"), options)
        print(f"| {options.images:,} images, {options.workers} workers | first | later | memory |")
        print("|---|---|---|---|")
        for how in ways:
            found = ask(how, Path(folder, "leaves"), options)
            first, *later = found["seconds"]
            memory = f"{found['memory'] >> 20} MB"
            print(f"| {how} | {first:.1f} s | {min(later):.2f} s | {memory} |", flush=True)


def ask(how: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run one part in the environment of a generated project, in a process of its own."""
    from children import project_python

    numbers = (f"--{name}={getattr(options, name)}" for name in ("images", "workers", "epochs"))
    done = subprocess.run(
        [
            str(project_python()),
            __file__,
            *numbers,
            f"--megabytes={options.megabytes}",
            "--read",
            how,
            str(folder),
        ],
        cwd=project_python().parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def read(options: argparse.Namespace) -> dict[str, Any]:
    """Draw the images, or read them for some epochs; return the seconds of each."""
    how, folder = options.read[0], Path(options.read[1])
    if how == "draw":
        draw(folder, options.images)
        return {}
    epoch = image_folder(folder, options) if how == "ImageFolder" else ours(folder, options)
    if how == "limited":
        import psutil

        limit = memory_of_its_own("VmData") + (options.megabytes << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        psutil.virtual_memory = lambda: SimpleNamespace(total=options.megabytes << 20)
    seconds, most, before = [], 0, memory_of_its_own("RssAnon")
    for _ in range(options.epochs):
        started = time.perf_counter()
        assert epoch() == options.images
        seconds.append(time.perf_counter() - started)
        most = max(most, memory_of_its_own("RssAnon") - before)
    return {"seconds": seconds, "memory": most}


def memory_of_its_own(kind: str) -> int:
    """Return how many bytes this process has that are no pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
    return kilobytes << 10


def draw(folder: Path, images: int) -> None:
    """Write JPEGs of 500 x 375 with edges and grain, as photographs have; one folder a class."""
    import numpy as np
    from PIL import Image, ImageDraw

    random = np.random.default_rng(0)
    grain = random.normal(0, 12, (375, 500, 3))
    for number in range(images):
        image = Image.new("RGB", (500, 375), tuple(random.integers(0, 256, 3).tolist()))
        pen = ImageDraw.Draw(image)
        for _ in range(12):
            x, y, radius = random.integers(0, 500), random.integers(0, 375), random.integers(9, 90)
            colour = tuple(random.integers(0, 256, 3).tolist())
            pen.regular_polygon((int(x), int(y), int(radius)), number % 5 + 3, fill=colour)
        grainy = (np.asarray(image) + np.roll(grain, number, 1)).clip(0, 255).astype(np.uint8)
        place = folder / f"kind {number % 5}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grainy).save(place / f"{number}.jpg", quality=85)


def image_folder(folder: Path, options: argparse.Namespace) -> Callable[[], int]:
    """Read as torchvision's documentation does: decoded again in each epoch, by workers."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    changed = transforms.Compose(
        [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.ToTensor()]
    )
    loader = DataLoader(
        datasets.ImageFolder(str(folder), changed),
        batch_size=BATCH,
        shuffle=True,
        num_workers=options.workers,
    )
    return lambda: sum(len(images) for images, _ in loader)


def ours(folder: Path, options: argparse.Namespace) -> Callable[[], int]:
    """Read as `fit` does, from the cache that the first epoch makes."""
    import importlib

    import torch

    (package,) = (path.name for path in Path("src").iterdir() if path.is_dir())
    sys.path.insert(0, str(Path("src").resolve()))
    data, loop = (importlib.import_module(f"{package}.{name}") for name in ("data", "loop"))
    distributed = importlib.import_module(f"{package}.distributed")

    def epoch() -> int:
        found = data.load_folder(
            folder, size=SIZE, workers=options.workers, cache=folder.with_name("cache")
        )
        read_images = 0
        for part in (found.train, found.test):
            batches = loop.batches_of(
                part.tensors,
                BATCH,
                torch.Generator().manual_seed(0),
                0,
                torch.device("cpu"),
                distributed.Processes(),
            )
            read_images += sum(len(images) for images, _ in batches.of_epoch(0))
            read_images += batches.samples % batches.size  # the last, smaller batch
        return read_images

    return epoch


if __name__ == "__main__":
    main()
