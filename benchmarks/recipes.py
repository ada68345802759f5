"""One training of the digits, measured from reading the files to the last evaluation.

Run by training.py, choices.py and processes.py in the environment of a generated project, in that
project's folder: prints one line of JSON. What is measured begins after all imports.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # the first optimiser would import it while the clock runs
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import datasets, transforms

sys.path.insert(0, str(Path("src").resolve()))
(PACKAGE,) = (path.name for path in Path("src").iterdir() if path.name not in ("remote",))
package = __import__(PACKAGE, fromlist=["data", "training"])
data, training = (__import__(f"{PACKAGE}.{name}", fromlist=[name]) for name in ("data", "training"))


def main() -> None:
    """Carry out the measurement that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=["textbook", "ours", "reading"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--until", type=float, default=2.0, help="end at this accuracy")
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--part", type=float, default=1.0, help="of the training images")
    parser.add_argument("--without", choices=sorted(CHOICES), help="one of our choices undone")
    options = parser.parse_args()
    memory_before = peak_memory()
    measures = {"textbook": textbook, "ours": ours, "reading": reading}
    with contextlib.redirect_stdout(sys.stderr):
        measured = measures[options.recipe](options)
    measured["peak_memory"] = peak_memory() - memory_before
    measured["device"] = device_name()
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(measured))


def textbook(options: argparse.Namespace) -> dict[str, Any]:
    """Train as the tutorials do, epoch after epoch, until the accuracy that is asked for."""
    device = training.best_device()
    started = time.perf_counter()
    torch.manual_seed(options.seed)
    train, test = (
        torch.utils.data.DataLoader(
            datasets.MNIST(
                os.environ["LAB_DATA_DIR"],
                train=is_train,
                transform=transforms.Compose(
                    [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
                ),
            ),
            batch_size=64 if is_train else 1000,
            shuffle=is_train,
        )
        for is_train in (True, False)
    )
    network = TextbookNetwork().to(device)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    accuracies, seconds = [], []
    for _ in range(options.epochs):
        network.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss = F.nll_loss(network(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            correct = sum(
                (network(images.to(device)).argmax(dim=1).cpu() == labels).sum().item()
                for images, labels in test
            )
        accuracies.append(correct / len(test.dataset))
        seconds.append(time.perf_counter() - started)
        if accuracies[-1] >= options.until:
            break
    return {"seed": options.seed, "accuracies": accuracies, "seconds": seconds}


class TextbookNetwork(nn.Module):  # type: ignore[misc]  # torch is not where this is checked
    """Two convolutions, dropout, two linear layers: images (B, 1, 28, 28) to log-probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3),  # (B, 32, 26, 26)
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),  # (B, 64, 24, 24)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, 64, 12, 12)
            nn.Dropout(0.25),
            nn.Flatten(),  # (B, 9216)
            nn.Linear(9216, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
            nn.LogSoftmax(dim=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities (B, 10)."""
        return self.layers(images)


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """Train the network of the digit lab by the project's own `fit`."""
    network_class = digit_network()
    with CHOICES[options.without]() if options.without else contextlib.nullcontext():
        started = time.perf_counter()
        digits = data.load("mnist")
        images = round(options.part * len(digits.train))
        train = data.Samples(*(part[:images] for part in vars(digits.train).values()))
        torch.manual_seed(options.seed)
        network = network_class()
        if options.without == "no compiler":
            network = torch.compile(network)
        fitting = time.perf_counter()
        results = training.fit(
            network,
            data.DigitData("mnist", train, digits.test),
            epochs=options.epochs,
            batch_size=options.batch_size,
            peak_learning_rate=0.2,
            seed=options.seed,
            shift=options.shift,
        )
        ended = time.perf_counter()
    return {
        "seed": options.seed,
        "accuracies": [result.accuracy for result in results],
        "seconds": [ended - started],
        "fitting": ended - fitting,
        "images": images * options.epochs,
    }


def digit_network() -> type[nn.Module]:
    """Return the class of the network that stands in the digit lab."""
    lab = ast.parse(Path("labs/mnistlab.py").read_text(encoding="utf-8"))
    (definition,) = (
        statement
        for statement in lab.body
        if isinstance(statement, ast.ClassDef) and statement.name == "DigitNetwork"
    )
    names: dict[str, Any] = {"nn": nn, "Tensor": Tensor, "__name__": __name__}
    exec(compile(ast.Module([definition], []), "labs/mnistlab.py", "exec"), names)
    network: type[nn.Module] = names["DigitNetwork"]
    return network


def reading(options: argparse.Namespace) -> dict[str, Any]:
    """Read MNIST into tensors: from the files at once, and image by image as torchvision does."""
    started = time.perf_counter()
    data.load("mnist")
    ours_took = time.perf_counter() - started
    started = time.perf_counter()
    for is_train in (True, False):
        images = datasets.MNIST(
            os.environ["LAB_DATA_DIR"], train=is_train, transform=transforms.ToTensor()
        )
        torch.stack([image for image, _ in images])
    return {"ours": ours_took, "torchvision": time.perf_counter() - started}


def one_by_one() -> contextlib.AbstractContextManager[object]:
    """Put each batch together image by image, in Python."""
    at_once = training._chosen

    def chosen(train: object, numbers: Tensor, *moving: object) -> object:
        single = [at_once(train, number[None], *moving) for number in numbers]
        parts = zip(*(vars(sample).values() for sample in single), strict=True)
        return data.Samples(*(torch.cat(part) for part in parts))

    return mock.patch.object(training, "_chosen", chosen)


def constant_rate() -> contextlib.AbstractContextManager[object]:
    """Take every step with the same learning rate: a quarter of the peak, near the cycle's mean."""

    def constant(optimizer: torch.optim.Optimizer, peak: float, **_: object) -> object:
        for group in optimizer.param_groups:
            group["lr"] = peak / 4
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)

    return mock.patch.object(torch.optim.lr_scheduler, "OneCycleLR", constant)


def unfused() -> contextlib.AbstractContextManager[object]:
    """Update the weights one tensor after the other."""
    sgd = torch.optim.SGD

    def plain(*words: object, **options: object) -> object:
        return sgd(*words, **(options | {"fused": False, "foreach": False}))

    return mock.patch.object(torch.optim, "SGD", plain)


def full_precision() -> contextlib.AbstractContextManager[object]:
    """Compute everything in float32."""
    return mock.patch.object(training, "_mixed_precision", side_effect=contextlib.nullcontext)


CHOICES: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "batches from one tensor": one_by_one,
    "channels last": lambda: mock.patch.object(torch, "channels_last", torch.contiguous_format),
    "mixed precision": full_precision,
    "one-cycle schedule": constant_rate,
    "fused optimiser": unfused,
    "label smoothing": lambda: mock.patch.object(training, "LABEL_SMOOTHING", 0.0),
    "no compiler": contextlib.nullcontext,
}
"""How to undo each choice of ours."""


def peak_memory() -> int:
    """Return the most memory that was in use so far, in bytes: on the GPU if there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_name() -> str:
    """Return what a reader needs to know about the processor that computed."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
