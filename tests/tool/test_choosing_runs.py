"""Runs by their names: a lab with a dot, a part of the time, and how long it took."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_remote.errors import UsageError
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import Job, State
from ml_remote.project import Project
from ml_remote.records.comparison import Comparison, parse_goal
from ml_remote.records.reading import Record
from ml_remote.runs import labs
from ml_remote.runs.listing import choose_run, table
from ml_remote.ui.words import duration_in_words


def job(id: str, *, state: State = "done", minutes: int = 1) -> Job:
    return Job(
        id=id,
        about=About(kind="run", title="labs/a.py", run=Run(lab="labs/a.py")),
        state=state,
        started=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        ended=None,
        exit_code=None,
        host="host",
        duration=timedelta(minutes=minutes),
    )


RUNS = [job("2026-01-02_03-04-05"), job("2026-01-02_03-04-05_2"), job("2026-01-03_03-04-06")]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [(None, 2), ("2026-01-02_03-04-05", 0), ("05_2", 1), ("01-03", 2), ("04-06", 2)],
)
def test_run_is_chosen_by_a_part_of_its_time(text: str | None, chosen: int) -> None:
    assert choose_run(RUNS, text, alias="machine") is RUNS[chosen]


def test_run_that_goes_on_is_chosen_before_a_newer_one() -> None:
    going_on = job("2026-01-01_00-00-00", state="running")
    assert choose_run([going_on, *RUNS], None, alias="machine") is going_on


@pytest.mark.parametrize(
    ("text", "said"), [("2027", "No run on machine"), ("2026", "3 runs on machine")]
)
def test_unclear_run_is_told_with_what_there_is(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        choose_run(RUNS, text, alias="machine")
    assert "2026-01-03_03-04-06" in raised.value.message
    with pytest.raises(UsageError, match="No lab has been run on machine yet"):
        choose_run([], None, alias="machine")


def test_run_without_a_number_is_none_of_the_best() -> None:
    losses = {"a/1": {"loss": math.nan}, "a/2": {"loss": 2.0}, "a/3": {"loss": 3.0}, "a/4": {}}
    records = [
        Record(folder=Path(name), id=name, name=name, metrics=metrics)
        for name, metrics in losses.items()
    ]
    comparison = Comparison.of(records, parse_goal("min:loss"))
    for count, names in ((1, ["a/2"]), (3, ["a/2", "a/3"])):
        assert [record.name for record in comparison.first(count)] == names


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3600, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_are_short(seconds: int, words: str) -> None:
    assert duration_in_words(timedelta(seconds=seconds)) == words


def test_how_long_a_lost_run_took_is_not_known() -> None:
    lost = table([job("1", state="lost", minutes=900)])[1]
    assert lost.split()[-2:] == ["?", "labs/a.py"]


def test_lab_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    for script in ("net-v1.py", "net-v1.2.py"):
        (tmp_path / "labs" / script).touch()
    for name in ("net-v1.2", "labs/net-v1.2.py", "labs/net-v1.2.ipynb"):
        assert labs.find_lab(Project(root=tmp_path), name) == "labs/net-v1.2.py"


def test_script_named_from_a_subfolder_is_named_from_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    for script in ("model/train.py", "model/both.py", "both.py"):
        (tmp_path / script).touch()
    monkeypatch.chdir(tmp_path / "model")
    project = Project(root=tmp_path)
    with pytest.raises(UsageError, match="is not in the project's folder") as error:
        labs.check_folder(project, ("python", "train.py"))
    assert error.value.hint == "Name it from there: model/train.py"
    labs.check_folder(project, ("python", "both.py", "model/train.py", "no.py", "/etc/x.sh"))
    monkeypatch.chdir(tmp_path)
    labs.check_folder(project, ("python", "train.py"))
