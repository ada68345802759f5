"""A window that is opened before setup has finished: its cells wait for the environment.

Where there was no environment, setup lets `.venv` lead to a first one at once
(login/environment/first.py): an interpreter and a kernel, and nothing of what labs import. The
kernel of such a window answers the editor, and its cells are kept until the complete environment
has taken the place of the first.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path

from ...login import kernels
from .choosing import file_named
from .during_cell import is_cell
from .editor_sockets import EditorSockets
from .messages import Message

__all__ = ["Waiting", "start_kernel_of"]

_SIGN = 150.0  # seconds without a sign until a setup counts as ended
_SECONDS_TO_START = 60.0
_LINE = 65  # characters that the Interactive Window shows
_WAITS = "The environment is being made. This cell will run as soon as it is complete.\n"
_IN_VAIN = "The environment is incomplete, and no setup is running. On the laptop: lab setup\n"


def start_kernel_of(python: Path, root: Path, window: str) -> kernels.Kernel:
    """Start a spare kernel of another environment for a window.

    In a process of its own: this one has threads by now, and would have to fork. Raises OSError.
    """
    far = Path(__file__).resolve().parents[4]
    done = subprocess.run(
        [python, "-I", far, "lasting-start", root, window],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS_TO_START,
    )
    kernel = kernels.read_kernel(Path(done.stdout.strip() or "/nowhere"))
    if kernel is None:
        raise OSError(f"the kernel could not be started: {done.stderr.strip()[-200:]}")
    return kernel


class Waiting:
    """What a window has asked for, and what the kernel of the complete environment is to run."""

    def __init__(self, editor: EditorSockets, root: Path) -> None:
        self._editor = editor
        self._root = root
        self._cells: list[Message] = []
        self._begun: list[Message] = []
        self._step = ""
        self.file = ""
        """The file that the window shows, once it has said so."""

    def takes(self, request: Message) -> bool:
        """Store a cell, and print in its output what it waits for; return whether it was one.

        The editor's own code is run now, and is kept as well.
        """
        if request.header.get("msg_type") != "execute_request":
            return False
        if not is_cell(request):
            self._begun.append(request.with_header(msg_id=uuid.uuid4().hex))
            self.file = file_named(request) or self.file
            return False
        if self.python is None and not self._is_being_made():
            self._say(request, _IN_VAIN)
            return False
        if not self._cells:
            self._say(request, _WAITS)
        self._cells.append(request)
        return True

    def end(self) -> list[Message]:
        """Return what the kernel of the complete environment is to run, in order."""
        self._end_line()
        return [*self._begun, *self._cells]

    @property
    def python(self) -> Path | None:
        """The interpreter of the complete environment; None while there is none."""
        if (self._root / ".lab" / "environment.incomplete").exists():
            return None
        prefix = (self._root / ".venv").resolve()
        python = prefix / "bin" / "python"
        is_other = prefix != Path(sys.prefix).resolve()
        return python if is_other and python.exists() else None

    def tell(self) -> None:
        """Show in the output of the first cell how far setup is, always in the same line."""
        if not self._cells:
            return
        try:
            said = (self._lock / "step").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        step = "".join(filter(str.isprintable, said))[:_LINE]
        if step not in ("", self._step):
            self._step = step
            self._say(self._cells[0], f"\r{step.ljust(_LINE)}")

    def give_up(self) -> list[Message]:
        """Return the cells, if nobody makes the environment any more; their output says so."""
        if not self._cells or self._is_being_made():
            return []
        self._end_line()
        self._say(self._cells[0], _IN_VAIN)
        cells, self._cells = self._cells, []
        return cells

    def cancel(self) -> None:
        """Answer the cells as interrupted ones."""
        error = {"ename": "KeyboardInterrupt", "evalue": "", "traceback": ["KeyboardInterrupt"]}
        for cell in self._cells:
            self._editor.publish(cell.answer("error", dict(error), topic=b"error"))
            said = {"status": "error", "execution_count": 0, **error}
            self._editor.publish(
                cell.answer("status", {"execution_state": "idle"}, topic=b"status")
            )
            self._editor.send("shell", cell.answer("execute_reply", said))
        self._cells.clear()
        self._step = ""

    @property
    def _lock(self) -> Path:
        return self._root / ".lab" / "environment.lock"

    def _is_being_made(self) -> bool:
        # Its folder is there before its sign is, and after a kill in between.
        latest = max(_changed(self._lock / "sign"), _changed(self._lock))
        return time.time() - latest < _SIGN

    def _end_line(self) -> None:
        """End the line in which the output of the first cell shows how far setup is."""
        if self._step and self._cells:
            self._say(self._cells[0], "\n")
        self._step = ""

    def _say(self, cell: Message, text: str) -> None:
        said = {"name": "stderr", "text": text}
        self._editor.publish(cell.answer("stream", said, topic=b"stream"))


def _changed(path: Path) -> float:
    """Return when something changed last, 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
