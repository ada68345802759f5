"""uv: packages are linked from its cache, so a second environment costs nearly nothing."""

import os
from pathlib import Path
from typing import Dict, List, Optional

from ..carried import carried_wheels
from ..commands import answer, run
from ..environments import interpreter_of
from ..failures import Failure, ManagerError
from ..install_uv import BROUGHT, install_uv
from ..output import say
from ..programs import find_program
from ..progress import Progress
from ..pythons import find_python
from ..settings import OLDEST_PYTHON
from .base import Manager, Work
from .installing import refuse_other_target_of_uv, requirement_options
from .network import explain_network, is_about_disk

__all__ = ["Uv"]

_PATIENCE = 20  # seconds
_SECONDS_FOR_FIRST = 30


class Uv(Manager):
    """The program `uv`."""

    name = "uv"

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return uv, also the one in `.lab/uv`.

        One that does not run is for another kind of machine, which shares this home directory.
        """
        for program in (find_program("uv", root / BROUGHT / "bin"), find_program("uv")):
            if program and _runs(program):
                return cls(program)
        return None

    @classmethod
    def bring(cls, root: Path) -> "Manager":
        """Install it into `.lab/uv`. Raises Failure if it is not available."""
        program = install_uv(root)
        if not _runs(str(program)):
            raise Failure("uv was downloaded, but does not run on this machine.")
        say("uv was installed in {}; nothing outside this project was changed.".format(BROUGHT))
        return cls(str(program))

    def make(self, work: Work) -> None:
        """Make the environment with the Python asked for, or with any that is new enough."""
        wanted = work.settings.python
        if carried_wheels() is not None:  # they are for the Python that was asked
            wanted = find_python(wanted) or wanted
        try:
            self._venv(work, wanted)
        except ManagerError as error:
            if is_about_disk(error.text):
                raise
            say("Python {} is not available; using any from {} on.".format(wanted, OLDEST_PYTHON))
            try:
                self._venv(work, ">={}".format(OLDEST_PYTHON))
            except ManagerError as error:
                raise self.explain(error, work) or Failure(
                    "uv finds no Python {} or newer, and could not download one.".format(
                        OLDEST_PYTHON
                    ),
                    *error.text.splitlines()[-3:],
                )
        self.change(work)

    def make_first(self, work: Work) -> bool:
        """Make an environment with what an editor asks for; return whether that worked.

        It is given little time: the complete one needs the same Python and the same packages.
        """
        constraints = ["--constraint", str(work.lists.lock)] if work.lists.lock else []
        venv = [self.program, "venv", "--quiet", "--python", work.settings.python, str(work.prefix)]
        install = [self.program, "pip", "install", "--quiet", *constraints]
        install += ["--python", str(interpreter_of(work.prefix)), "ipykernel", "jupytext", "pytest"]
        variables = self._variables(work)
        return all(
            answer(command, folder=work.root, variables=variables, seconds=_SECONDS_FOR_FIRST)
            is not None
            for command in (venv, install)
        )

    def _venv(self, work: Work, python: str) -> None:
        command = [self.program, "venv", "--quiet", "--allow-existing", "--python", python]
        run([*command, str(work.prefix)], variables=self._variables(work))

    def change(self, work: Work) -> None:
        """Install what the lists ask for."""
        refuse_other_target_of_uv(work.root)
        for options in requirement_options(work):
            command = [self.program, "pip", "install"]
            command += ["--python", str(interpreter_of(work.prefix)), *self._torch(work), *options]
            variables = self._variables(work)
            run(command, folder=work.root, variables=variables, progress=Progress())

    def remove(self, work: Work, names: List[str]) -> None:
        """Uninstall packages; there may be no pip in the environment."""
        command = [self.program, "pip", "uninstall", "--python", str(interpreter_of(work.prefix))]
        variables = self._variables(work)
        run([*command, *names], folder=work.root, variables=variables, on_line=lambda _: True)

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what uv's words mean."""
        return explain_network(error.text, work, program="uv")

    def _torch(self, work: Work) -> List[str]:
        return ["--torch-backend", work.torch] if work.torch and carried_wheels() is None else []

    def _variables(self, work: Work) -> Dict[str, str]:
        """Return where a uv that was brought, or one that is told so, keeps its files."""
        variables: Dict[str, str] = {}
        brought = work.root / BROUGHT
        cache = work.settings.cache or (
            ".lab/cache" if self.program.startswith(str(brought) + os.sep) else ""
        )
        if cache:
            folder = work.root / os.path.expanduser(cache)
            variables["UV_CACHE_DIR"] = str(folder / "uv")
            variables["UV_PYTHON_INSTALL_DIR"] = str(folder / "pythons")
        return variables


def _runs(program: str) -> bool:
    return answer([program, "--version"], seconds=_PATIENCE) is not None
