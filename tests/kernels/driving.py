"""Windows of an editor that a test opens and closes, and the kernels that they leave."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baking import BakedProject

from ml_remote.far.login import kernels

__all__ = ["ExtensionHost", "KernelProject", "Ran"]

PROGRAM = Path(__file__).with_name("extension_host.py")


@dataclass(frozen=True)
class KernelProject:
    """A project whose environment has the hook."""

    project: BakedProject
    python: Path
    """The environment's interpreter, as VS Code names it: below `.venv`."""

    def lab(self, name: str) -> Path:
        """Make a lab, and return its script."""
        script = self.project.path / "labs" / f"{name}.py"
        script.write_text("# %%\n")
        return script

    def kernel(self, name: str) -> kernels.Kernel:
        """Return the kernel that lives for a lab."""
        found = kernels.find(str(self.project.path), f"labs/{name}")
        assert found is not None
        return found

    def kernels(self) -> list[kernels.Kernel]:
        """Return all that live."""
        return kernels.list_kernels(str(self.project.path))

    def processes(self) -> list[str]:
        """Return the commands that run and name the project's folder, without the tests' own."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_text(errors="replace").split("\0")
                if str(self.project.path) in words:
                    found.append(" ".join(words))
        return found

    def end_kernels(self) -> None:
        """End all that live."""
        for kernel in self.kernels():
            kernels.end(kernel)


@dataclass(frozen=True)
class Ran:
    """What came of a cell."""

    text: str
    kinds: list[str]
    size: int
    status: str


class ExtensionHost:
    """A process that opens windows, as VS Code's does; a reloaded window has another one."""

    def __init__(self, project: KernelProject, folder: Path) -> None:
        self._project = project
        self._folder = folder
        self._command = [str(project.python), "-m", "ipykernel_launcher"]
        self._process = subprocess.Popen(
            # The environment's own packages, whatever the tests have set.
            [project.python.parent.resolve() / "python", "-E", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=project.project.path,
        )

    def open(
        self, lab: Path | str = "", *, name: str = "window", **options: object
    ) -> dict[str, Any]:
        """Open a window for a lab; return the process id that it has started, and the seconds."""
        command = options.pop("command", self._command)
        opened: dict[str, Any] = self.call(
            "open", name, command, str(self._folder), {"lab": str(lab), **options}
        )
        return opened

    def open_all(self, labs: list[Path]) -> list[int]:
        """Open a window for each lab, all at once; return the process ids that it has started."""
        for lab in labs:
            self.call("begin", lab.stem, self._command, str(self._folder), {})
        return [int(self.call("wait", lab.stem, {"lab": str(lab)})["pid"]) for lab in labs]

    def run(self, code: str, *, name: str = "window", **options: object) -> Ran:
        """Run a cell and wait for its end."""
        return Ran(**self.call("run", name, code, options))

    def start(self, code: str, *, name: str = "window", **options: object) -> None:
        """Run a cell."""
        self.call("start", name, code, options)

    def end(self, *, name: str = "window", **options: object) -> Ran:
        """Wait for the end of the cell that was started."""
        return Ran(**self.call("end", name, options))

    def close(self, *, name: str = "window") -> dict[str, Any]:
        """Close a window, as *Restart* does, too; return how its process ended."""
        self.call("leave", name)
        return self.ended(name=name)

    def ended(self, *, name: str = "window") -> dict[str, Any]:
        """Wait until a window's process has ended; return its exit code and what it said."""
        ended: dict[str, Any] = self.call("ended", name)
        return ended

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Send a command to extension_host.py."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([method, *arguments]), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def kill(self) -> None:
        """End without a farewell, as after a lost connection; the windows see it themselves."""
        self._process.kill()
        self._process.communicate()
