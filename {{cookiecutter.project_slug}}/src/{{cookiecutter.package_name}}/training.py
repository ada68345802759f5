"""Training a network: `fit()`, in one process or, under torchrun, in many.

Change it as your work needs: what it calls looks after devices, ranks, checkpoints and progress.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from .checkpoints import TrainingState
from .data import Samples, Transform
from .distributed import Processes, join_processes
from .evaluation import EpochResult, Loss, Metric, evaluate, loss_of
from .loop import Batch, Data, batches_of, best_device, outputs_of, progress_bar, using_threads
from .optimizers import AdamW, MakeOptimizer, Momentum
from .runs import ParameterError

__all__ = ["AdamW", "EpochResult", "Momentum", "best_device", "fit", "write_overview"]

WARM_UP = 0.25  # the part of the training in which the learning rate rises to its peak


def fit(
    network: nn.Module,
    train_data: Data,
    test_data: Data,
    *,
    epochs: int,
    peak_learning_rate: float,
    hard_epochs: int = 0,
    hard_part: float = 1 / 3,
    batch_size: int = 128,
    make_optimizer: MakeOptimizer = Momentum,
    loss: Loss = F.cross_entropy,
    metrics: Mapping[str, Metric] | None = None,
    transform: Transform | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    threads: int | None = None,
    writer: SummaryWriter | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> list[EpochResult]:
    """Train `network` in place, and test it after every epoch.

    The learning rate follows one cycle, up to `peak_learning_rate` and down to almost nothing. With
    tensors, the result on the CPU depends on `seed`, torch's random numbers and `threads` only.

    Under torchrun, each process takes its share of every batch, without overlap, and the gradients
    are averaged, so that many processes take the same steps as one would. Each returns the same
    results, and the same weights.

    Args:
        network: maps inputs (B, ...) to outputs (B, ...).
        train_data: inputs and targets, each of N, as tensors, or a DataLoader of such pairs. Bytes
            are given to the network as numbers from 0 to 1.
        test_data: the same, for the tests.
        epochs: passes over the training data, at least 1.
        hard_epochs: after these, passes over the `hard_part` of the data that it knows least: where
            the loss was largest when it last learned from a sample. They need tensors, and a `loss`
            that gives a number for each sample.
        hard_part: how much of the data that is, from 0 to 1.
        batch_size: samples per step, of all processes together. The last, smaller batch of an epoch
            is left out. A DataLoader has a batch size of its own.
        make_optimizer: makes what updates the weights: `Momentum` unless given, `AdamW`, or a class
            of torch.optim; `partial(AdamW, weight_decay=0.1)` gives it settings of its own.
        loss: of outputs and targets the mean over the batch, in the loss's own unit, or a number
            for each sample (`reduction="none"`), whose mean is taken.
        metrics: more that is measured in the tests, of outputs and targets, one number for each
            sample; unless given, the accuracy, where the targets are the numbers of classes.
        transform: what is done to the inputs of every batch in training; `data.shift`, say.
        seed: what the order of the samples depends on.
        device: where to train; `best_device()` unless given.
        threads: how many of the CPU's threads compute meanwhile; as many as before unless given.
            For a small network one is fastest, and its result does not depend on the cores.
        writer: receives the scalars loss/train, loss/test and the metrics of every epoch.
        checkpoint: the file that keeps the state of the training after every epoch; beside it, the
            results of all epochs are written to metrics.jsonl.
        resume: continue from `checkpoint` if it is there, after the last complete epoch. With
            tensors, on the CPU, the weights at the end are those of a training that was never
            interrupted, bit for bit. With a DataLoader the order is that of such a training, too;
            what its workers choose at random is not.

    Raises:
        ParameterError: a number is out of range, there are more processes than samples in a batch,
            nothing tells which samples are hard, or no training can use the network, the optimiser,
            a batch, or a metric.
        CheckpointError: `checkpoint` is unreadable, or that of another training.
        DistributedError: the processes have loaded different data.

    Source: L. N. Smith and N. Topin, Super-Convergence (2018), for the one-cycle schedule.
    """
    _check(train_data, test_data, hard_epochs, hard_part, epochs=epochs, batch_size=batch_size)
    _check_network(network, make_optimizer)
    device = best_device() if device is None else device
    with join_processes(device) as processes, using_threads(threads):
        generator = torch.Generator().manual_seed(seed)
        batches = batches_of(train_data, batch_size, generator, seed, device, processes)
        _move(network, device)
        optimizer = make_optimizer(network.parameters(), lr=peak_learning_rate)
        hard_samples = max(batches.size, round(hard_part * batches.samples))
        steps = [len(batches)] * epochs + [hard_samples // batches.size] * hard_epochs
        peaks = [group["lr"] for group in optimizer.param_groups]
        settings: dict[str, str | int | float] = {
            "data": f"{batches.samples} samples", "epochs": epochs, "hard_epochs": hard_epochs,
            "hard_part": hard_part, "batch_size": batches.size,
            "peak_learning_rate": peak_learning_rate, "optimizer": _name(make_optimizer),
            "seed": seed, "transform": _name(transform),
        }  # fmt: skip
        last = torch.zeros(batches.samples if hard_epochs else 0, device=device)  # of each sample
        state = TrainingState(network, optimizer, generator, last, settings)
        if resume and checkpoint is not None:
            state.restore(checkpoint, processes)
        averaged = processes.averaging(network)
        with progress_bar(steps, len(state.results), processes) as bar:
            for epoch in range(len(state.results), len(steps)):
                # As with flash cards: when all have been seen, those once more that it knows least.
                hardest = last.argsort(descending=True, stable=True)[:hard_samples]
                among = hardest if epoch >= epochs else None
                rates = _rates(peaks, sum(steps[:epoch]), sum(steps))
                shares = batches.of_epoch(epoch, among)
                total, new = _learn(averaged, optimizer, shares, rates, loss, transform, last, bar)
                if hard_epochs:  # each process knows the losses of its share
                    last += processes.sum(new - last)
                processes.average_buffers(network)
                score = evaluate(network, test_data, total / steps[epoch], loss, metrics, processes)
                state.results.append(score)
                if checkpoint is not None and processes.local_rank == 0:  # of each machine
                    state.save(checkpoint)
                _report(state.results, len(steps), writer, bar, checkpoint, processes)
        return state.results


def _check(
    train_data: Data, test_data: Data, hard_epochs: int, hard_part: float, **at_least_1: int
) -> None:
    """Raise ParameterError for data or settings that no training can use."""
    for data, purpose in ((train_data, "learn from"), (test_data, "test on")):
        if isinstance(data, DataLoader):
            least = (data.batch_size or 1) if data.drop_last and purpose == "test on" else 1
            if isinstance(data.dataset, Sized) and len(data.dataset) < least:
                raise ParameterError(f"There is nothing to {purpose}: the DataLoader has no batch.")
        elif not all(isinstance(part, Tensor) for part in data):
            raise ParameterError("Give inputs and targets as two tensors, or a DataLoader.")
        elif not 0 < len(data[0]) == len(data[1]):
            found = f"{len(data[0])} inputs and {len(data[1])} targets"
            raise ParameterError(f"There are {found} to {purpose}: give one for each.")
    if min(at_least_1.values()) < 1:
        named = " and ".join(f"{name} = {value}" for name, value in at_least_1.items())
        raise ParameterError(f"{named} must be at least 1.")
    if hard_epochs and isinstance(train_data, DataLoader):
        raise ParameterError("A DataLoader does not say which samples are hard: give tensors.")
    if hard_epochs < 0 or not 0 < hard_part <= 1:
        ends = f"hard_epochs = {hard_epochs} must be at least 0, and hard_part = {hard_part}"
        raise ParameterError(f"{ends} above 0 and at most 1.")


def _check_network(network: nn.Module, make_optimizer: MakeOptimizer) -> None:
    """Raise ParameterError for a network or an optimiser that no training can use."""
    weights = list(network.parameters())
    if any(is_lazy(one) for one in [*weights, *network.buffers()]):
        raise ParameterError("The network has lazy layers: call it once on some inputs first.")
    if not any(weight.requires_grad for weight in weights):
        raise ParameterError("The network has no weights that can change.")
    if getattr(make_optimizer, "func", make_optimizer) is torch.optim.LBFGS:
        raise ParameterError("LBFGS wants the loss several times a step: take another optimiser.")


def _learn(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    rates: Iterator[list[float]],
    loss: Loss,
    transform: Transform | None,
    last_losses: Tensor,
    bar: tqdm[None],
) -> tuple[Tensor, Tensor]:
    """Take a step for each batch, at the next rates; return the sum of their mean losses.

    `last_losses` has the loss of each sample, shape (N,), or none if they are not needed; those of
    these samples are new in what is returned with the sum.
    """
    network.train()
    total, noted = torch.zeros((), device=last_losses.device), last_losses.clone()
    for (which, inputs, targets), rate in zip(batches, rates, strict=False):
        for group, value in zip(optimizer.param_groups, rate, strict=True):
            group["lr"] = value
        changed = inputs if transform is None else transform(inputs)
        losses = loss_of(loss, outputs_of(network, changed), targets)
        mean_loss = losses.mean()
        if len(noted):
            noted[which] = _of_each(losses, which)
        optimizer.zero_grad()
        mean_loss.backward()
        optimizer.step()
        total += mean_loss.detach()
        bar.update()
    return total, noted


def _move(network: nn.Module, device: torch.device) -> None:
    """Move a network to a device; with the colours last, as convolutions of images like it."""
    is_flat = all(weight.ndim < 5 for weight in [*network.parameters(), *network.buffers()])
    network.to(device, memory_format=torch.channels_last if is_flat else torch.preserve_format)


def _rates(peaks: Sequence[float], done: int, steps: int) -> Iterator[list[float]]:
    """Yield the learning rate of each group of weights for each step from `done` on."""
    for step in count(done):
        yield [peak * _one_cycle(step / steps) for peak in peaks]


def _one_cycle(done: float) -> float:
    """Return how much of the peak learning rate to take after so much of the training, 0 to 1."""
    return max(0.01, min(0.04 + 0.96 * done / WARM_UP, (1 - done) / (1 - WARM_UP)))


def _of_each(losses: Tensor, which: Tensor) -> Tensor:
    """Return the loss of each sample of a batch, shape (B,)."""
    if losses.ndim == 0 or len(losses) != len(which):
        raise ParameterError('hard_epochs needs the loss of each sample: give it reduction="none".')
    return losses.detach().reshape(len(which), -1).mean(dim=1)


def _name(function: object) -> str:
    """Return what a function is called, the same in every process."""
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(function))


def write_overview(writer: SummaryWriter, network: nn.Module, samples: Samples) -> None:
    """Write forty of the images and the graph of the network, for TensorBoard."""
    images = samples[:40].inputs
    writer.add_images("samples", images)
    with warnings.catch_warnings():
        # TensorBoard's graphs are drawn from torch.jit.trace, which warns that it is an old one.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        writer.add_graph(network, images[:1])


def _report(
    results: Sequence[EpochResult],
    epochs: int,
    writer: SummaryWriter | None,
    bar: tqdm[None],
    checkpoint: Path | None,
    processes: Processes,
) -> None:
    """Print one line about the last epoch; write its scalars, and metrics.jsonl for `lab`."""
    if not processes.is_first:
        return
    epoch, result = len(results), results[-1]
    metrics = "".join(f", {name} {value:.3f}" for name, value in result.metrics.items())
    bar.write(
        f"epoch {epoch:2} of {epochs}: train loss {result.train_loss:.3f}, "
        f"test loss {result.test_loss:.3f}{metrics}",
        file=sys.stdout,
    )
    if writer is not None:
        scalars = {"loss/train": result.train_loss, "loss/test": result.test_loss}
        for name, value in {**scalars, **result.metrics}.items():
            writer.add_scalar(name, value, epoch)
    if checkpoint is not None:
        lines = [
            {"epoch": number, "train_loss": one.train_loss, "test_loss": one.test_loss}
            | dict(one.metrics)
            for number, one in enumerate(results, start=1)
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        checkpoint.with_name("metrics.jsonl").write_text(text, "utf-8")
