"""One training of the digits, measured from reading the files to the last evaluation.

Run by training.py, choices.py and processes.py in the environment of a generated project, in that
project's folder: prints one line of JSON a run. What is measured begins after all imports.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
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
data, digits, evaluation, loop, optimizers, training = (
    importlib.import_module(f"{PACKAGE}.{name}")
    for name in ("data", "digits", "evaluation", "loop", "optimizers", "training")
)


def main() -> None:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=["textbook", "rival", "ours", "reading"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--until", type=float, default=2.0, help="end at this accuracy")
    parser.add_argument("--hard-epochs", type=int, default=1)
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.02, help="the peak learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=0, help="to learn from; 0 means all")
    parser.add_argument("--without", choices=sorted(CHOICES), help="one of our choices undone")
    options = parser.parse_args()
    memory_before = peak_memory()
    measures = {"textbook": textbook, "rival": rival, "ours": ours, "reading": reading}
    for _ in range(options.runs):
        with contextlib.redirect_stdout(sys.stderr):
            measured = measures[options.recipe](options)
        measured["peak_memory"] = peak_memory() - memory_before
        measured["device"] = device_name()
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(measured), flush=True)
        options.seed += 1


def textbook(options: argparse.Namespace) -> dict[str, Any]:
    """Train as the tutorials do, epoch after epoch, until the accuracy that is asked for."""
    device = training.best_device()
    started, cpu = time.perf_counter(), time.process_time()
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
    return {
        "seed": options.seed,
        "accuracies": accuracies,
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
    }


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


def rival(options: argparse.Namespace) -> dict[str, Any]:
    """Train as the last step of tuomaso/train_mnist_fast is described: one epoch to 99 %.

    Rewritten from its README. There the images come from a file of normalised numbers that was
    made before the clock starts; here they are read from MNIST's own files while it runs. It does
    not say in which order the images are taken: here it is that of the files.
    """
    device = training.best_device()
    started, cpu = time.perf_counter(), time.process_time()
    mnist = digits.load("mnist")
    train, test = (
        ((part.inputs.to(device) - 0.1307) / 0.3081, part.labels.to(device))
        for part in (mnist.train, mnist.test)
    )
    torch.manual_seed(options.seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU()),  # (B, 24, 12, 12)
        *(nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU()),  # (B, 32, 5, 5)
        *(nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)),
    ).to(device)
    batches = [part.split(256) for part in train]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.7, 0.9))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.01, total_steps=len(batches[0]), cycle_momentum=False
    )
    for images, labels in zip(*batches, strict=True):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        answers = torch.cat([network(images).argmax(1) for images in test[0].split(2000)])
    accuracy = (answers == test[1]).float().mean().item()
    return {
        "seed": options.seed,
        "accuracies": [accuracy],
        "seconds": [time.perf_counter() - started],
        "cpu": time.process_time() - cpu,
    }


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """Train the network of the digit lab by the project's own `fit`."""
    network_class = digit_network()
    with CHOICES[options.without]() if options.without else contextlib.nullcontext():
        started, cpu = time.perf_counter(), time.process_time()
        mnist = digits.load("mnist", images=options.images)
        torch.manual_seed(options.seed)
        network = network_class()
        if options.without == "no compiler":
            network = torch.compile(network)
        fitting = time.perf_counter()
        results = training.fit(
            network,
            mnist.train.tensors,
            mnist.test.tensors,
            epochs=options.epochs,
            hard_epochs=0 if options.without == "the hardest third" else options.hard_epochs,
            batch_size=options.batch_size,
            peak_learning_rate=options.rate,
            make_optimizer=functools.partial(training.AdamW, betas=(0.7, 0.9), weight_decay=0.03),
            loss=nn.CrossEntropyLoss(
                label_smoothing=0.0 if options.without == "label smoothing" else 0.1,
                reduction="none",
            ),
            transform=data.shift(options.shift) if options.shift else None,
            seed=options.seed,
            threads=None if options.without == "one thread" else options.threads,
        )
        ended = time.perf_counter()
    return {
        "seed": options.seed,
        "accuracies": [result.metrics["accuracy"] for result in results],
        "seconds": [ended - started],
        "cpu": time.process_time() - cpu,
        "fitting": ended - fitting,
        "images": len(mnist.train) * options.epochs,
    }


def digit_network() -> type[nn.Module]:
    """Return the class of the network in the digit lab."""
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
    digits.load("mnist")
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

    def of_epoch(
        self: object, _: int, among: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        batches: Any = self
        among = torch.arange(batches.samples) if among is None else among
        order = among[torch.randperm(len(among), generator=batches._generator)]
        for numbers in order.split(batches.size)[: len(among) // batches.size]:
            inputs, targets = (
                torch.stack([tensor[number] for number in numbers])
                for tensor in (batches._inputs, batches._targets)
            )
            yield numbers, loop.to_network(inputs, batches._device), targets

    return mock.patch.object(loop._TensorBatches, "of_epoch", of_epoch)


def constant_rate() -> contextlib.AbstractContextManager[object]:
    """Take every step with the same learning rate: a third of the peak, near the cycle's mean."""
    return mock.patch.object(training, "_one_cycle", return_value=1 / 3)


def as_most_do() -> contextlib.AbstractContextManager[object]:
    """Update the weights by AdamW as torch sets it, which remembers for long."""
    return mock.patch.object(
        training, "AdamW", lambda weights, lr, **_: optimizers.AdamW(weights, lr / 10)
    )


def full_precision() -> contextlib.AbstractContextManager[object]:
    """Compute everything in float32."""
    stack = contextlib.ExitStack()
    for module in (loop, evaluation):
        stack.enter_context(
            mock.patch.object(module, "mixed_precision", side_effect=contextlib.nullcontext)
        )
    return stack


CHOICES: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "batches from one tensor": one_by_one,
    "channels last": lambda: mock.patch.object(torch, "channels_last", torch.contiguous_format),
    "mixed precision": full_precision,
    "one-cycle schedule": constant_rate,
    "a short memory": as_most_do,
    "the hardest third": contextlib.nullcontext,
    "one thread": contextlib.nullcontext,
    "label smoothing": contextlib.nullcontext,
    "no compiler": contextlib.nullcontext,
}
"""How to undo each choice of ours; some are undone where they are made, in `ours`."""


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
