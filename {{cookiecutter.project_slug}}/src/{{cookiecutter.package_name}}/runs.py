"""One run of a lab: its parameters, and the folder that its results go to.

Errors that a person can mend form one family:

    LabError                             the message is a sentence, with what to do next
    ├── ParameterError                   a parameter that the lab does not have, or a wrong value
    ├── data.DataError                   a data set that cannot be had
    ├── checkpoints.CheckpointError      a checkpoint that this training cannot go on from
    ├── distributed.DistributedError     processes that cannot train together
    ├── plots.ColorError                 something that no colormap can be made of
    └── trees.DrawingError               a tree that cannot be drawn as asked
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

from matplotlib.figure import Figure

__all__ = [
    "LabError",
    "ParameterError",
    "Run",
    "add_parameter_option",
    "is_watched",
    "project_root",
    "results_folder",
    "split_parameters",
    "start_run",
    "typed_parameters",
]

PROJECT_FILE = "lab.toml"
_PARAMETER_OPTION = ("-p", "--parameter")


class LabError(Exception):
    """Something that a person can mend; the message says how."""


class ParameterError(LabError):
    """A parameter that the lab does not have, or a value it cannot take."""


@dataclass(frozen=True)
class Run:
    """One run of a lab, in one process or, under torchrun, in many.

    Attributes:
        folder: where its results go; it exists. Of many processes only the first one's is kept.
        parameters: the lab's parameters by name, those of the command line included.
        checkpoint: the file for the state of its training.
        resumes: whether it goes on from that file where there is one: that is so when
            `LAB_OUTPUT_DIR` names the folder, so that naming the same one again continues a run.
        is_first: whether this process shows and writes the results.
    """

    folder: Path
    parameters: SimpleNamespace
    checkpoint: Path
    resumes: bool
    is_first: bool

    def show(self, figure: Figure, name: str, *, alt: str) -> None:
        """Save `figure` as `name`.png in the run's folder; in a notebook, show it as well.

        `alt` says in words what it shows, for those who cannot see it.
        """
        if not self.is_first:
            return
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Description": alt})
        if _in_notebook():
            from IPython.display import Image, display

            display(Image(filename=path, alt=alt))

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics` and the parameters to metrics.json in the run's folder."""
        content = {"parameters": vars(self.parameters), **metrics}
        text = json.dumps(content, indent=2) + "\n"
        (self.folder / "metrics.json").write_text(text, encoding="utf-8")

    def end_other_processes(self) -> None:
        """Under torchrun, end every process but the first, which shows and writes what follows."""
        if not self.is_first:
            sys.exit()


def start_run(lab: str, parameters: Mapping[str, Any]) -> Run:
    """Begin a run of `lab`: settle its parameters and make the folder of its results.

    In a plain script, `-p NAME VALUE` on the command line replaces a parameter; under papermill
    and in a notebook the values are those of the parameters cell. The folder is `LAB_OUTPUT_DIR`
    if that is set, else outputs/<lab>/<time>/ in the project; for all processes of torchrun but the
    first it is a temporary one.

    Raises:
        ParameterError: the command line names a parameter that is not in `parameters`, or gives
            it a value of another type.
    """
    settled = dict(parameters)
    if not _in_notebook():
        sys.excepthook = _show_sentence
        settled |= typed_parameters(_command_line(program=lab), defaults=settled)
    is_first = os.environ.get("RANK", "0") == "0"
    if not is_first:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    folder = results_folder(lab) if is_first else _temporary_folder()
    named = os.environ.get("LAB_OUTPUT_DIR")
    return Run(
        folder=folder,
        parameters=SimpleNamespace(**settled),
        # The first process of every machine writes it, so that each can go on without the others.
        checkpoint=(Path(named) if named else folder) / "checkpoint.pt",
        resumes=bool(named),
        is_first=is_first,
    )


def typed_parameters(
    pairs: Iterable[Sequence[str]], *, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return (name, text) pairs as parameters, each value of the type that its default has.

    Raises:
        ParameterError: a name is not in `defaults`, or a text is no value of that type.
    """
    values = {}
    for name, text in pairs:
        if name not in defaults:
            raise ParameterError(
                f"This lab has no parameter {name!r}. It has: {', '.join(defaults) or 'none'}."
            )
        try:
            values[name] = _typed(text, defaults[name])
        except (ValueError, KeyError):
            raise ParameterError(
                f"The parameter {name} cannot be {text!r}. Give it a value like its default "
                f"{defaults[name]!r}, of type {type(defaults[name]).__name__}."
            ) from None
    return values


def split_parameters(arguments: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the `-p NAME VALUE` pairs of a command line, and everything else on it.

    A value may begin with a hyphen, as -1e-3 does; argparse would take that for an option.
    """
    pairs, others = [], []
    left = list(arguments)
    while left:
        if left[0] in _PARAMETER_OPTION and len(left) > 2:
            pairs.append((left[1], left[2]))
            del left[:3]
        else:
            others.append(left.pop(0))
    return pairs, others


def add_parameter_option(parser: argparse.ArgumentParser) -> None:
    """Let a command line explain `-p NAME VALUE`, and refuse one that is not complete."""
    parser.add_argument(
        *_PARAMETER_OPTION,
        nargs=2,
        action="append",
        metavar=("NAME", "VALUE"),
        help="set a parameter of the lab; may be repeated",
    )


def results_folder(lab: str) -> Path:
    """Make the folder for one run's results: `LAB_OUTPUT_DIR`, or outputs/<lab>/<time>/."""
    named = os.environ.get("LAB_OUTPUT_DIR")
    if named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    # Two runs may start within one second.
    for suffix in ("", *(f"_{number}" for number in range(2, 1000))):
        folder = project_root() / "outputs" / lab / f"{time}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise LabError(f"A thousand runs of {lab} started in one second; wait for another second.")


def _temporary_folder() -> Path:
    """Make a folder that is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="lab-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def project_root() -> Path:
    """Return the folder of lab.toml: this one, one above it, or the one that this file lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    return Path(__file__).resolve().parents[2]


def is_watched() -> bool:
    """Tell whether a person may be looking: at a terminal, or at a notebook not run headless."""
    return sys.stdout.isatty() or (_in_notebook() and "LAB_OUTPUT_DIR" not in os.environ)


def _in_notebook() -> bool:
    """Tell whether cells are being run (Jupyter, VS Code, papermill) rather than a plain script."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _command_line(*, program: str) -> list[tuple[str, str]]:
    """Return the `-p NAME VALUE` pairs of a plain script's command line."""
    parser = argparse.ArgumentParser(prog=f"{program}.py", allow_abbrev=False)
    add_parameter_option(parser)
    parameters, others = split_parameters(sys.argv[1:])
    parser.parse_args(others)
    return parameters


def _typed(text: str, default: object) -> object:
    """Return `text` as a value of the type that `default` has; raise ValueError if it is none."""
    if isinstance(default, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(default, int | float | str):
        return type(default)(text)
    return text


def _show_sentence(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print what a person can mend as a sentence, anything else as Python does."""
    if isinstance(error, LabError) and os.environ.get("LAB_DEBUG") != "1":
        print(f"Error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
