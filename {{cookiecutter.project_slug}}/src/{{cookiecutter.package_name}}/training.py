"""Training a network: `fit()`, and the device that it runs on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from .data import DigitData, Samples
from .evaluation import predict_logits
from .runs import ParameterError, is_watched

__all__ = ["EpochResult", "best_device", "fit", "write_overview"]

MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
WARM_UP = 0.25  # the part of the training in which the learning rate rises to its peak


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training images achieved.

    Attributes:
        train_loss: mean cross-entropy over the epoch's batches, in nats.
        test_loss: mean cross-entropy over the test images after the epoch, in nats.
        accuracy: part of the test images that are classified correctly, from 0 to 1.
    """

    train_loss: float
    test_loss: float
    accuracy: float


def best_device() -> torch.device:
    """Return the accelerator of this machine (CUDA, Apple's mps, ...), or its CPU."""
    # A build for CUDA names CUDA as its accelerator also where there is no GPU.
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if accelerator is None else accelerator


def write_overview(writer: SummaryWriter, network: nn.Module, samples: Samples) -> None:
    """Write forty of the images and the graph of the network, for TensorBoard."""
    images = samples.images[:40]
    writer.add_images("samples", 1 - images)  # black on white, as in the plots
    with warnings.catch_warnings():
        # TensorBoard's graphs are drawn from torch.jit.trace, which warns that it is an old one.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        writer.add_graph(network, images[:1])


def fit(
    network: nn.Module,
    data: DigitData,
    *,
    epochs: int,
    batch_size: int,
    peak_learning_rate: float,
    seed: int,
    device: torch.device | None = None,
    writer: SummaryWriter | None = None,
) -> list[EpochResult]:
    """Train `network` in place on `data.train` and test it on `data.test` after every epoch.

    Stochastic gradient descent with momentum; the learning rate follows one cycle, up to
    `peak_learning_rate` and down to almost nothing. On the CPU the result depends on the seed only.

    Args:
        network: maps images (N, 1, 28, 28) to one logit per class (N, 10).
        epochs: passes over the training images, at least 1.
        batch_size: images per step; the last, smaller batch of an epoch is left out.
        seed: what the order of the images depends on.
        device: where to train; `best_device()` unless given.
        writer: receives the scalars loss/train, loss/test and accuracy of every epoch.

    Raises:
        ParameterError: `epochs` or `batch_size` is not positive.

    Source: L. N. Smith and N. Topin, Super-Convergence (2018), for the one-cycle schedule.
    """
    if epochs < 1 or batch_size < 1:
        raise ParameterError(f"epochs = {epochs} and batch_size = {batch_size} must be at least 1.")
    device = best_device() if device is None else device
    network.to(device, memory_format=torch.channels_last)
    train, test = (_on_device(part, device) for part in (data.train, data.test))
    batch_size = min(batch_size, len(train))
    steps = len(train) // batch_size
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=peak_learning_rate,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=WEIGHT_DECAY,
        fused=device.type in ("cpu", "cuda"),
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak_learning_rate, total_steps=epochs * steps, pct_start=WARM_UP
    )
    generator = torch.Generator().manual_seed(seed)

    results: list[EpochResult] = []
    with _progress_bar(total=epochs * steps) as bar:
        for epoch in range(1, epochs + 1):
            network.train()
            total_loss = torch.zeros((), device=device)
            for batch in _shuffled_batches(len(train), batch_size, generator):
                chosen = batch.to(device)
                with _mixed_precision(device):
                    logits = network(train.images[chosen])  # (B, 10)
                    loss = F.cross_entropy(logits, train.labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total_loss += loss.detach()
                bar.update()
            result = _test(network, test, train_loss=total_loss.item() / steps)
            results.append(result)
            if writer is not None:
                _write(writer, result, epoch)
            bar.write(
                f"epoch {epoch:2} of {epochs}: train loss {result.train_loss:.4f}, "
                f"test loss {result.test_loss:.4f}, accuracy {result.accuracy:.2%}",
                file=sys.stdout,
            )
    return results


def _on_device(samples: Samples, device: torch.device) -> Samples:
    """Return the samples on `device`, in the layout that convolutions like best."""
    return Samples(
        samples.images.to(device, memory_format=torch.channels_last),
        samples.labels.to(device),
        samples.indices,
    )


def _shuffled_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the numbers below `count` in random order, `batch_size` at a time."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Compute in bfloat16 where the hardware gains from it; a CPU and mps stay with float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def _test(network: nn.Module, test: Samples, *, train_loss: float) -> EpochResult:
    logits = predict_logits(network, test.images)
    return EpochResult(
        train_loss=train_loss,
        test_loss=F.cross_entropy(logits, test.labels).item(),
        accuracy=(logits.argmax(dim=1) == test.labels).float().mean().item(),
    )


def _write(writer: SummaryWriter, result: EpochResult, epoch: int) -> None:
    writer.add_scalar("loss/train", result.train_loss, epoch)
    writer.add_scalar("loss/test", result.test_loss, epoch)
    writer.add_scalar("accuracy", result.accuracy, epoch)


def _progress_bar(total: int) -> tqdm[None]:
    """Return a bar of text, which needs no widgets: for VS Code, Jupyter and a terminal.

    Output that goes to a file gets no bar, only the lines that are written beside it.
    """
    return tqdm(
        total=total, unit=" steps", file=sys.stdout, disable=not is_watched(), leave=False, ncols=80
    )
