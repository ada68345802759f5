"""Run all cells of a lab headless.

    .venv/bin/python .lab/far/current headless labs/LAB.py -p epochs 5

What runs is the script as it is now, never the notebook beside it. The executed notebook, the same
as a web page, and everything the lab itself saves go to outputs/<lab>/<time>/. Before what a cell
prints comes a line such as `[3/14] 2. The data`; with LAB_PROGRESS=json it is for programs:

    {"event": "cell", "number": 3, "of": 14, "heading": "2. The data"}

Exit code: 0, 1 when a cell failed, 2 when there is no such lab or parameter, 66 when the lab's data
is not here: a cell raised a DataError, or found no file of this name in a data folder.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..login import record
from ..login.masking import masked_notebook, secret_values
from .parameters import (
    RunError,
    add_parameter_option,
    project_root,
    results_folder,
    split_parameters,
    typed_parameters,
)
from .quick_imports import skip_iri_grammar

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["NO_DATA", "main"]

NO_DATA = 66
"""The exit code of a lab whose data is not here: EX_NOINPUT of sysexits.h."""
_EXPORTERS = "nbconvert.exporters"


def main(arguments: list[str]) -> int:
    """Run the lab that the command line names; return the exit code."""
    parameters, others = split_parameters(arguments)
    options = _parser().parse_args(others)
    started = time.monotonic()
    skip_iri_grammar()
    try:
        script = _script_of(options.lab)
        notebook = _read(script)
        typed = typed_parameters(parameters, defaults=_default_parameters(notebook))
        kernel = _kernel_settings()
        if kernel is None:
            return 1
        folder = results_folder(script.stem)
    except RunError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    is_recorded = record.has_begun(folder)
    if not is_recorded:  # nobody else has started this: `--local`, a task or a person
        facts = {"id": folder.name, "lab": _named(script), "launcher": "local"}
        record.begin(folder, {**facts, "parameters": parameters}, project_root())
    code, failure = _execute(notebook, folder / f"{script.stem}.ipynb", typed, kernel)
    if not is_recorded:
        record.end(folder, code)
    page = _write_page(folder / f"{script.stem}.ipynb")
    if code:
        print(f"{failure}\n{record.STOPPED} All before it: {page}", file=sys.stderr)
        return code
    print(f"All cells of {script.name} ran in {time.monotonic() - started:.0f} s. Results:")
    for path in sorted(folder.iterdir()):
        print(f"  {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    command = ".venv/bin/python .lab/far/current headless"
    parser = argparse.ArgumentParser(
        prog=command,
        description="Run all cells of a lab; results go to outputs/<lab>/<time>/.",
        epilog=f"example: {command} labs/LAB.py -p epochs 5",
    )
    parser.add_argument("lab", type=Path, help="the lab's script, such as labs/LAB.py")
    add_parameter_option(parser)
    return parser


def _script_of(lab: Path) -> Path:
    """Return the script of the lab that was named, by its notebook or without an ending too."""
    script = lab.with_suffix(".py")
    if script.is_file():
        return script
    known = sorted((project_root() / "labs").glob("*.py"))
    names = ", ".join(f"labs/{path.name}" for path in known) or "none"
    raise RunError(f"There is no lab {str(lab)!r}. The labs of this project: {names}.")


def _named(script: Path) -> str:
    """Return a script as the project names it: relative to it, with slashes."""
    path, root = script.resolve(), project_root().resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _read(script: Path) -> NotebookNode:
    import jupytext

    try:
        # Editors on Windows may put a byte order mark in front.
        return jupytext.reads(script.read_text(encoding="utf-8-sig"), "py")
    except (SyntaxError, ValueError, OSError) as error:
        raise RunError(f"{script} cannot be read as a lab: {error}") from error


def _default_parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Return the names and values that the cell tagged `parameters` assigns."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            return dict(_assignments(cell.source))
    return {}


def _assignments(source: str) -> list[tuple[str, Any]]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise RunError(f"Line {error.lineno} of the parameters cell is not Python.") from error
    return [
        (target.id, ast.literal_eval(statement.value))
        for statement in statements
        if isinstance(statement, ast.Assign) and _is_literal(statement.value)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]


def _is_literal(expression: ast.expr) -> bool:
    try:
        ast.literal_eval(expression)
    except ValueError:
        return False
    return True


def _kernel_settings() -> dict[str, str] | None:
    """Prepare a private directory for the kernel; return what its manager is told of it.

    It is removed at the end. Without one nothing may run: the reason is printed, None returned.
    """
    if os.name == "nt":  # it has no such sockets
        return {"transport": "tcp"}
    from .kernels import TRANSPORT, connection_file, prepare_kernels
    from .private import NoPrivateDirectoryError, PrivateDirectory

    try:
        directory = PrivateDirectory()
    except NoPrivateDirectoryError as error:
        print(f"Error: {error}", file=sys.stderr)
        return None
    atexit.register(directory.remove)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _exit_on_signal)
    prepare_kernels(directory.path)
    return {"transport": TRANSPORT, "connection_file": str(connection_file(directory.path))}


def _exit_on_signal(number: int, _: FrameType | None) -> None:
    """End with what is to be done at the end; a second signal ends at once."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)


