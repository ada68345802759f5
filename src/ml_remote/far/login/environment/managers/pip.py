"""Python's own venv and pip: slow, but available almost everywhere."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import List, Optional

from ..caches import pip_variables
from ..commands import run
from ..environments import interpreter_of
from ..failures import Failure, ManagerError
from ..inside import Inventory, inventory, needs, normalised
from ..progress import Progress
from ..pythons import find_python
from ..record import read_record
from ..settings import OLDEST_PYTHON
from .base import Manager, Work
from .installing import refuse_other_target, requirement_options
from .network import explain_network

__all__ = ["Pip"]

_UV = (
    "uv brings its own Python, without an administrator:"
    " curl -LsSf https://astral.sh/uv/install.sh | sh"
)

_OF_PIP = 2**25  # bytes, twice of what it takes
_OWN = ("pip", "setuptools", "wheel")
_PROJECT = re.compile(r"""(?m)^\s*name\s*=\s*["']([^"']+)["']""")


class Pip(Manager):
    """`python -m venv`, and the pip that is in it."""

    name = "venv"
    links = False

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return it: a Python is looked for when it is needed."""
        return cls("python3")

    def make(self, work: Work) -> None:
        """Make the environment with the Python asked for, or with any that is new enough."""
        base = find_python(work.settings.python)
        if base is None:
            raise Failure(
                "There is no Python {} or newer, no conda and no uv.".format(OLDEST_PYTHON), _UV
            )
        try:
            run([base, "-m", "venv", str(work.prefix)])
        except ManagerError:
            # What ensurepip says of a full disk is not shown.
            is_full = any(map(_has_no_room, (work.prefix.parent, Path(tempfile.gettempdir()))))
            told = explain_network("No space left on device", work, program="pip")
            raise (is_full and told) or Failure(
                "{} cannot make virtual environments.".format(base),
                "On Debian and Ubuntu: sudo apt install python3-venv",
                _UV,
            )
        self.change(work)

    def change(self, work: Work) -> None:
        """Install what the lists ask for."""
        for options in requirement_options(work):
            self._pip(work, *options)

    def only_adds(self, work: Work) -> bool:
        """Ask pip what it would install, and compare that with what is installed."""
        found = inventory(work.prefix, work.lists)
        if found is None or _left_the_lists(work, found):
            return False
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.json")
            options = ["--dry-run", "--quiet", "--report", str(report)]
            self._pip(work, *options, *self._wanted(work, found))
            values = json.loads(report.read_text(encoding="utf-8"))
        names = {normalised(item["metadata"]["name"]) for item in values["install"]}
        return not names & set(found.versions)

    def add(self, work: Work) -> None:
        """Install the packages, but not the project: it is installed already."""
        found = inventory(work.prefix, work.lists)
        if found is not None:
            self._pip(work, *self._wanted(work, found))

    @staticmethod
    def _wanted(work: Work, found: Inventory) -> List[str]:
        lock = ["--constraint", str(work.lists.lock)] if work.lists.lock else []
        return [*lock, *found.wanted]

    @staticmethod
    def _pip(work: Work, *options: str) -> None:
        command = [str(interpreter_of(work.prefix)), "-m", "pip", "install"]
        command += ["--disable-pip-version-check", "--no-input", *options]
        variables = {"PYTHONNOUSERSITE": "1", **pip_variables(work.root, work.settings)}
        refuse_other_target(command[0], variables)
        run(command, folder=work.root, variables=variables, progress=Progress())

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what pip's words mean."""
        return explain_network(error.text, work, program="pip")


def _has_no_room(folder: Path) -> bool:
    """Return whether the disk of a folder has less room than pip itself needs."""
    return folder.is_dir() and shutil.disk_usage(str(folder)).free < _OF_PIP


def _left_the_lists(work: Work, found: Inventory) -> List[str]:
    """Return what setup once installed and the lists no longer need: pip would leave it there.

    The record of an earlier version does not say what was needed; then the lock tells.
    """
    record = read_record(work.prefix)
    if record is None:
        return []
    if record.needed:
        return needs(work.prefix, found.wanted, record.needed).leaving
    if work.lists.lock is None:
        return []
    text = work.lists.lock.read_text(encoding="utf-8", errors="replace")
    locked = {normalised(line.partition("==")[0].strip()) for line in text.splitlines()}
    project = _PROJECT.search(work.lists.pyproject.read_text(encoding="utf-8", errors="replace"))
    kept = {*locked, *_OWN, normalised(project.group(1)) if project else ""}
    return sorted((set(record.installed) & set(found.versions)) - kept)
