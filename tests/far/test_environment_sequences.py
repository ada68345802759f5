"""A working environment is never lost, whatever happens: random sequences of events."""

from __future__ import annotations

import pytest
from environment_events import Computer, run_sequence


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Computer:
    """Return packages, programs and the far half, which all trials share."""
    return Computer.new(tmp_path_factory.mktemp("computer"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_working_environment_survives_what_happens(computer: Computer, seed: int) -> None:
    run_sequence(computer, seed)