def _execute(
    notebook: NotebookNode, output: Path, parameters: dict[str, Any], kernel: dict[str, str]
) -> tuple[int, str]:
    """Run the notebook, write it to `output`; return the exit code, and why a cell failed."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook
    from traitlets.config import Config

    os.environ["LAB_OUTPUT_DIR"] = str(output.parent)
    # What writes the page at the end is imported while the kernel starts.
    threading.Thread(target=import_module, args=(_EXPORTERS,), daemon=True).start()
    _mask_secrets(output)
    # torch's threads wait for each other many times per step. Where other programs compute as well,
    # waiting in a loop made a training four to ten times slower than soon falling asleep. The
    # second variable is that of GNU's OpenMP, which pip's torch brings: a short loop is fastest.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        execute_notebook(
            notebook,
            # papermill would take braces in a path for placeholders.
            str(output).replace("{", "{{").replace("}", "}}"),
            parameters,
            cwd=project_root(),
            kernel_name="python3",
            language="python",  # a lab may have no header that says so
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            on_cell_start=_announcer(notebook),
            config=Config({"KernelManager": kernel}),
        )
    except PapermillExecutionError as error:
        return NO_DATA if _lacks_data(error.ename, error.evalue) else 1, "\n".join(error.traceback)
    except DeadKernelError:
        return 1, "The kernel was killed while it ran this cell, often for lack of memory."
    return 0, ""


def _mask_secrets(output: Path) -> None:
    """Mask the values of secrets in the notebook that is written."""
    values = secret_values(project_root())
    if not values:
        return
    import nbformat
    from papermill.iorw import LocalHandler, papermill_io

    class Masking(LocalHandler):
        """Writes a notebook whose texts have been masked."""

        def write(self, buf: str, path: str) -> None:
            # Read first, which joins the lines that a text is written in.
            content = masked_notebook(nbformat.reads(buf, as_version=nbformat.NO_CONVERT), values)
            super().write(nbformat.writes(nbformat.from_dict(content)), path)

    papermill_io.register(str(output), Masking())


def _lacks_data(error: str, message: str) -> bool:
    """Return whether the error that ended a cell means that its data is not on this computer."""
    named = re.search("'([^']+)'$", message)
    if error != "FileNotFoundError" or named is None:
        return error == "DataError"
    named_folder = os.path.expanduser(os.environ.get("LAB_DATA_DIR") or "data")  # noqa: PTH111
    folders = project_root() / "data", Path(named_folder)
    above = (project_root() / named[1]).resolve().parents
    return any((project_root() / folder).resolve() in above for folder in folders)


def _announcer(notebook: NotebookNode) -> Callable[..., None]:
    """Return a function that announces a cell before it runs: its number and its heading."""
    for_programs = os.environ.get("LAB_PROGRESS") == "json"
    total = sum(_is_run(cell) for cell in notebook.cells)
    count = 0
    heading = ""

    def announce(*, cell: NotebookNode, cell_index: int) -> None:
        nonlocal count, heading
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ").strip() if headings else heading
        elif _is_run(cell) and "injected-parameters" not in cell.metadata.get("tags", []):
            count += 1
            event = {"event": "cell", "number": count, "of": total, "heading": heading}
            line = json.dumps(event) if for_programs else f"[{count}/{total}] {heading}"
            print(line, flush=True)

    return announce


def _is_run(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _write_page(executed: Path) -> Path:
    """Write the executed notebook as a web page beside it, and return the page's path."""
    from nbconvert.exporters import HTMLExporter

    page = executed.with_suffix(".html")
    content, _ = HTMLExporter().from_filename(str(executed))
    page.write_text(content, encoding="utf-8")
    return page
