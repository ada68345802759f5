"""Training: it learns, it is repeatable, and what it gets wrong is found."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from {{ cookiecutter.package_name }}.data import ImageData, Samples, shift
from {{ cookiecutter.package_name }}.evaluation import (
    confusion_matrix,
    describe_confusions,
    most_confused,
    predict,
    rank_mistakes,
)
from {{ cookiecutter.package_name }}.loop import Pair
from {{ cookiecutter.package_name }}.runs import ParameterError
from {{ cookiecutter.package_name }}.training import best_device, fit

CPU = torch.device("cpu")
QUICK: dict[str, Any] = {"epochs": 1, "peak_learning_rate": 0.1, "device": CPU}
NAMES = ["oak", "ash", "elm"]


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(128, 4)
    )


def train(
    data: ImageData, *, seed: int = 0, epochs: int = 2, transform: shift | None = None
) -> tuple[nn.Module, list[float]]:
    network = small_network()
    results = fit(
        network,
        data.train.tensors,
        data.test.tensors,
        epochs=epochs,
        batch_size=32,
        peak_learning_rate=0.1,
        seed=seed,
        transform=transform,
        device=CPU,
    )
    return network, [result.metrics["accuracy"] for result in results]


def test_training_learns(few_images: ImageData) -> None:
    _, accuracies = train(few_images, epochs=5)
    assert len(accuracies) == 5
    assert accuracies[-1] > 0.8


def test_same_seed_gives_the_same_weights_bit_for_bit(few_images: ImageData) -> None:
    first, second = (train(few_images, seed=3)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_other_weights(few_images: ImageData) -> None:
    first, second = (train(few_images, seed=seed)[0].state_dict() for seed in (0, 1))
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_changed_images_give_other_weights_and_the_same_ones_again(few_images: ImageData) -> None:
    plain, first, second = (
        train(few_images, transform=transform)[0].state_dict()["0.weight"]
        for transform in (None, shift(2), shift(2))
    )
    assert torch.equal(first, second)
    assert not torch.equal(plain, first)


def test_bytes_are_learned_as_numbers_from_0_to_1(few_images: ImageData) -> None:
    images, labels = few_images.train.tensors
    pixels = (images * 255).round().byte()
    results = [
        fit(small_network(), (inputs, labels), (inputs[:50], labels[:50]), **QUICK)
        for inputs in (pixels, pixels.float() / 255)
    ]
    assert results[0] == results[1]


def test_another_loss_and_metric_are_used_for_numbers_of_any_shape() -> None:
    torch.manual_seed(0)
    inputs = torch.rand(200, 3)
    targets = inputs @ torch.tensor([[1.0], [2.0], [-1.0]])
    results = fit(
        nn.Linear(3, 1),
        (inputs, targets),
        (inputs, targets),
        **QUICK | {"epochs": 30},
        batch_size=20,
        loss=nn.MSELoss(),
        metrics={"distance": lambda outputs, known: (outputs - known).abs().squeeze(1)},
    )
    assert list(results[-1].metrics) == ["distance"]
    assert results[-1].metrics["distance"] < 0.1 < results[0].metrics["distance"]
    assert results[-1].test_loss < 0.01


def test_data_loader_is_trained_from_and_its_order_depends_on_the_seed(
    few_images: ImageData,
) -> None:
    parts = (few_images.train, few_images.test)
    weights = []
    for seed in (0, 0, 1):
        train_data, test_data = (
            DataLoader(TensorDataset(*part.tensors), batch_size=50, shuffle=True) for part in parts
        )
        network = small_network()
        (result,) = fit(network, train_data, test_data, **QUICK, seed=seed)
        assert 0 < result.metrics["accuracy"] <= 1
        weights.append(network.state_dict()["0.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_batch_larger_than_the_data_is_made_smaller(few_images: ImageData) -> None:
    train_data, test_data = few_images.train.tensors, few_images.test.tensors
    results = fit(small_network(), train_data, test_data, **QUICK, batch_size=100_000)
    assert results[0].train_loss > 0


@pytest.mark.parametrize(("epochs", "batch_size"), [(0, 32), (-1, 32), (1, 0)])
def test_training_without_an_epoch_or_a_batch_is_refused(
    few_images: ImageData, epochs: int, batch_size: int
) -> None:
    data = few_images.train.tensors
    with pytest.raises(ParameterError, match=f"epochs = {epochs} and batch_size = {batch_size}"):
        fit(small_network(), data, data, **QUICK | {"epochs": epochs, "batch_size": batch_size})


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ((torch.zeros(3, 1, 28, 28), torch.zeros(2)), "3 inputs and 2 targets"),
        ((torch.zeros(0, 1, 28, 28), torch.zeros(0)), "0 inputs and 0 targets"),
        (DataLoader(TensorDataset(torch.zeros(0, 3))), "nothing to learn from"),
    ],
)
def test_data_that_is_none_is_refused(data: DataLoader[Pair], complaint: str) -> None:
    with pytest.raises(ParameterError, match=complaint):
        fit(small_network(), data, data, **QUICK)


def test_best_device_is_one_that_computes() -> None:
    assert torch.ones(2, device=best_device()).sum().item() == 2


def samples(labels: list[int]) -> Samples:
    count = len(labels)
    # Their number in their data set is not their number here.
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
    assert "4 times" in describe_confusions([(1, 0, 4), (1, 2, 1)], NAMES)
    assert "once" in describe_confusions([(1, 0, 4), (1, 2, 1)], NAMES)
    assert describe_confusions([], NAMES) == "No class was taken for another."


def test_mistakes_are_ranked_by_doubt_about_the_label() -> None:
    probabilities = torch.tensor(
        [[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.01, 0.99, 0.0], [0.0, 0.2, 0.8], [0.6, 0.1, 0.3]]
    )
    table = rank_mistakes(samples([1, 1, 0, 2, 2]), probabilities, NAMES)
    assert table["index"].tolist() == [102, 104, 100]
    assert table["known"].tolist() == ["oak", "elm", "ash"]
    assert table["predicted"].tolist() == ["ash", "oak", "oak"]
    assert table["doubt"].tolist() == pytest.approx([0.98, 0.3, 0.2])
    assert table["verdict"].tolist() == ["", "", ""]


def test_no_mistakes_give_an_empty_table_with_the_same_columns() -> None:
    table = rank_mistakes(samples([0]), torch.tensor([[1.0, 0.0]]), NAMES)
    assert table.empty
    assert "verdict" in table.columns


def test_predictions_are_probabilities_and_leave_dropout_out() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    images: Tensor = torch.rand(2500, 1, 28, 28)
    first, second = predict(network, images), predict(network, images)
    assert first.shape == (2500, 10)
    assert torch.equal(first, second)
    assert torch.allclose(first.sum(dim=1), torch.ones(2500), atol=1e-5)
