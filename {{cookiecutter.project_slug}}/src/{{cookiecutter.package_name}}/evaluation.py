"""What a trained network gets right and wrong: predictions, confusion matrix, mistakes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from .data import Samples
from .distributed import Processes
from .loop import Data, Pair, has_own_order, mixed_precision, outputs_of, pair_in, to_network, unfit
from .runs import ParameterError

__all__ = [
    "EpochResult",
    "Loss",
    "Metric",
    "accuracy",
    "confusion_matrix",
    "describe_confusions",
    "evaluate",
    "loss_of",
    "most_confused",
    "predict",
    "rank_mistakes",
]

BATCH_SIZE = 250  # samples at a time: few enough for a processor to keep their numbers at hand

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (B, ...) and targets (B, ...) the mean over the batch, shape (), or each loss."""
Metric: TypeAlias = Callable[[Tensor, Tensor], Tensor]
_DIFFERENCES = nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss
"""Of outputs (B, ...) and targets (B, ...) a number for each sample, shape (B,)."""


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training data achieved.

    Both losses are means, over the epoch's batches and over the test data after the epoch;
    `metrics` are means over the test data, by name.
    """

    train_loss: float
    test_loss: float
    metrics: Mapping[str, float]


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return for each sample whether its class got the highest logit: 1 or 0, shape (B,).

    Of logits (B, K, ...) and labels (B, ...), which part of the labels did. Other outputs and
    targets, of a yes or no, of several classes at once, of numbers, have no accuracy: NaN.
    """
    classes = logits.shape[1] if logits.ndim > 1 else 1
    if labels.is_floating_point() or classes == 1 or logits.numel() != labels.numel() * classes:
        return torch.full((len(labels),), torch.nan, device=labels.device)
    right = logits.argmax(dim=1).reshape(labels.shape) == labels
    return right.float().reshape(len(labels), -1).mean(dim=1)


