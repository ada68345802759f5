"""What the loop of a training calls: its batches, the device, the precision and a bar.

Batches are of tensors or of a DataLoader; under torchrun each process gets its share of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, SequentialSampler
from tqdm import tqdm

from .distributed import DistributedError, Processes
from .runs import ParameterError, is_watched

__all__ = [
    "Batch",
    "Batches",
    "Data",
    "Pair",
    "batches_of",
    "best_device",
    "has_own_order",
    "mixed_precision",
    "outputs_of",
    "pair_in",
    "progress_bar",
    "to_network",
    "unfit",
    "using_threads",
]

Pair: TypeAlias = tuple[Tensor, Tensor]
Data: TypeAlias = Pair | DataLoader[Pair]
"""Inputs (N, ...) and targets (N, ...), or a DataLoader whose batches are such pairs."""
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""The numbers of the samples (B,), which a DataLoader does not tell (0,), inputs, and targets."""


class Batches(Protocol):
    """The source of a training's steps."""

    samples: int  # of one pass
    size: int  # samples of a batch, of all processes together

    def __len__(self) -> int:
        """Return how many batches one pass has."""

    def of_epoch(self, epoch: int, among: Tensor | None = None) -> Iterator[Batch]:
        """Yield this process's share of every batch, on the device; `epoch` counts from 0.

        With `among`, the numbers of some samples, of these only.
        """


def batches_of(
    data: Data,
    batch_size: int,
    generator: torch.Generator,
    seed: int,
    device: torch.device,
    processes: Processes,
) -> Batches:
    """Return the batches of `data`, in an order that depends on the generator, or on the seed.

    Raises ParameterError when a batch has fewer samples than there are processes, or when the order
    of a DataLoader is its owner's and there are several; DistributedError when they have different
    data.
    """
    batches: Batches
    if isinstance(data, DataLoader):
        batches = _LoaderBatches(data, seed, device, processes)
    else:
        batches = _TensorBatches(data, batch_size, generator, device, processes)
    numbers = processes.gather(batches.samples)
    if len(set(numbers)) > 1:
        found = ", ".join(f"{number} samples" for number in sorted(set(numbers)))
        raise DistributedError(f"The processes have loaded different data: {found}.")
    if batches.size < processes.count:
        raise ParameterError(
            f"batch_size = {batches.size} is too small for {processes.count} processes."
        )
    return batches


def has_own_order(loader: DataLoader[Pair]) -> bool:
    """Return whether a sampler of its owner's chooses the samples, which no other may replace."""
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler) and loader.batch_size:
        return sampler.replacement or sampler.num_samples != len(sampler.data_source)
    return not loader.batch_size or not isinstance(sampler, SequentialSampler)


def to_network(inputs: Tensor, device: torch.device) -> Tensor:
    """Return inputs on the device; bytes become numbers from 0 to 1."""
    there = inputs.to(device, non_blocking=True)
    if there.dtype == torch.uint8:
        there = there.float().div_(255)
    return there.contiguous(memory_format=torch.channels_last) if there.ndim == 4 else there


