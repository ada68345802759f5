"""Python's own venv and pip: slow, and there almost everywhere."""

from pathlib import Path
from typing import Optional

from ..commands import run
from ..failures import Failure, ManagerError
from ..places import interpreter_of
from ..pythons import find_python
from ..settings import OLDEST_PYTHON
from .base import Manager, Work
from .installing import requirement_options
from .network import explain_network

__all__ = ["Pip"]

_UV = (
    "uv brings its own Python, without an administrator:"
    " curl -LsSf https://astral.sh/uv/install.sh | sh"
)


class Pip(Manager):
    """`python -m venv`, and the pip that is in it."""

    name = "venv"

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return it: a Python is looked for when it is needed."""
        return cls("python3")

    def make(self, work: Work) -> None:
        """Make the environment with the Python asked for, or with any that is new enough."""
        base = find_python(work.settings.python)
        if base is None:
            raise Failure(
                "There is no Python from {} on, no conda and no uv.".format(OLDEST_PYTHON), _UV
            )
        try:
            run([base, "-m", "venv", str(work.prefix)])
        except ManagerError:
            raise Failure(
                "{} cannot make virtual environments.".format(base),
                "On Debian and Ubuntu: sudo apt install python3-venv",
                _UV,
            )
        self.change(work)

    def change(self, work: Work) -> None:
        """Install what the lists ask for."""
        for options in requirement_options(work):
            command = [str(interpreter_of(work.prefix)), "-m", "pip", "install"]
            run([*command, "--disable-pip-version-check", *options], folder=work.root)

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what pip's words mean."""
        return explain_network(error.text, work, program="pip")
