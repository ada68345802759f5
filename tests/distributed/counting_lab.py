"""A lab for torchrun that does nothing but count epochs together, with a checkpoint after each."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

given = dict(zip(sys.argv[2::3], sys.argv[3::3], strict=True))
epochs = int(given.get("epochs", "8"))
folder = Path(os.environ["LAB_OUTPUT_DIR"])
folder.mkdir(parents=True, exist_ok=True)
checkpoint = folder / "checkpoint.pt"

# They may begin long after each other on a busy machine; later a lost one is noticed soon.
dist.init_process_group("gloo", timeout=timedelta(seconds=60))
group = dist.new_group(timeout=timedelta(seconds=10))
rank, world = dist.get_rank(), dist.get_world_size()
done = torch.tensor(float(checkpoint.read_text()) if checkpoint.exists() else 0.0)
dist.all_reduce(done, op=dist.ReduceOp.MAX, group=group)
begin = int(done)
if rank == 0:
    print(f"{world} processes begin after epoch {begin}", flush=True)

for epoch in range(begin + 1, epochs + 1):
    total = torch.ones(1)
    dist.all_reduce(total, group=group)
    assert int(total) == world
    if given.get("fail") == str(rank):
        raise ValueError("this one cannot count")
    if os.environ["LOCAL_RANK"] == "0":
        checkpoint.write_text(str(epoch))
    if rank == 0:
        print(f"epoch {epoch}", flush=True)
    time.sleep(0.5)

if rank == 0:
    (folder / "counted.txt").write_text(f"{epochs} epochs, {world} processes")
dist.destroy_process_group()