def outputs_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return what a network makes of inputs (B, ...), as float32."""
    try:
        with mixed_precision(inputs.device):
            outputs = network(inputs)
    except (RuntimeError, ValueError) as error:
        advice = "Take a larger batch_size, or a DataLoader with drop_last=True."
        if "per channel" not in str(error):  # BatchNorm's
            if inputs.dtype == torch.float32 or "type" not in str(error):
                raise  # the network's own
            advice = "Most networks take float32: inputs.float()"
        raise unfit("network", error, advice, inputs=inputs) from error
    if not isinstance(outputs, Tensor):
        kind = type(outputs).__name__
        raise ParameterError(f"The network must return a tensor of outputs (B, ...), not a {kind}.")
    return outputs.float()


def unfit(what: str, reason: object, advice: str, **given: Tensor) -> ParameterError:
    """Return the error for tensors that a network or a loss cannot take."""
    facts = [f"{name} {str(one.dtype)[6:]} {tuple(one.shape)}" for name, one in given.items()]
    named, said = " and ".join(facts), str(reason).partition("\n")[0].partition(". ")[0].rstrip(".")
    return ParameterError(f"The {what} cannot take {named}: {said}. {advice}")


def pair_in(batch: object) -> Pair:
    """Return the inputs and targets of a DataLoader's batch."""
    match batch:
        case [Tensor() as inputs, Tensor() as targets] if targets.ndim:
            return inputs, targets
    raise ParameterError(
        "A batch of a DataLoader must be a pair of tensors, inputs (B, ...) and targets (B, ...)."
    )


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
            f"Each process needs a GPU of its own: {here} were started, and this machine has "
            f"{devices}. Start at most that many: --nproc-per-node {devices}"
        )
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.accelerator.set_device_index(device)
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Compute convolutions in bfloat16 where the hardware has instructions for it."""
    # Not every version of torch tells what a processor can do.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    on_cpu = capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False)
    enabled = device.type == "cuda" or (device.type == "cpu" and on_cpu)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Compute with so many threads on the CPU while the context lasts, with as many if None."""
    before = torch.get_num_threads()
    if threads is not None and threads < 1:
        raise ParameterError(f"threads = {threads} must be at least 1.")
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def progress_bar(steps: Sequence[int], done: int, processes: Processes) -> tqdm[None]:
    """Return a bar for so many steps in each epoch, of which the first ones are done.

    It is of text and needs no widgets, for VS Code, Jupyter and a terminal. Output that goes to a
    file gets none, only the lines that are written beside it.
    """
    return tqdm(
        total=sum(steps),
        initial=sum(steps[:done]),
        unit=" steps",
        file=sys.stdout,
        disable=not (is_watched() and processes.is_first),
        leave=False,
        ncols=65,
    )


class _TensorBatches:
    """Batches of tensors. Numbers move to the device once; bytes, which may be many, by batch."""

    def __init__(
        self,
        data: Pair,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        processes: Processes,
    ) -> None:
        inputs, targets = data
        self.samples, self.size = len(inputs), min(batch_size, len(inputs))
        self._inputs = inputs if inputs.dtype == torch.uint8 else to_network(inputs, device)
        self._targets = targets.to(device)
        self._generator, self._device, self._processes = generator, device, processes

    def __len__(self) -> int:
        return self.samples // self.size  # also after a restart with fewer processes

    def of_epoch(self, epoch: int, among: Tensor | None = None) -> Iterator[Batch]:
        """Yield this process's part of every batch; all processes shuffle alike."""
        samples = self.samples if among is None else len(among)
        order = torch.randperm(samples, generator=self._generator)
        order = order if among is None else among.cpu()[order]
        for start in range(0, samples // self.size * self.size, self.size):
            share = self._processes.share(order[start : start + self.size])
            which = share.to(self._device)
            inputs = self._inputs[share.to(self._inputs.device)]
            yield which, to_network(inputs, self._device), self._targets[which]


class _LoaderBatches:
    """The batches of a DataLoader; under torchrun with a sampler of ours, which shares them."""

    def __init__(
        self, loader: DataLoader[Pair], seed: int, device: torch.device, processes: Processes
    ) -> None:
        if not isinstance(loader.dataset, Sized) or not len(loader.dataset):
            raise ParameterError("A DataLoader must have a dataset with a length, and not of 0.")
        self.samples = len(loader.dataset)
        self.size = min(loader.batch_size or 1, self.samples)
        self._device, self._sampler = device, None
        if not has_own_order(loader):
            self._sampler = DistributedSampler(
                loader.dataset,
                processes.count,
                processes.rank,
                shuffle=isinstance(loader.sampler, RandomSampler),
                seed=seed,
                drop_last=True,
            )
            loader = _with_sampler(loader, self._sampler, self.size // processes.count)
        elif processes.count > 1:
            raise ParameterError(
                "A DataLoader with a sampler of its own cannot be shared by several processes. "
                "Remove the sampler, or train in one process."
            )
        if not len(loader):
            raise ParameterError("There is nothing to learn from: the DataLoader has no batch.")
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def of_epoch(self, epoch: int, among: Tensor | None = None) -> Iterator[Batch]:
        """Yield the batches in an order that depends only on the seed and the epoch."""
        unknown = torch.empty(0, dtype=torch.int64)
        if self._sampler is not None:
            self._sampler.set_epoch(epoch)
        for inputs, targets in map(pair_in, self._loader):
            yield unknown, to_network(inputs, self._device), targets.to(self._device)


def _with_sampler(
    loader: DataLoader[Pair], sampler: DistributedSampler[Pair], batch_size: int
) -> DataLoader[Pair]:
    """Return the same loader with another sampler and batch size, less the last, smaller batch."""
    return DataLoader(
        loader.dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=True,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
