"""Training a network: `fit()`, in one process or, under torchrun, in many."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from .checkpoints import TrainingState
from .data import DigitData, Samples
from .distributed import DistributedError, Processes, join_processes
from .evaluation import EpochResult, predict_logits
from .runs import ParameterError, is_watched

__all__ = ["EpochResult", "best_device", "fit", "write_overview"]

MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
LABEL_SMOOTHING = 0.1  # how much of the certainty goes to the other classes: tempers large steps
WARM_UP = 0.25  # the part of the training in which the learning rate rises to its peak


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
    shift: int = 0,
    device: torch.device | None = None,
    writer: SummaryWriter | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> list[EpochResult]:
    """Train `network` in place on `data.train` and test it on `data.test` after every epoch.

    Stochastic gradient descent with momentum; the learning rate follows one cycle, up to
    `peak_learning_rate` and down to almost nothing. On the CPU the result depends on the seed only.

    Under torchrun, each process takes its share of every batch, without overlap, and the gradients
    are averaged, so that many processes take the same steps as one would. Each returns the same
    results, and the same weights.

    Args:
        network: maps images (N, 1, 28, 28) to one logit per class (N, 10).
        epochs: passes over the training images, at least 1.
        batch_size: images per step, of all processes together: each takes as many of them. The
            last, smaller batch of an epoch is left out.
        seed: what the order of the images depends on.
        shift: how many pixels the images of a batch may be moved, all alike, in each direction.
        device: where to train; `best_device()` unless given.
        writer: receives the scalars loss/train, loss/test and accuracy of every epoch.
        checkpoint: the file that keeps the state of the training after every epoch.
        resume: continue from `checkpoint` if it is there. On the CPU the weights at the end are
            those of a training that was never interrupted, bit for bit.

    Raises:
        ParameterError: `epochs` or `batch_size` is not positive, `shift` is negative, or there are
            more processes than images in a batch.
        CheckpointError: `checkpoint` is unreadable, or that of another training.
        DistributedError: the processes have loaded different data.

    Source: L. N. Smith and N. Topin, Super-Convergence (2018), for the one-cycle schedule;
    C. Szegedy et al., Rethinking the Inception Architecture (2016), for label smoothing.
    """
    if epochs < 1 or batch_size < 1:
        raise ParameterError(f"epochs = {epochs} and batch_size = {batch_size} must be at least 1.")
    if not 0 <= shift < min(data.train.images.shape[2:]):
        raise ParameterError(f"shift = {shift} must be between 0 and the size of an image.")
    device = best_device() if device is None else device
    settings: dict[str, str | int | float] = {
        "data": f"{data.name}, {len(data.train)} images",
        "epochs": epochs,
        "batch_size": batch_size,
        "peak_learning_rate": peak_learning_rate,
        "seed": seed,
        "shift": shift,
    }
    with join_processes(device) as processes:
        _check_same_data(data, processes)
        network.to(device, memory_format=torch.channels_last)
        train = _on_device(data.train, device)
        test = _on_device(_every_nth(data.test, processes), device)
        batch_size = min(batch_size, len(train))
        steps = len(train) // batch_size  # also after a restart with fewer processes
        if batch_size < processes.count:
            raise ParameterError(
                f"batch_size = {batch_size} is too small for {processes.count} processes."
            )
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
        state = TrainingState(
            network, optimizer, schedule, torch.Generator().manual_seed(seed), settings
        )
        if resume and checkpoint is not None:
            state.restore(checkpoint, processes)
        replica = processes.averaging(network)
        with _progress_bar(epochs * steps, len(state.results) * steps, processes) as bar:
            while len(state.results) < epochs:
                network.train()
                total_loss = torch.zeros((), device=device)
                # All processes shuffle alike, and each takes another part of every batch.
                for numbers in _shuffled_batches(len(train), batch_size, state.generator):
                    chosen = processes.share(numbers).to(device)
                    batch = _chosen(train, chosen, shift, state.generator)
                    total_loss += _step(replica, optimizer, batch)
                    schedule.step()
                    bar.update()
                processes.average_buffers(network)
                state.results.append(_test(network, test, total_loss / steps, processes))
                if checkpoint is not None and processes.local_rank == 0:  # of each machine
                    state.save(checkpoint)
                if processes.is_first:
                    _report(state.results, epochs, writer=writer, bar=bar)
        return state.results


def best_device() -> torch.device:
    """Return this process's accelerator (CUDA, Apple's mps, ...), or the CPU.

    Of several GPUs on a machine each of its processes gets one of its own. Raises DistributedError
    when there are more processes on this machine than it has GPUs.
    """
    # A build for CUDA names CUDA as its accelerator also where there is no GPU.
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    here = os.environ.get("LOCAL_WORLD_SIZE")  # set by torchrun
    if accelerator is None or (here and accelerator.type != "cuda"):
        return torch.device("cpu")  # of several processes, only CUDA and the CPU can average
    if not here:
        return accelerator
    devices = torch.accelerator.device_count()
    if int(here) > devices:
        raise DistributedError(
            f"{here} processes on this machine, which has {devices} GPUs. "
            f"Start at most that many: --nproc-per-node {devices}"
        )
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.accelerator.set_device_index(device)
    return device


def _chosen(train: Samples, chosen: Tensor, shift: int, generator: torch.Generator) -> Samples:
    """Return the chosen samples, their images moved by up to `shift` pixels, all alike."""
    images = train.images[chosen]  # (B, 1, H, W)
    if shift:
        height, width = images.shape[2:]
        down, right = torch.randint(0, 2 * shift + 1, (2,), generator=generator).tolist()
        images = F.pad(images, [shift] * 4)[..., down : down + height, right : right + width]
    return Samples(images, train.labels[chosen], chosen)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Samples) -> Tensor:
    """Take one step on a batch, and return its mean cross-entropy before it."""
    with _mixed_precision(batch.images.device):
        logits = network(batch.images)  # (B, 10)
    loss = F.cross_entropy(logits.float(), batch.labels, label_smoothing=LABEL_SMOOTHING)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return F.cross_entropy(logits.detach().float(), batch.labels)


def _check_same_data(data: DigitData, processes: Processes) -> None:
    """Raise DistributedError unless all processes have loaded the same data set."""
    sets = processes.gather(f"{data.name} ({len(data.train)} images)")
    if len(set(sets)) > 1:
        raise DistributedError(
            f"The processes have loaded different data: {', '.join(sorted(set(sets)))}. "
            "Name one that all of them have: -p dataset digits"
        )


def _every_nth(samples: Samples, processes: Processes) -> Samples:
    """Return the part of the samples that this process tests the network on."""
    part = slice(processes.rank, None, processes.count)
    return Samples(samples.images[part], samples.labels[part], samples.indices[part])


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
    """Compute convolutions in bfloat16 where the hardware has instructions for it."""
    # Not every version of torch tells what a processor can do.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    on_cpu = capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False)
    enabled = device.type == "cuda" or (device.type == "cpu" and on_cpu)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def _test(
    network: nn.Module, test: Samples, train_loss: Tensor, processes: Processes
) -> EpochResult:
    """Test the network on this process's share, and return what all processes found together."""
    logits = predict_logits(network, test.images)
    loss = F.cross_entropy(logits, test.labels, reduction="sum")
    correct = (logits.argmax(dim=1) == test.labels).sum()
    tested = torch.tensor(len(test), device=loss.device)
    sums = processes.sum(torch.stack([train_loss, loss, correct.float(), tested.float()]))
    train_sum, loss_sum, correct_sum, tested_sum = sums.tolist()
    return EpochResult(
        train_loss=train_sum / processes.count,
        test_loss=loss_sum / tested_sum,
        accuracy=correct_sum / tested_sum,
    )


def _report(
    results: list[EpochResult], epochs: int, *, writer: SummaryWriter | None, bar: tqdm[None]
) -> None:
    """Print one line about the last epoch, and write its scalars for TensorBoard."""
    epoch, result = len(results), results[-1]
    bar.write(
        f"epoch {epoch:2} of {epochs}: train loss {result.train_loss:.4f}, "
        f"test loss {result.test_loss:.4f}, accuracy {result.accuracy:.2%}",
        file=sys.stdout,
    )
    if writer is not None:
        writer.add_scalar("loss/train", result.train_loss, epoch)
        writer.add_scalar("loss/test", result.test_loss, epoch)
        writer.add_scalar("accuracy", result.accuracy, epoch)


def _progress_bar(total: int, done: int, processes: Processes) -> tqdm[None]:
    """Return a bar of text, which needs no widgets: for VS Code, Jupyter and a terminal.

    Output that goes to a file gets no bar, only the lines that are written beside it.
    """
    return tqdm(
        total=total,
        initial=done,
        unit=" steps",
        file=sys.stdout,
        disable=not (is_watched() and processes.is_first),
        leave=False,
        ncols=80,
    )
