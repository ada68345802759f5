"""One run of a lab: its parameters, and the folder that its results go to.

What a person can fix is a LabError: ParameterError here, others in the modules that raise them.
"""

from __future__ import annotations

import ast
import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

from matplotlib.figure import Figure

__all__ = ["LabError", "ParameterError", "Run", "is_watched", "project_root", "start_run"]


class LabError(Exception):
    """Something that a person can fix; the message says how."""


class ParameterError(LabError):
    """A parameter that the lab does not have, or a value it cannot take."""


@dataclass(frozen=True)
class Run:
    """One run of a lab, in one process or, under torchrun, in many."""

    folder: Path  # where its results go; of many processes only the first one's is kept
    parameters: SimpleNamespace  # by name, those of the command line included
    checkpoint: Path  # the file for the state of its training
    resumes: bool  # continues from that file: so does a run whose folder LAB_OUTPUT_DIR names again
    is_first: bool  # whether this process shows and writes the results

    def show(self, figure: Figure, name: str, *, alt: str) -> None:
        """Save `figure` as `name`.png, and show it in a notebook; `alt` says it in words."""
        if not self.is_first:
            return
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Description": alt})
        if _in_notebook():
            from IPython.display import Image, display

            display(Image(filename=path, alt=alt))

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics` and the parameters to metrics.json in the run's folder."""
        text = json.dumps({"parameters": vars(self.parameters), **metrics}, indent=2) + "\n"
        (self.folder / "metrics.json").write_text(text, encoding="utf-8")

    def end_other_processes(self) -> None:
        """End every process but the first under torchrun: only it shows and writes what follows."""
        if not self.is_first:
            sys.exit()


def start_run(lab: str, parameters: Mapping[str, Any]) -> Run:
    """Start a run of `lab`: settle its parameters, make the folder of its results and print it.

    On a plain script's command line `-p NAME VALUE` replaces a parameter; ParameterError is raised
    if there is none of that name or type. The folder is `LAB_OUTPUT_DIR`, or outputs/<lab>/<time>/;
    for all processes of torchrun but the first it is a temporary one.
    """
    settled = dict(parameters)
    if not _in_notebook():
        sys.excepthook = _explain
        settled |= _command_line(lab, settled)
    named, is_first = os.environ.get("LAB_OUTPUT_DIR"), os.environ.get("RANK", "0") == "0"
    if is_first:
        folder = _results_folder(lab, named)
        print("Results go to:", str(folder).removeprefix(f"{project_root()}{os.sep}"))
    else:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        folder = Path(tempfile.mkdtemp(prefix="lab-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # The first process of every machine writes it, so that each can continue without the others.
    checkpoint = Path(named or folder) / "checkpoint.pt"
    return Run(folder, SimpleNamespace(**settled), checkpoint, bool(named), is_first)


def project_root() -> Path:
    """Return the folder of lab.toml: this one, one above it, or the one that this file is in."""
    here = Path.cwd()
    found = (folder for folder in (here, *here.parents) if (folder / "lab.toml").is_file())
    return next(found, Path(__file__).resolve().parents[2])


def is_watched() -> bool:
    """Return whether a person may be looking: at a terminal, or at a notebook not run headless."""
    return sys.stdout.isatty() or (_in_notebook() and "LAB_OUTPUT_DIR" not in os.environ)


def _in_notebook() -> bool:
    """Return whether cells are run (Jupyter, VS Code, papermill) rather than a plain script."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _results_folder(lab: str, named: str | None) -> Path:
    """Make the folder for one run's results: the one that is named, or outputs/<lab>/<time>/."""
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
        return Path(named)
    folder = project_root() / "outputs" / lab / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    for number in range(2, 1000):  # more than one run may start in a second
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
        folder = folder.with_name(f"{folder.name[:19]}_{number}")
    return folder


def _command_line(lab: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `-p NAME VALUE` sets on a plain script's command line."""
    known = ", ".join(f"{name} = {value!r}" for name, value in defaults.items())
    settled, words = {}, sys.argv[1:]
    while len(words) > 2 and words[0] in ("-p", "--parameter"):
        _, name, text, *words = words  # the text may begin with a hyphen, as -1e-3 does
        try:
            kind = type(defaults[name])
            value = {"true": True, "false": False}[text.lower()] if kind is bool else text
            value = ast.literal_eval(text) if kind in (list, tuple, dict) else value
            settled[name] = kind(value) if kind in (int, float, list, tuple, dict) else value
        except (ValueError, KeyError, SyntaxError, TypeError):
            raise ParameterError(f"{lab} cannot set {name} to {text!r}. It has: {known}.") from None
    if words:
        print(f"usage: {lab}.py [-p NAME VALUE]...   of: {known}", file=sys.stderr)
        sys.exit(2)
    return settled


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what a person can fix as a sentence, anything else as Python does."""
    if isinstance(error, LabError) and os.environ.get("LAB_DEBUG") != "1":
        print(f"Error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
