"""One process or many: which of them this one is, and what they tell each other.

torchrun starts the same lab in several processes, on one machine or on many. They are numbered by
their *rank*; rank 0 alone shows progress and writes results. Without torchrun everything here
means a world of one process, whose rank is 0.

Source: the environment variables that torchrun sets, https://docs.pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .runs import LabError

__all__ = ["DistributedError", "Processes", "best_device", "join_processes"]

# A process may come late, because it fetches the data, say. Once all are there they work in step,
# so one that does not answer for long is lost, and a restart goes on from the last checkpoint.
TIME_TO_GATHER = timedelta(minutes=10)
TIME_TO_ANSWER = timedelta(seconds=10)

Value = TypeVar("Value")


class DistributedError(LabError):
    """The processes of a training cannot work together."""


def best_device() -> torch.device:
    """Return this process's accelerator (CUDA, Apple's mps, ...), or the CPU.

    Of several GPUs on a machine each of its processes gets one of its own.

    Raises:
        DistributedError: there are more processes on this machine than it has GPUs.
    """
    # A build for CUDA names CUDA as its accelerator also where there is no GPU.
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return torch.device("cpu")
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if "LOCAL_WORLD_SIZE" not in os.environ:
        return accelerator
    if accelerator.type != "cuda":
        return torch.device("cpu")  # only CUDA and the CPU can average gradients
    devices = torch.accelerator.device_count()
    if local_processes > devices:
        raise DistributedError(
            f"{local_processes} processes on this machine, which has {devices} GPUs. "
            f"Start at most so many: --nproc-per-node {devices}"
        )
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.accelerator.set_device_index(device)
    return device


@dataclass(frozen=True)
class Processes:
    """The processes that train one network together, seen from one of them.

    Attributes:
        rank: the number of this process, from 0.
        count: how many there are, the world size.
        local_rank: the number of this process among those on its machine, from 0.
        group: what they exchange gradients through; None for a single process.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that shows progress and writes results."""
        return self.rank == 0

    @property
    def is_first_here(self) -> bool:
        """Whether this is the first process of its machine."""
        return self.local_rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch (B, ...): shape (B // count, ...).

        The parts of two processes have nothing in common; what cannot be shared out is left.
        """
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size]

    def averaging(self, network: nn.Module) -> nn.Module:
        """Return `network` so wrapped that backward() averages the gradients of all processes."""
        if self.group is None:
            return network
        with warnings.catch_warnings():
            # broadcast_buffers has a new name, which the oldest torch supported does not know.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                network,
                process_group=self.group,
                broadcast_buffers=False,  # average_buffers() once an epoch does instead
                gradient_as_bucket_view=True,
            )

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes of a tensor that has the same shape in each."""
        if self.group is not None:
            dist.all_reduce(values, group=self.group)
        return values

    def average_buffers(self, network: nn.Module) -> None:
        """Give every process the mean of the network's floating-point buffers, in place."""
        for buffer in network.buffers():
            if buffer.is_floating_point():
                self.sum(buffer).div_(self.count)

    def newest(self, value: Value, *, age: int) -> Value:
        """Return the `value` of the process whose `age` is highest, which all then have."""
        if self.group is None:
            return value
        ages = self.gather(age)
        box = [value]
        dist.broadcast_object_list(box, src=ages.index(max(ages)))
        return box[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the `value` of every process, in the order of their ranks."""
        if self.group is None:
            return [value]
        values: list[Value] = [value] * self.count
        dist.all_gather_object(values, value)
        return values


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the other processes that torchrun has started, for as long as the context lasts.

    Args:
        device: where this process computes: a GPU of its own, or the CPU.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Processes()
        return
    # What is on the CPU, such as a checkpoint, takes gloo; NCCL is for what is on GPUs.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend,
        store=_store(),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=TIME_TO_GATHER,
    )
    try:
        dist.barrier()
        yield Processes(
            rank=dist.get_rank(),
            count=dist.get_world_size(),
            local_rank=int(os.environ["LOCAL_RANK"]),
            group=dist.new_group(backend=backend, timeout=TIME_TO_ANSWER),
        )
    finally:
        dist.destroy_process_group()


def _store() -> dist.Store | None:
    """Return the store through which the ranks find each other; None where torchrun keeps it."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return None
    # Left to itself, rank 0 would listen on every network that its machine is in.
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    is_first = os.environ["RANK"] == "0"
    listening = socket.create_server((address, port)) if is_first else None
    return dist.TCPStore(
        address,
        port,
        is_master=is_first,
        timeout=TIME_TO_GATHER,
        master_listen_fd=None if listening is None else listening.detach(),
    )
