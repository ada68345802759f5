"""Fixtures for `lab jupyter` and `lab tensorboard`: one laptop and one server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import session_fixtures
from environment import LabEnvironment
from session_fixtures import Desk


@pytest.fixture(scope="session")
def shared_desk(environment: LabEnvironment) -> Iterator[Desk]:
    """Yield a laptop and a server, with the project and its environment on both of them."""
    with session_fixtures.desk(environment) as made:
        yield made


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """Yield the same laptop and server, with no session running before or afterwards."""
    yield shared_desk
    shared_desk.end_sessions()
