"""One line says that a machine has a card which torch cannot use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ml_remote.far.env import card


def torch(
    *, cuda: str | None, works: bool = True, capability: tuple[int, int] = (8, 6)
) -> SimpleNamespace:
    """Return what counts of a torch."""
    return SimpleNamespace(
        __version__="2.9.0",
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(
            is_available=lambda: works,
            get_device_capability=lambda _: capability,
            get_device_name=lambda _: "Tesla K80",
            get_arch_list=lambda: ["sm_75", "sm_80", "sm_90", "sm_120a", "compute_120"],
        ),
    )


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (torch(cuda=None, works=False), 'a build for the CPU. Set torch = "cu126"'),
        (torch(cuda="12.6", works=False), "CUDA 12.6 does not start here. The driver"),
        (torch(cuda="12.6", capability=(3, 7)), "no code for Tesla K80 (sm_37)"),
        (torch(cuda="12.6"), ""),  # code for sm_80 runs on sm_86
        (torch(cuda="12.8", capability=(12, 1)), ""),  # compiled for it by the driver
    ],
)
def test_reason_is_one_line(module: ModuleType, words: str) -> None:
    line = card.unusable_card(module)
    assert words in line
    assert bool(line) == bool(words)
    assert "\n" not in line


@pytest.mark.parametrize(
    ("paths", "variables", "counts"),
    [
        ((), {}, False),
        (("dev/nvidiactl",), {}, False),
        (("dev/nvidia0",), {}, True),
        (("proc/driver/nvidia/gpus/0000:01:00.0",), {}, True),
        (("dev/nvidia0",), {"CUDA_VISIBLE_DEVICES": ""}, False),
        (("dev/nvidia0",), {"SLURM_JOB_ID": "7"}, False),
        (("dev/nvidia0",), {"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "1"}, True),
    ],
)
def test_card_counts_that_the_process_may_use(
    tmp_path: Path, paths: tuple[str, ...], variables: dict[str, str], counts: bool
) -> None:
    for path in paths:
        (tmp_path / path).mkdir(parents=True)
    assert card.has_card(tmp_path, variables) == counts


class Events:
    """The shell's events, of which one is used."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[..., None]] = []

    def register(self, _: str, callback: Callable[..., None]) -> None:
        self.callbacks.append(callback)

    def unregister(self, _: str, callback: Callable[..., None]) -> None:
        self.callbacks.remove(callback)


def test_kernel_says_it_once_and_only_when_torch_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = Events()
    monkeypatch.setattr(card, "has_card", lambda: True)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    card.say_after_import(events)
    events.callbacks[0](None)
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "torch", torch(cuda=None, works=False))
    events.callbacks[0](None)
    assert capsys.readouterr().err.count("build for the CPU") == 1
    assert events.callbacks == []