def loss_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a batch; labels may be integers of any size."""
    if targets.dtype in (torch.int8, torch.int16, torch.int32):
        targets = targets.long()
    advice = "Give it class numbers from 0, int64 (B,), or float32 in the outputs' shape."
    if isinstance(loss, _DIFFERENCES) and outputs.ndim != targets.ndim:  # that would be (B, B)
        raise unfit("loss", "their shapes differ", advice, outputs=outputs, targets=targets)
    try:
        return loss(outputs, targets)
    except (RuntimeError, ValueError, IndexError) as error:
        if not re.search("(?i)target|scalar type|not implemented for|dtype", str(error)):
            raise  # not about what it was given
        raise unfit("loss", error, advice, outputs=outputs, targets=targets) from error


def evaluate(
    network: nn.Module,
    data: Data,
    train_loss: Tensor,
    loss: Loss,
    metrics: Mapping[str, Metric] | None,
    processes: Processes,
) -> EpochResult:
    """Test the network on this process's share, and return what all processes found together.

    Without `metrics`, that includes the accuracy if there is one.
    """
    measured = {"accuracy": accuracy} if metrics is None else metrics
    network.eval()
    device = next(network.parameters()).device
    sums = torch.zeros(len(measured) + 2, device=device)
    with torch.no_grad(), mixed_precision(device):
        for inputs, targets in _every_nth(data, processes):
            outputs, known = outputs_of(network, to_network(inputs, device)), targets.to(device)
            found = [loss_of(loss, outputs, known).mean() * len(known)]
            for name, metric in measured.items():
                values = metric(outputs, known)
                if values.numel() != len(known):
                    raise ParameterError(f"{name!r} must be a number for each sample, shape (B,).")
                found.append(values.sum())
            sums += torch.stack([*found, torch.tensor(len(known), device=device)])
    *totals, count, train_sum = processes.sum(torch.cat([sums, train_loss[None]])).tolist()
    test_loss, *means = (total / count for total in totals)
    found_means = dict(zip(measured, means, strict=True))
    if metrics is None and math.isnan(found_means["accuracy"]):
        found_means = {}
    return EpochResult(train_sum / processes.count, test_loss, found_means)


def _every_nth(data: Data, processes: Processes) -> Iterator[Pair]:
    """Yield the part of the data that this process tests the network on, in batches."""
    if isinstance(data, DataLoader):
        if processes.count == 1:
            yield from map(pair_in, data)
            return
        if has_own_order(data):
            raise ParameterError("Several processes cannot share test data with its own sampler.")
        loader = DataLoader(
            Subset(data.dataset, range(processes.rank, len(data.dataset), processes.count)),
            batch_size=data.batch_size or BATCH_SIZE,
            num_workers=data.num_workers,
            collate_fn=data.collate_fn,
        )
        yield from map(pair_in, loader)
        return
    part = slice(processes.rank, None, processes.count)
    batches = zip(*(tensor[part].split(BATCH_SIZE) for tensor in data), strict=True)
    yield from (batch for batch in batches if len(batch[0]))  # fewer samples than processes


def predict(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the probability that the network gives each class for each sample.

    Args:
        network: maps inputs (B, ...) to logits (B, K); it is put into evaluation mode.
        inputs: shape (N, ...); bytes are given to it as numbers from 0 to 1.

    Returns:
        Probabilities from 0 to 1, rows summing to 1, float32, shape (N, K), on the CPU.
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), mixed_precision(device):
        parts = [outputs_of(network, to_network(part, device)) for part in inputs.split(BATCH_SIZE)]
    return torch.cat(parts).softmax(dim=1).cpu()


def confusion_matrix(known: Tensor, predicted: Tensor, *, classes: int) -> Tensor:
    """Count how often each known class was predicted as each class.

    Args:
        known: class numbers, int64, shape (N,).
        predicted: class numbers, int64, shape (N,).
        classes: how many classes there are, C.

    Returns:
        Counts, int64, shape (C, C); row = known class, column = predicted class.
    """
    return torch.bincount(known * classes + predicted, minlength=classes**2).reshape(
        classes, classes
    )


def most_confused(matrix: Tensor, *, limit: int = 5) -> list[tuple[int, int, int]]:
    """Return the confusions that happened most often, as (known, predicted, count), most first.

    Args:
        matrix: counts as from `confusion_matrix`, shape (C, C).
        limit: how many pairs at most; pairs that were never confused are left out.
    """
    mistakes = matrix.clone().fill_diagonal_(0)
    counts, places = mistakes.flatten().sort(descending=True, stable=True)
    pairs = [divmod(place, len(matrix)) for place in places[:limit].tolist()]
    return [
        (known, predicted, count)
        for (known, predicted), count in zip(pairs, counts.tolist(), strict=False)
        if count
    ]


def describe_confusions(confusions: list[tuple[int, int, int]], classes: Sequence[str]) -> str:
    """Return in words which of the named classes were taken for which, one line a pair."""
    if not confusions:
        return "No class was taken for another."
    return "\n".join(
        f"{classes[known]} was taken for {classes[predicted]}: "
        f"{'once' if count == 1 else f'{count} times'}"
        for known, predicted, count in confusions
    )


def rank_mistakes(samples: Samples, probabilities: Tensor, classes: Sequence[str]) -> pd.DataFrame:
    """Return all misclassified samples, the most doubtful *label* first.

    A label is doubtful when the network finds it improbable and something else probable: the doubt
    is the predicted class's probability less the known class's, from 0 to 1. Where it is near 1 the
    label itself may be wrong, so that is where a person should look first.

    Args:
        samples: N samples with their known labels.
        probabilities: from `predict`, shape (N, C).
        classes: the names of the C classes, which the table has.

    Returns:
        One row a mistake: index (in the data set), position (in `samples`), known, predicted,
        confidence (probability of the predicted class), doubt, and an empty column verdict to fill
        in.

    Source: the margin of C. G. Northcutt, L. Jiang and I. L. Chuang, Confident Learning (2021).
    """
    labels = samples.labels.cpu()
    confidence, predicted = probabilities.max(dim=1)
    given = probabilities.gather(1, labels[:, None]).squeeze(1)  # probability of the known class
    wrong = (predicted != labels).nonzero().squeeze(1)
    table = pd.DataFrame(
        {
            "index": samples.indices[wrong].numpy(),
            "position": wrong.numpy(),
            "known": [classes[label] for label in labels[wrong].tolist()],
            "predicted": [classes[label] for label in predicted[wrong].tolist()],
            "confidence": confidence[wrong].numpy().round(4),
            "doubt": (confidence - given)[wrong].numpy().round(4),
            "verdict": "",
        }
    )
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
