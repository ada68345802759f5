"""Fixtures of several files: four cards, and environments of stand-in packages."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from environment_events import Computer, Trial
from far.four_cards import Cards

from ml_remote.far.login import card_locks, cards


@pytest.fixture
def four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cards:
    """Return four cards, and a folder of their own for locks."""
    made = Cards(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(card_locks, "FOLDER", str(tmp_path / "lab-cards"))
    monkeypatch.setattr(cards, "_NAP", 0.01)
    monkeypatch.setattr(cards, "_LONG_NAP", 0.01)
    return made


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Computer:
    """Return packages, programs and the far half."""
    return Computer.new(tmp_path_factory.mktemp("computer"))


@pytest.fixture
def trial(computer: Computer, tmp_path: Path) -> Trial:
    """Return a small project with an environment that uv made."""
    trial = Trial(computer, tmp_path / "a project", random.Random(0))
    trial.begin("auto")
    return trial
