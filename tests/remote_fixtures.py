"""What the tests of the `lab` command share besides fixtures."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

__all__ = ["Lab"]

Lab = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs the `lab` command of a baked project; keyword arguments are environment variables."""
