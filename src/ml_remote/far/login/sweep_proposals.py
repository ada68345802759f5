"""A sweep whose sets are proposed one by one, as its workers see it.

Who proposes is a program of its own (far/env/propose.py): it needs packages of the environment, and
nothing that it does can end a worker. Python 3.6 is enough.
"""

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Tuple

from ..exit_codes import ExitCode
from .metrics import metrics_of
from .sweep_sets import outcomes_in, wanted

__all__ = ["ProposalError", "Proposals", "is_installed"]

_FAR = Path(__file__).resolve().parents[3]
_LONGEST = 300  # characters of a reason
_NAMED = 5  # metrics in a reason


class ProposalError(Exception):
    """No further set can be proposed; the message is the reason."""


def is_installed() -> bool:
    """Return whether the environment has what proposes."""
    return find_spec("optuna") is not None


class Proposals:
    """The sets of one sweep that are still to be proposed, and what is told of those that ran."""

    def __init__(
        self, folder: Path, about: Mapping[str, Any], *, before_start: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._metric = about.get("optimize", "").partition(":")[2]
        self._before_start = before_start

    def has_more(self, count: int) -> bool:
        """Return whether further sets are to be proposed where there are so many."""
        return bool(self._metric) and count < wanted(self._folder)

    def ask(self) -> None:
        """Propose one more set, and add it to the others. Raises ProposalError."""
        self._start()

    def tell_the_rest(self) -> None:
        """Write down the study as it is at the end, if this is the end."""
        if self._metric and len(outcomes_in(self._folder)) >= wanted(self._folder):
            try:
                self._start("--study")
            except ProposalError as error:
                print(error, flush=True)

    def judge(self, results: Path, code: int) -> Tuple[int, str, Optional[float]]:
        """Return the exit code of a set that has ended, why it failed, and what it has reached.

        Without the metric it has failed. One that is no number tells of a bad set.
        """
        if not self._metric or code:
            return code, "", None
        found = metrics_of(results)
        if self._metric not in found:
            names = sorted(found)
            there = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            said = "it saved no metric {}; it has: {}".format(self._metric, there or "none")
            return int(ExitCode.NO_METRIC), said[:_LONGEST], None
        value = found[self._metric]
        return 0, "", value if math.isfinite(value) else None

    def _start(self, *options: str) -> None:
        words = [sys.executable, "-s", "-E", str(_FAR), "propose", self._folder.name, *options]
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=self._before_start,
        )
        if done.returncode:
            lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
            said = lines[-1].strip() if lines else "exit code {}".format(done.returncode)
            raise ProposalError(said[:_LONGEST])
