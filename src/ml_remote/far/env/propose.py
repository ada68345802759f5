"""Propose the next set of a sweep by Optuna, from what the sweep itself has noted.

    .venv/bin/python .lab/far/current propose 2026-11-27_14-05-00 [--study]

Optuna only proposes and is told. Each call makes its study again from the sweep's own files, so
nothing is lost with a worker, and no trial waits for one that is gone. The study is also written to
`outputs/<lab>/<sweep>-0/optuna.journal`, whole each time, for `optuna-dashboard` on the laptop.
With `--study` it is only written. optuna 4 is the oldest that does.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import BaseJournalBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from ..login.files import replace_text
from ..login.sweep_sets import Pairs, add_set, outcomes_in, sets_in, wanted

__all__ = ["JOURNAL", "main"]

JOURNAL = "optuna.journal"
"""The file of the study, in the folder of the results of set 0."""

_TRIES = 20  # to be proposed a set that is not there yet
_MOST = 10_000  # combinations that are looked through for one that is left
_SEEDS = 2**32
_PRIME = 1_000_003


class _Lines(BaseJournalBackend):
    """A journal in memory: it is written at once, so no line of the file is ever torn."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return the entries from a number on."""
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, as they would be read from a file."""
        self.logs += json.loads(json.dumps(logs))


def main(arguments: list[str]) -> int:
    """Add one more set to the sweep, if it is to have more, and write its study."""
    folder = Path(".lab", "sweeps", arguments[0])
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    warnings.simplefilter("ignore")  # some of what is used is marked as experimental
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: _distribution(one) for name, one in about["space"].items()}
    known = sets_in(folder)
    if "--study" not in arguments[1:] and len(known) < wanted(folder):
        number = max(known, default=0) + 1
        trials = [*_trials(folder, space).values()]
        add_set(folder, number, _proposed(about, space, trials, number=number))
    _write_study(folder, about, space)
    return 0


def _distribution(described: Mapping[str, Any]) -> BaseDistribution:
    """Return where the values of one parameter are taken from."""
    if "choices" in described:
        return CategoricalDistribution(described["choices"])
    low, high = described["low"], described["high"]
    if described["whole"]:
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=described["log"])


def _trials(folder: Path, space: Mapping[str, BaseDistribution]) -> dict[int, FrozenTrial]:
    """Return the sets as trials; one that has not ended counts as running."""
    outcomes = outcomes_in(folder)
    found = {}
    for number, pairs in sorted(sets_in(folder).items()):
        outcome = outcomes.get(number)
        state, value = TrialState.RUNNING, None
        if outcome is not None:
            value = outcome.get("value") if outcome["exit_code"] == 0 else None
            state = TrialState.FAIL if value is None else TrialState.COMPLETE
        own: dict[str, Any] = {"set": number, "run": f"{folder.name}-{number}"}
        if outcome is not None and outcome["said"]:
            own["said"] = outcome["said"]
        trial = optuna.trial.create_trial(
            state=state,
            value=value,
            params={name: _value(space[name], text) for name, text in pairs},
            distributions=dict(space),
            user_attrs=own,
        )
        if outcome is not None:
            trial.datetime_complete = datetime.fromtimestamp(outcome["ended"])
            trial.datetime_start = datetime.fromtimestamp(outcome["ended"] - outcome["seconds"])
        found[number] = trial
    return found


def _value(distribution: BaseDistribution, text: str) -> str | float:
    """Return the value of a parameter that a set has as a text. A text may be rounded."""
    if isinstance(distribution, CategoricalDistribution):
        return text
    if isinstance(distribution, IntDistribution):
        return int(text)
    assert isinstance(distribution, FloatDistribution)
    return min(max(float(text), distribution.low), distribution.high)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _proposed(
    about: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    trials: Sequence[FrozenTrial],
    *,
    number: int,
) -> Pairs:
    """Return a set that is not there yet, as long as there is one."""
    seed = (about["sample_seed"] * _PRIME + number) % _SEEDS
    study = optuna.create_study(
        direction=_direction(about),
        sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True),
    )
    study.add_trials(trials)
    known = {tuple(_text(one.params[name]) for name in space) for one in trials}
    values: tuple[str, ...] = ()
    for _ in range(_TRIES):
        asked = study.ask(dict(space)).params
        values = tuple(_text(asked[name]) for name in space)
        if values not in known:
            break
    else:
        left = [one for one in _combinations(space) if one not in known]
        values = random.Random(seed).choice(left) if left else values
    return list(zip(space, values, strict=True))


def _combinations(space: Mapping[str, BaseDistribution]) -> list[tuple[str, ...]]:
    """Return all sets that there can be, none where they are too many."""
    axes: list[list[str]] = []
    for one in space.values():
        if isinstance(one, CategoricalDistribution):
            axes.append([str(choice) for choice in one.choices])
        elif isinstance(one, IntDistribution) and one.high - one.low < _MOST:
            axes.append([*map(str, range(one.low, one.high + 1))])
        else:
            return []
    is_few = math.prod(map(len, axes)) <= _MOST
    return list(itertools.product(*axes)) if is_few else []


def _direction(about: Mapping[str, Any]) -> Literal["maximize", "minimize"]:
    return "maximize" if about["optimize"].startswith("max:") else "minimize"


def _write_study(
    folder: Path, about: Mapping[str, Any], space: Mapping[str, BaseDistribution]
) -> None:
    """Write the study again, as a journal of Optuna."""
    lines = _Lines()
    study = optuna.create_study(
        storage=JournalStorage(lines), study_name=folder.name, direction=_direction(about)
    )
    study.set_metric_names([about["optimize"].partition(":")[2]])
    study.add_trials(_trials(folder, space).values())
    results = Path("outputs", about["output_folder"], f"{folder.name}-0")
    results.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json.dumps(one, separators=(',', ':'))}\n" for one in lines.logs)
    replace_text(results / JOURNAL, text)
