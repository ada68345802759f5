"""One process or many: which of them this one is, and what they tell each other.

torchrun numbers the processes of a lab by their *rank*; without it there is one, of rank 0.
Source: https://docs.pytorch.org/docs/stable/elastic/run.html
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

__all__ = ["DistributedError", "Processes", "join_processes"]

TIME_TO_GATHER = timedelta(minutes=10)  # a process may come late, because it fetches the data, say
TIME_TO_ANSWER = timedelta(seconds=10)  # then all work in step: one that is silent is lost
Value = TypeVar("Value")


class DistributedError(LabError):
    """The processes of a training cannot work together."""


@dataclass(frozen=True)
class Processes:
    """The processes that train one network together, seen from one of them."""

    rank: int = 0
    count: int = 1  # the world size
    local_rank: int = 0  # its number on its own machine
    group: dist.ProcessGroup | None = None  # exchanges gradients; a single process has none

    @property
    def is_first(self) -> bool:
        """Whether this is the process that shows progress and writes results."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's own part of a batch (B, ...): shape (B // count, ...)."""
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size]

    def averaging(self, network: nn.Module) -> nn.Module:
        """Return `network` so wrapped that backward() averages the gradients of all processes."""
        if self.group is None:
            return network
        # broadcast_buffers has a new name, which the oldest torch supported does not know.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            options = {"broadcast_buffers": False, "gradient_as_bucket_view": True}
            return DistributedDataParallel(network, process_group=self.group, **options)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes of a tensor that has the same shape in each."""
        if self.group is not None:
            dist.all_reduce(values, group=self.group)
        return values

    def average_buffers(self, network: nn.Module) -> None:
        """Give every process the mean of the network's floating-point buffers, in place."""
        for buffer in filter(torch.is_floating_point, network.buffers()):
            self.sum(buffer).div_(self.count)

    def newest(self, value: Value, *, age: int) -> Value:
        """Return the `value` of the process whose `age` is highest, which all then have."""
        ages, box = self.gather(age), [value]
        if self.group is not None:
            dist.broadcast_object_list(box, src=ages.index(max(ages)))
        return box[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the `value` of every process, in the order of their ranks."""
        values = [value] * self.count
        if self.group is not None:
            dist.all_gather_object(values, value)
        return values


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the others that torchrun has started while the context lasts; this one uses `device`."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Processes()
        return
    # What is on the CPU, such as a checkpoint, takes gloo; NCCL is for what is on GPUs.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = None
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # torchrun keeps no store for us
        # Left to itself, rank 0 would listen on every network that its machine is in.
        place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        listening = socket.create_server(place).detach() if rank == 0 else None
        store = dist.TCPStore(*place, None, rank == 0, TIME_TO_GATHER, master_listen_fd=listening)
    dist.init_process_group(backend, None, TIME_TO_GATHER, count, rank, store)
    try:
        dist.barrier()
        group = dist.new_group(backend=backend, timeout=TIME_TO_ANSWER)
        yield Processes(rank, count, int(os.environ["LOCAL_RANK"]), group)
    finally:
        dist.destroy_process_group()
