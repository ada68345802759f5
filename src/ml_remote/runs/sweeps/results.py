"""How to look at the results of a sweep."""

from __future__ import annotations

import shlex
from itertools import islice

from ...far.login.metrics import metrics_of
from ...jobs.about import Run
from ...next_steps import look_at
from ...project import Project

__all__ = ["look_at_sweep"]


def look_at_sweep(project: Project, run: Run) -> str:
    """Return the step that looks at the results that are here of a sweep, of which `run` is one.

    Several sets that have metrics are compared.
    """
    compare = f"lab runs --compare {run.sweep}"
    if run.optimize:
        return f"{compare} --by {shlex.quote(run.optimize)}"
    folders = (project.outputs / run.output_folder).glob(f"{run.sweep}-*")
    measured = list(islice(filter(metrics_of, folders), 2))
    return compare if len(measured) > 1 else look_at(run.output_folder)
