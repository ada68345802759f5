"""A node as a line for people, and as `--json` prints it; docs/contract.md lists the keys."""

from __future__ import annotations

from collections.abc import Iterator

from ..jobs.document import job_document
from ..jobs.slurm_messages import ending, waiting
from .state import Node, left_in_words

__all__ = ["about_node", "node_document"]


def about_node(node: Node) -> str:
    """Return what is to be said of a node, in one line."""
    return ", ".join(_about(node))


def _about(node: Node) -> Iterator[str]:
    job, slurm = node.job, node.job.slurm
    yield f"job {node.number}" if node.number else "no job"
    if job.state == "queued":
        reason = waiting(slurm) if slurm is not None and slurm.reason else ""
        yield f"in the queue: {reason}" if reason else "in the queue"
        if node.place is not None:
            yield f"number {node.place[0]} of {node.place[1]}"
    elif job.is_over:
        why = "" if slurm is None else ending(slurm)
        why = "it was unused" if node.word == "idle" else why
        yield f"ended: {why}" if why else "ended"
    elif job.state == "unknown":
        yield "Slurm does not answer"
    else:
        yield node.host or "starting"
        yield left_in_words(node)


def node_document(node: Node) -> dict[str, object]:
    """Return a node as an object of JSON. What is not known is null."""
    begins = None if node.begins is None else node.begins.astimezone()
    return {
        "name": node.name,
        "host": node.host or None,
        "is_ready": node.is_ready,
        "seconds_left": None if node.left is None else int(node.left.total_seconds()),
        "begins": None if begins is None else begins.isoformat(timespec="seconds"),
        "place": None if node.place is None else {"number": node.place[0], "of": node.place[1]},
        "job": job_document(node.job),
    }
