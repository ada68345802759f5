"""What a trained network gets right and wrong: predictions, confusion matrix, mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from .data import Samples

__all__ = [
    "EpochResult",
    "confusion_matrix",
    "describe_confusions",
    "most_confused",
    "predict",
    "predict_logits",
    "rank_mistakes",
]

BATCH_SIZE = 250  # images at a time: few enough for a processor to keep their numbers at hand


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the training images achieved: mean cross-entropies in nats, and accuracy.

    Both losses are means, over the epoch's batches and over the test images after the epoch;
    `accuracy` is the part of the test images that are classified correctly, from 0 to 1.
    """

    train_loss: float
    test_loss: float
    accuracy: float


def predict_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return the network's raw outputs.

    Args:
        network: maps images (N, 1, 28, 28) to logits (N, C); it is put into evaluation mode.
        images: shape (N, 1, 28, 28), on any device.

    Returns:
        Logits, float32, shape (N, C), on the network's device.
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        return torch.cat([network(part.to(device)).float() for part in images.split(BATCH_SIZE)])


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """Return the probability that the network gives each class for each image.

    Returns:
        Probabilities from 0 to 1, rows summing to 1, float32, shape (N, C), on the CPU.
    """
    return predict_logits(network, images).softmax(dim=1).cpu()


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


def describe_confusions(confusions: list[tuple[int, int, int]]) -> str:
    """Say in words which classes were read as which, one line a pair."""
    if not confusions:
        return "Nothing was confused."
    return "\n".join(
        f"{known} was read as {predicted}: {'once' if count == 1 else f'{count} times'}"
        for known, predicted, count in confusions
    )


def rank_mistakes(samples: Samples, probabilities: Tensor) -> pd.DataFrame:
    """Return all misclassified samples, the most doubtful *label* first.

    A label is doubtful when the network finds it improbable and something else probable: the doubt
    is the predicted class's probability less the known class's, from 0 to 1. Where it is near 1 the
    label itself may be wrong, so that is where a person should look first.

    Args:
        samples: N samples with their known labels.
        probabilities: from `predict`, shape (N, C).

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
            "known": labels[wrong].numpy(),
            "predicted": predicted[wrong].numpy(),
            "confidence": confidence[wrong].numpy().round(4),
            "doubt": (confidence - given)[wrong].numpy().round(4),
            "verdict": "",
        }
    )
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
