"""`lab runs --compare --plot`: a picture of the comparison, drawn where there is matplotlib.

That is the project's environment: the one on this computer, or else the one on the machine. `lab`
itself has no use for it otherwise, so it does not bring it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

from ..answers import unusable
from ..context import Context
from ..errors import LabError, UsageError
from ..far.env.picture import MADE_BY
from ..far.installed import FAR, install
from ..far.login.metrics import curves_of, label
from ..far_half import ensure_far
from ..processes import run
from ..records.comparison import Comparison
from ..scripts import ExitCode, Explanations, run_script
from .local_run import interpreter

__all__ = ["draw"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST = 20 * 2**20  # bytes of a picture
_MOST_LINES = 40
_MOST_POINTS = 200
_MOST_PANELS = 6
_MOST_CURVES = 4
_SHOWN = 200  # characters of an answer that is no picture
_TIMEOUT = 120.0  # seconds


def draw(context: Context, comparison: Comparison, path: Path, *, alias: str | None) -> None:
    """Draw a comparison into a file. Raises LabError when that cannot be, in words.

    Only a picture that this has drawn is replaced.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{str(path)!r} must end in .png.")
    if os.path.lexists(path) and not _is_ours(path):
        raise UsageError(
            f"{path} exists, and lab did not draw it, so it was kept.", hint="Choose another name"
        )
    if not comparison.metrics:
        raise LabError("These runs have no metrics to draw.", hint="lab runs --compare")
    picture = _drawn(context, _wanted(comparison), alias)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(picture)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise LabError(f"{path} could not be written: {error.strerror}.") from error


def _is_ours(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            head = file.read(1000)
    except OSError:
        return False
    return head.startswith(_SIGNATURE) and f"Software\0{MADE_BY}".encode() in head


def _wanted(comparison: Comparison) -> dict[str, Any]:
    """Return what the picture is to show; without a goal, the metric that most runs have."""
    metric = comparison.metrics[0]
    runs = [
        record
        for record in comparison.records
        if math.isfinite(record.metrics.get(metric, math.nan))
    ]
    panels = []
    for name in comparison.parameters[:_MOST_PANELS]:
        some = [record for record in runs if name in record.known.values]
        if some:
            panels.append(
                {
                    "name": name,
                    "values": [record.known.values[name] for record in some],
                    "metrics": [record.metrics[metric] for record in some],
                    "best": [record.name in comparison.best for record in some],
                }
            )
    goal = "" if comparison.goal is None else f", by {comparison.goal}"
    title = f"{len(comparison.records)} runs{goal}"
    curves = _curves(comparison)
    if not panels and not curves:  # of equal runs there are the values
        panels = [
            {
                "name": "run",
                "values": [record.id for record in runs],
                "metrics": [record.metrics[metric] for record in runs],
                "best": [record.name in comparison.best for record in runs],
            }
        ]
    return {"title": title, "metric": metric, "panels": panels, "curves": curves}


def _curves(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the metrics over time, of the first runs, those of the table first."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in comparison.records[:_MOST_LINES]:
        name = label(record.known.values, comparison.parameters) or record.id
        for metric, (step, moments, values) in curves_of(record.folder).items():
            pairs = [
                pair for pair in zip(moments, values, strict=True) if all(map(math.isfinite, pair))
            ]
            every = max(1, math.ceil(len(pairs) / _MOST_POINTS))
            few = [*pairs[:-1:every], *pairs[-1:]]
            if few:
                line = {
                    "label": name,
                    "is_best": record.name in comparison.best,
                    "x": [x for x, _ in few],
                    "y": [y for _, y in few],
                }
                found.setdefault((metric, step), []).append(line)
    order = {name: place for place, name in enumerate(comparison.metrics)}
    keys = sorted(found, key=lambda key: (order.get(key[0], len(order)), -len(found[key])))
    return [
        {"name": name, "step": step, "lines": found[name, step]}
        for name, step in keys[:_MOST_CURVES]
    ]


def _drawn(context: Context, wanted: dict[str, Any], alias: str | None) -> bytes:
    """Return the picture, drawn here, or else on the machine. Raises LabError."""
    text = json.dumps(wanted)
    here = _drawn_here(context, text)
    if here is not None:
        return here
    machine = context.machine(alias)
    lacking = LabError(
        f"The plot needs matplotlib, which is neither here nor on {machine.alias}.",
        hint="lab add matplotlib",
    )
    explanations: Explanations = {code: lambda _: lacking for code in (1, ExitCode.NO_ENVIRONMENT)}
    done = run_script(
        machine,
        "draw-comparison",
        ensure_far(machine),
        text,
        timeout=_TIMEOUT,
        explanations=explanations,
    )
    picture = _decoded(done.stdout)
    if picture is None:
        raise unusable("picture", done.stdout[:_SHOWN])
    return picture


def _drawn_here(context: Context, text: str) -> bytes | None:
    """Return the picture that the environment on this computer draws; None if it cannot."""
    root = context.project.root
    try:
        python = interpreter(context.project)
    except LabError:
        return None
    command = [str(python), "-s", "-E", str(install(root / FAR)), "picture"]
    try:
        done = run(command, input=text, folder=root, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None
    return _decoded(done.stdout) if done.returncode == 0 else None


def _decoded(text: str) -> bytes | None:
    """Return the PNG that is in base64; None if it is none."""
    if len(text) > _LARGEST:
        return None
    try:
        picture = base64.b64decode(text.strip().replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        return None
    return picture if picture.startswith(_SIGNATURE) else None
