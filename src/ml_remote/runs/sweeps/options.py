"""The options of `lab run` that make a sweep of a run."""

from __future__ import annotations

import click

__all__ = ["OPTIONS"]

OPTIONS = (
    click.Option(
        ["--sweep"],
        multiple=True,
        metavar="NAME=VALUES",
        help="Run it once for each value, 0.1,0.03 or 0..4; can be repeated for all combinations.",
    ),
    click.Option(
        ["--samples"],
        type=int,
        metavar="N",
        help="Run N random combinations; ranges can also be log:1e-4..1e-1.",
    ),
    click.Option(
        ["--sample-seed"],
        type=int,
        metavar="S",
        help="Draw different combinations than with seed 0.",
    ),
    click.Option(
        ["--optimize"],
        metavar="max:METRIC",
        help="Let Optuna propose the sets one by one, to reach the max:METRIC or min:METRIC.",
    ),
    click.Option(
        ["--spread"],
        metavar="A,B",
        help="Divide them among these machines; with --resume: they run what others have left.",
    ),
    click.Option(
        ["--at-once"],
        type=int,
        metavar="N",
        help="Run N sets at once, instead of one on each card.",
    ),
)
"""Options of `lab run`."""
