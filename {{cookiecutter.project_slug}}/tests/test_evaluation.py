"""Predictions, confusion matrix and the ranking of mistakes, on examples small enough to check."""

import pytest
import torch
from torch import Tensor, nn

from {{ cookiecutter.package_name }}.data import Samples
from {{ cookiecutter.package_name }}.evaluation import (
    confusion_matrix,
    describe_confusions,
    most_confused,
    predict,
    rank_mistakes,
)


def samples(labels: list[int]) -> Samples:
    count = len(labels)
    # Where they stand in their data set is another number than where they stand here.
    return Samples(torch.zeros(count, 1, 28, 28), torch.tensor(labels), torch.arange(count) + 100)


def test_rows_are_known_and_columns_predicted() -> None:
    matrix = confusion_matrix(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0]), classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_most_confused_pairs_come_first_and_correct_answers_never() -> None:
    matrix = torch.tensor([[90, 1, 0], [4, 80, 2], [0, 0, 70]])
    assert most_confused(matrix, limit=2) == [(1, 0, 4), (1, 2, 2)]
    assert most_confused(matrix, limit=9) == [(1, 0, 4), (1, 2, 2), (0, 1, 1)]
    assert matrix.diagonal().tolist() == [90, 80, 70]


def test_confusions_are_told_in_words() -> None:
    assert "4 times" in describe_confusions([(1, 0, 4), (1, 2, 1)])
    assert "once" in describe_confusions([(1, 0, 4), (1, 2, 1)])
    assert describe_confusions([]) == "Nothing was confused."


def test_mistakes_are_ranked_by_doubt_about_the_label() -> None:
    probabilities = torch.tensor(
        [[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.01, 0.99, 0.0], [0.0, 0.2, 0.8], [0.6, 0.1, 0.3]]
    )
    table = rank_mistakes(samples([1, 1, 0, 2, 2]), probabilities)
    assert table["index"].tolist() == [102, 104, 100]
    assert table["known"].tolist() == [0, 2, 1]
    assert table["predicted"].tolist() == [1, 0, 0]
    assert table["doubt"].tolist() == pytest.approx([0.98, 0.3, 0.2])
    assert table["verdict"].tolist() == ["", "", ""]


def test_no_mistakes_give_an_empty_table_with_the_same_columns() -> None:
    table = rank_mistakes(samples([0]), torch.tensor([[1.0, 0.0]]))
    assert table.empty
    assert "verdict" in table.columns


def test_predictions_are_probabilities_and_leave_dropout_out() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    images: Tensor = torch.rand(2500, 1, 28, 28)
    first, second = predict(network, images), predict(network, images)
    assert first.shape == (2500, 10)
    assert torch.equal(first, second)
    assert torch.allclose(first.sum(dim=1), torch.ones(2500), atol=1e-5)
