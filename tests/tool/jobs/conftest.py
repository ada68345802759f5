"""The project's folder on the machine."""

from __future__ import annotations

import pytest
from openssh_server import Account
from tool.jobs.following import FOLDER


@pytest.fixture
def folder(account: Account) -> str:
    """Return the project's folder on the machine, relative to the home directory."""
    account.write(f"{FOLDER}/lab.toml", "")
    return FOLDER
