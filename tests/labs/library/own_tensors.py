"""Tensors that do not fit are told in a sentence: what was given, why it is wrong, what to give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from handwriting_lab.data import data_directory, load_folder
from handwriting_lab.evaluation import EpochResult
from handwriting_lab.runs import ParameterError, start_run
from handwriting_lab.training import fit

ROWS = torch.rand(65, 4)
KINDS = torch.arange(65) % 3
NUMBERS = torch.rand(65)


BRIEF: Any = {"epochs": 1, "peak_learning_rate": 0.01, "device": torch.device("cpu")}


def trained(
    inputs: Tensor,
    targets: Tensor,
    loss: nn.Module | None = None,
    *,
    outputs: int = 3,
    network: nn.Module | None = None,
    batch_size: int = 128,
) -> EpochResult:
    torch.manual_seed(0)
    data, network = (inputs, targets), network or nn.Linear(4, outputs)
    loss = loss or nn.CrossEntropyLoss()
    (result,) = fit(network, data, data, loss=loss, batch_size=batch_size, **BRIEF)
    return result


@pytest.mark.parametrize("kind", [torch.int8, torch.int16, torch.int32, torch.uint8])
def test_labels_may_be_integers_of_any_size(kind: torch.dtype) -> None:
    assert trained(ROWS, KINDS.to(kind)) == trained(ROWS, KINDS)


@pytest.mark.parametrize(
    ("targets", "loss", "given"),
    [
        (KINDS > 0, nn.CrossEntropyLoss(), r"targets bool \(65,\): .*Bool"),
        (KINDS.float(), nn.CrossEntropyLoss(), r"targets float32 \(65,\): .*Float"),
        (KINDS[:, None], nn.CrossEntropyLoss(), r"targets int64 \(65, 1\): "),
        (KINDS + 1, nn.CrossEntropyLoss(), r"targets int64 \(65,\): Target 3 is out of bounds"),
        (KINDS % 2, nn.BCEWithLogitsLoss(), r"targets int64 \(65,\): "),
    ],
)
def test_targets_that_a_loss_cannot_take_are_told(
    targets: Tensor, loss: nn.Module, given: str
) -> None:
    said = rf"The loss cannot take outputs float32 \(65, 3\) and {given}.*\. Give it class numbers"
    with pytest.raises(ParameterError, match=said):
        trained(ROWS, targets, loss)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss()])
def test_numbers_of_another_shape_than_the_outputs_are_never_broadcast(loss: nn.Module) -> None:
    with pytest.raises(ParameterError, match=r"outputs float32 \(65, 1\) and targets .* \(65,\)"):
        trained(ROWS, NUMBERS, loss, outputs=1)
    assert trained(ROWS, NUMBERS[:, None], loss, outputs=1).train_loss > 0


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.float64])
def test_inputs_of_a_type_that_the_network_does_not_have_are_told(kind: torch.dtype) -> None:
    name = str(kind).removeprefix("torch.")
    with pytest.raises(ParameterError, match=rf"take inputs {name} \(65, 4\): .*inputs\.float\(\)"):
        trained(ROWS.to(kind), KINDS)


def test_mistake_in_a_network_of_ones_own_is_told_by_torch() -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        trained(ROWS, KINDS, network=nn.Linear(5, 3))


def test_batch_of_one_sample_cannot_be_normalized() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    sampler = WeightedRandomSampler([1.0] * 65, 65)
    loader = DataLoader(TensorDataset(ROWS, KINDS), batch_size=32, sampler=sampler)
    with pytest.raises(ParameterError, match=r"float32 \(1, 4\): .*Take a larger batch_size"):
        trained(ROWS, KINDS, network=network, batch_size=1)
    with pytest.raises(ParameterError, match="or a DataLoader with drop_last=True"):
        fit(network, loader, loader, **BRIEF)


@pytest.mark.parametrize("data", [(ROWS.numpy(), KINDS.numpy()), (ROWS.tolist(), KINDS.tolist())])
def test_what_is_no_tensor_is_refused(data: tuple[Any, Any]) -> None:
    with pytest.raises(ParameterError, match="Give inputs and targets as two tensors"):
        trained(*data)


@pytest.mark.parametrize("text", ["[8, 4]", "8", "[8", "{[8]: 4}"])
def test_parameter_that_is_a_list_is_given_as_one(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["lab.py", "-p", "layers", text])
    monkeypatch.setenv("LAB_OUTPUT_DIR", str(tmp_path))
    if text == "[8, 4]":
        assert start_run("lab", {"layers": [64]}).parameters.layers == [8, 4]
        return
    with pytest.raises(ParameterError, match="lab cannot set layers to"):
        start_run("lab", {"layers": [64]})


def test_home_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DATA_DIR", "~nosuch/data")
    for read in (data_directory, lambda: load_folder("~nosuch/leaves")):
        with pytest.raises(ParameterError, match="home of a user who is not known"):
            read()
