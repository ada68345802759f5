"""Training: it learns, it is repeatable, and it refuses what makes no sense."""

import pytest
import torch
from torch import nn

from {{ cookiecutter.package_name }}.data import DigitData
from {{ cookiecutter.package_name }}.runs import ParameterError
from {{ cookiecutter.package_name }}.training import best_device, fit

CPU = torch.device("cpu")


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(128, 10)
    )


def train(
    data: DigitData, *, seed: int = 0, epochs: int = 2, shift: int = 0
) -> tuple[nn.Module, list[float]]:
    network = small_network()
    results = fit(
        network,
        data,
        epochs=epochs,
        batch_size=32,
        peak_learning_rate=0.1,
        seed=seed,
        shift=shift,
        device=CPU,
    )
    return network, [result.accuracy for result in results]


def test_training_learns(few_digits: DigitData) -> None:
    _, accuracies = train(few_digits, epochs=5)
    assert len(accuracies) == 5
    assert accuracies[-1] > 0.8


def test_same_seed_gives_the_same_weights_bit_for_bit(few_digits: DigitData) -> None:
    first, second = (train(few_digits, seed=3)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_other_weights(few_digits: DigitData) -> None:
    first, second = (train(few_digits, seed=seed)[0].state_dict() for seed in (0, 1))
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_moved_images_give_other_weights_and_the_same_ones_again(few_digits: DigitData) -> None:
    still, first, second = (
        train(few_digits, shift=shift)[0].state_dict()["0.weight"] for shift in (0, 2, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(still, first)


@pytest.mark.parametrize("shift", [-1, 28])
def test_images_cannot_be_moved_out_of_sight(few_digits: DigitData, shift: int) -> None:
    with pytest.raises(ParameterError, match=f"shift = {shift}"):
        train(few_digits, shift=shift)


def test_batch_larger_than_the_data_is_made_smaller(few_digits: DigitData) -> None:
    results = fit(
        small_network(),
        few_digits,
        epochs=1,
        batch_size=100_000,
        peak_learning_rate=0.1,
        seed=0,
        device=CPU,
    )
    assert results[0].train_loss > 0


@pytest.mark.parametrize(("epochs", "batch_size"), [(0, 32), (-1, 32), (1, 0)])
def test_training_without_an_epoch_or_a_batch_is_refused(
    few_digits: DigitData, epochs: int, batch_size: int
) -> None:
    with pytest.raises(ParameterError, match=f"epochs = {epochs} and batch_size = {batch_size}"):
        fit(
            small_network(),
            few_digits,
            epochs=epochs,
            batch_size=batch_size,
            peak_learning_rate=0.1,
            seed=0,
        )


def test_best_device_is_one_that_computes() -> None:
    assert torch.ones(2, device=best_device()).sum().item() == 2
