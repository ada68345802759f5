"""`lab runs --compare` and `lab show`: whatever runs have left about themselves."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from environment import LabEnvironment

from ml_remote import cli
from ml_remote.far.env.sessions.run_names import NamedRuns
from ml_remote.far.login.metrics import Known, differing, metrics_of, text_of
from ml_remote.jobs.about import Run
from ml_remote.project import Project
from ml_remote.records.comparison import Comparison
from ml_remote.records.reading import read_record, records_in
from ml_remote.runs import comparing
from ml_remote.runs.sweeps.results import look_at_sweep

SETTINGS = 'format = 2\n[remote]\nalias = "gpu"\nfolder = "p"\n'


def leave(
    root: Path, name: str, *, record: object = None, metrics: object = None, lines: str = ""
) -> Path:
    """Leave what a run has written; texts are written as they are."""
    folder = root / "outputs" / name
    folder.mkdir(parents=True)
    for file, content in (("run.json", record), ("metrics.json", metrics)):
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / file).write_text(text)
    if lines:
        (folder / "metrics.jsonl").write_text(lines)
    return folder


def a_lab(**parameters: object) -> dict[str, object]:
    return {
        "format": 2,
        "lab": "labs/digits.py",
        "parameters": [[name, str(value)] for name, value in parameters.items()],
    }


def program(*words: str, **variables: str) -> dict[str, object]:
    return {"command": list(words), "name": "train", "variables": [*map(list, variables.items())]}


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Said:
    """Return a `lab` command in a project whose machine has nothing new."""
    (tmp_path / "lab.toml").write_text(SETTINGS)
    monkeypatch.setattr(comparing, "bring_records", lambda context, alias: None)

    def say(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words), root=tmp_path)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return say


METRICS: dict[str, tuple[str, dict[str, float]]] = {
    "numbers": ('{"a": 1, "b": 0.5, "parameters": {"lr": 1}}', {"a": 1.0, "b": 0.5}),
    "nested": ('{"test": {"acc": 0.9, "per": {"x": 1}}}', {"test.acc": 0.9, "test.per.x": 1.0}),
    "no numbers": ('{"a": "0.9", "b": [1, 2], "c": null, "d": true}', {}),
    "infinite": ('{"a": Infinity}', {"a": float("inf")}),
    "too large a number": (f'{{"a": 1{"0" * 400}, "b": 1}}', {"b": 1.0}),
    "damaged": ('{"a": 1', {}),
    "a list": ("[1, 2]", {}),
    "deep": ('{"a":' * 5000 + "1" + "}" * 5000, {}),
    "a long name": (json.dumps({"a" * 101: 1, "b": 2}), {"b": 2.0}),
    "huge": (json.dumps({"a": 1, "b": "x" * 2**22}), {}),
    "no text": ("\x00\x01", {}),
}


@pytest.mark.parametrize("content", METRICS)
def test_metrics_are_numbers(tmp_path: Path, content: str) -> None:
    text, expected = METRICS[content]
    assert metrics_of(leave(tmp_path, "a/1", metrics=text)) == expected


def test_curves_alone_are_metrics_by_their_last_values(tmp_path: Path) -> None:
    lines = '{"epoch": 1, "loss": 3}\nnonsense\n[1]\n{"epoch": 2, "loss": 2, "acc": 0.5}\n{"ep'
    assert metrics_of(leave(tmp_path, "a/1", lines=lines)) == {"loss": 2.0, "acc": 0.5}
    many = json.dumps({f"m{number}": number for number in range(1000)})
    assert len(metrics_of(leave(tmp_path, "a/2", metrics=many))) == 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("0.10", "0.1"), (0.1, "0.1"), ("1e-3", "0.001"), (5, "5"), ("5.0", "5"), (True, "true")],
        *[("True", "true"), (None, ""), ("adam", "adam"), ([1, 2], "[1, 2]"), ("1_0", "1_0")],
        *[("", ""), ("nan", "nan"), ("=1", "=1"), ("9" * 60, "9" * 60), (1e400, "inf")],
    ],
)
def test_equal_values_have_equal_texts(value: object, text: str) -> None:
    assert text_of(value) == text


DIFFERING: dict[str, tuple[list[Known], list[str]]] = {
    "one differs": ([Known({"a": "1", "b": "2"}, True), Known({"a": "1", "b": "3"}, True)], ["b"]),
    "only some have it": ([Known({"a": "1", "b": "2"}, True), Known({"a": "1"}, True)], ["b"]),
    "its default is not known": ([Known({"a": "1", "b": "2"}, True), Known({}, False)], []),
    "given to one alone": ([Known({"a": "1"}, False), Known({}, False)], ["a"]),
    "equal": ([Known({"a": "1"}, True)] * 3, []),
    "none": ([], []),
}


@pytest.mark.parametrize("case", DIFFERING)
def test_parameters_that_differ_are_found(case: str) -> None:
    runs, names = DIFFERING[case]
    assert differing(runs) == names


def test_table_of_two_kinds_of_labs_fits_the_terminal(tmp_path: Path) -> None:
    for lab in ("digits", "flowers"):
        metrics = {f"{lab}_metric_{number}": number for number in range(4)}
        leave(tmp_path, f"{lab}/14-00", record=a_lab(**{f"{lab}_rate": 0.1}), metrics=metrics)
    comparison = Comparison.of(records_in(tmp_path / "outputs"), None)
    lines, left = comparing._fitting(comparison, comparison.records, 80)
    assert max(map(len, lines)) <= 80
    assert left == 8 - sum("_metric_" in word for word in lines[0].split())
    assert comparing._fitting(comparison, comparison.records, None)[1] == 8 - comparing._COLUMNS
    narrow, _ = comparing._fitting(comparison, comparison.records, 10)
    assert len(narrow[0].split()) == 3  # the run, its lab, and one metric


def test_table_shows_what_differs_and_marks_the_best(said: Said, tmp_path: Path) -> None:
    for number, (rate, accuracy) in enumerate(((0.1, 0.5), (0.01, 0.75), (0.001, 0.75))):
        metrics = {"parameters": {"rate": rate, "epochs": 3}, "accuracy": accuracy, "loss": 1.25}
        leave(tmp_path, f"digits/14-0{number}", record=a_lab(rate=rate), metrics=metrics)
    nan = {"parameters": {"rate": 1, "epochs": 3}, "accuracy": float("nan")}
    leave(tmp_path, "digits/14-07", metrics=nan)  # of an older version: it has no record
    leave(tmp_path, "digits/14-08", record=a_lab(rate=2))  # it failed before it had any
    code, out, _ = said("runs", "--compare", "--by", "max:accuracy")
    assert code == 0
    assert out.splitlines() == [
        "  RUN    rate   accuracy  loss",
        "* 14-01  0.01       0.75  1.25",
        "* 14-02  0.001      0.75  1.25",
        "  14-00  0.1         0.5  1.25",
        "  14-07  1           nan",
        "  14-08  2",
        "* is the best by max:accuracy.",
        "Last, without a finite accuracy: 2 runs.",
        "Next: lab show 14-01",
    ]
    code, out, _ = said("runs", "--compare", "*14-0[01]")
    assert out.splitlines() == [
        "RUN    rate  accuracy  loss",
        "14-00  0.1        0.5  1.25",
        "14-01  0.01      0.75  1.25",
        "Next: lab runs --compare '*14-0[01]' --by max:METRIC",
    ]
    document = json.loads(said("runs", "--compare", "--by", "min:accuracy", "--json")[1])
    assert [one["id"] for one in document["runs"] if one["is_best"]] == ["14-00"]
    assert (document["by"], document["differing"]) == ("min:accuracy", ["rate"])
    assert document["runs"][-2]["metrics"]["accuracy"] is None
    rows = [*csv.reader(io.StringIO(said("runs", "--compare", "digits", "--csv")[1]))]
    assert rows[0] == [
        "run",
        "lab",
        "started",
        "seconds",
        "exit_code",
        "commit",
        "rate",
        "epochs",
        "accuracy",
        "loss",
    ]
    assert rows[1] == ["14-00", "digits", "", "", "", "", "0.1", "3", "0.5", "1.25"]
    assert len(rows) == 6


def test_programs_are_compared_by_their_options_and_variables(said: Said, tmp_path: Path) -> None:
    words = ["python", "train.py", "--rate", "-1", "--fast", "--name=x"]
    leave(tmp_path, "train/1", record=program(*words, SEED="1"), metrics={"loss": 2})
    leave(tmp_path, "train/2", record=program(*words[:3], "0.10", SEED="2"), metrics={"loss": 3})
    leave(tmp_path, "other/3", metrics={"score": 3})
    lines = said("runs", "--compare", "train", "--by", "min:loss")[1].splitlines()
    assert lines[:3] == [
        "  RUN  rate  fast  name  SEED  loss",
        "* 1    -1    true  x     1        2",
        "  2    0.1               2        3",
    ]
    assert said("runs", "--compare")[1].splitlines()[0].split()[:2] == ["RUN", "LAB"]


def test_what_cannot_be_compared_is_told(said: Said, tmp_path: Path) -> None:
    assert "No run has results to compare yet." in said("runs", "--compare")[2]
    leave(tmp_path, "digits/1", metrics={"accuracy": 0.5, "bad": float("nan")})
    leave(tmp_path, "digits/2", metrics={"accuracy": 0.5})
    assert "These runs have the same parameters." in said("runs", "--compare")[1]
    for words, sentence in {
        "--by max:acuracy": "No run has a metric 'acuracy'. There are: accuracy, bad.",
        "--by max:bad": "No run has a number for 'bad'",
        "--by accuracy": "'accuracy' is not a goal.",
        "--by max:": "is not a goal.",
        "nothing": "No run with results matches 'nothing'.",
        "--plot x.jpg": "must end in .png.",
    }.items():
        code, _, err = said("runs", "--compare", *words.split())
        assert (code, sentence in err) == (2, True), (words, err)
    (tmp_path / "mine.png").write_text("mine")
    code, _, err = said("runs", "--compare", "--plot", str(tmp_path / "mine.png"))
    assert (code, "lab did not draw it, so it was kept." in err) == (2, True)


HOSTILE = {
    "format": 2,
    "command": ["x", "--a\x1b[2J", "\nNext: rm -rf ~"],
    "name": "../up",
    "commit": "-x",
    "versions": {"a\x1b[31m": "1", "b": []},
    "device": ["no text"],
    "host": "h" * 10**5,
    "sweep": "$(id)",
    "set": 1e99,
    "started": "yesterday",
    "ended": "2026-01-01",
    "seconds": -1,
    "exit_code": "0",
    "difference": "/etc/passwd",
}


def test_hostile_record_is_shown_and_does_nothing(said: Said, tmp_path: Path) -> None:
    name = "digits/14-05 $(id)\x1b[2J"
    leave(tmp_path, name, record=HOSTILE, metrics={"\x1b[2Jm\nNext: x": 1, "parameters": {"=1": 2}})
    leave(tmp_path, "digits/14-06", record="{", metrics="[")
    leave(tmp_path, "digits/14-07", record={"lab": "../../x.py", "parameters": [[1, 2], "x"]})
    os.mkfifo(leave(tmp_path, "digits/14-08", record={}) / "metrics.json")
    (tmp_path / "outputs/link").symlink_to("/etc")
    record = read_record(tmp_path / "outputs" / name)
    assert (record.run, record.commit, record.sweep, record.difference) == (None, "", "", "")
    assert (record.set, record.started, record.seconds) == (None, None, None)
    assert record.exit_code is None
    assert record.ended is not None
    assert record.ended.tzinfo is not None
    for words in (["runs", "--compare"], ["runs", "--compare", "--csv"], ["show", "14-05 "]):
        code, out, err = said(*words)
        assert code == 0, err
        assert "\x1b" not in out
        assert "Next: x" not in out.splitlines()
        assert "Next: rm" not in "".join(line[:8] for line in out.splitlines())
        assert not out.splitlines()[-1].startswith("Next: lab show 14-05 ")


def test_sets_of_a_sweep_are_compared_where_they_have_metrics(said: Said, tmp_path: Path) -> None:
    """One set alone, or files that say nothing, are looked at where they are."""
    sweep, project, steps = "2026-11-28_04-00-00", Project(root=tmp_path), []
    run = Run(lab="labs/digits.py", sweep=sweep)
    for number, metrics in enumerate((None, {"loss": float("nan")}, {"loss": 1})):
        leave(tmp_path, f"digits/{sweep}-{number}", record=a_lab(rate=number), metrics=metrics)
        steps.append(look_at_sweep(project, run))
    compare = f"lab runs --compare {sweep}"
    assert steps == ["look at outputs/digits", "look at outputs/digits", compare]
    assert (
        said("runs", "--compare", sweep)[1].splitlines()[-1] == f"Next: {compare} --by max:METRIC"
    )
    ranked = replace(run, optimize="min:test loss")
    assert look_at_sweep(project, ranked) == f"{compare} --by 'min:test loss'"


def test_spreadsheet_finds_no_formula(said: Said, tmp_path: Path) -> None:
    leave(tmp_path, "a/1", metrics={"parameters": {"x": "=cmd|' /C calc'!A0", "y": "-1"}, "m": -1})
    rows = [*csv.reader(io.StringIO(said("runs", "--compare", "--csv")[1]))]
    assert rows[1][-3:] == ["'=cmd|' /C calc'!A0", "-1", "-1.0"]


def test_sets_of_a_sweep_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("day-10", "day-2", "day", "10-day", "x"):
        leave(tmp_path, f"digits/{name}", metrics={"loss": 1})
    ids = [one.id for one in records_in(tmp_path / "outputs")]
    assert ids == ["10-day", "day", "day-2", "day-10", "x"]


@pytest.mark.slow
def test_thousands_of_runs_are_compared_in_seconds(said: Said, tmp_path: Path) -> None:
    for number in range(3000):
        metrics = {"parameters": {"seed": number}, "loss": number}
        leave(tmp_path, f"digits/{number:05}", record=a_lab(seed=number), metrics=metrics)
    began = time.process_time()
    code, out, _ = said("runs", "--compare", "--by", "min:loss")
    assert code == 0
    assert time.process_time() - began < 10
    assert "The best 20 of 3000; all of them: --all" in out
    assert len(out.splitlines()) == 24
    assert len(records_in(tmp_path / "outputs")) == 3000


FIND_RUNS = """\
import sys
from tensorboard.backend.event_processing.io_wrapper import GetLogdirSubdirectories
for folder in sorted(GetLogdirSubdirectories(sys.argv[1])):
    print(folder.removeprefix(sys.argv[1]))
"""


def runs_for_tensorboard(tmp_path: Path) -> NamedRuns:
    for number, rate in enumerate((0.1, 0.2)):
        folder = leave(tmp_path, f"digits/14-0{number}", record=a_lab(rate=rate, seed=1))
        (folder / "tb").mkdir()
        (folder / "tb" / "events.out.tfevents.1").touch()
    leave(tmp_path, "other/15-00", record=program("x", "--name", "a/\x1b[2J" + "x" * 200))
    other = leave(tmp_path, "other/15-01", metrics="{")
    (other / "events.out.tfevents.1").touch()
    (tmp_path / "outputs/events.out.tfevents.2").touch()
    os.mkfifo(leave(tmp_path, "other/15-02") / "run.json")
    return NamedRuns(tmp_path / "outputs", tmp_path / "session/runs")


def test_runs_of_tensorboard_are_named_by_what_differs(tmp_path: Path) -> None:
    runs = runs_for_tensorboard(tmp_path)
    runs.refresh()
    folder = tmp_path / "session/runs"
    assert sorted(path.name for path in (folder / "digits").iterdir()) == [
        "14-00 rate=0.1",
        "14-01 rate=0.2",
    ]
    names = sorted(path.name for path in (folder / "other").iterdir())
    assert names[1:] == ["15-01", "15-02"]
    assert names[0].startswith("15-00 name=a__[2Jxxx")
    assert len(names[0]) <= 110
    leave(tmp_path, "digits/14-02", record=a_lab(rate=0.3, seed=2))
    (tmp_path / "outputs/other/15-01").rename(tmp_path / "outputs/other/.gone")
    runs.refresh()
    assert sorted(path.name for path in (folder / "digits").iterdir()) == [
        "14-00 rate=0.1",
        "14-01 rate=0.2",
        "14-02 rate=0.3 seed=2",
    ]
    assert not (folder / "other/15-01").is_symlink()


@pytest.mark.slow
def test_tensorboard_finds_runs_by_their_names_and_pictures_are_drawn(
    said: Said, tmp_path: Path, environment: LabEnvironment
) -> None:
    runs_for_tensorboard(tmp_path).refresh()
    folder = tmp_path / "session/runs"
    done = subprocess.run(
        [environment.python, "-c", FIND_RUNS, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "",
        "/digits/14-00 rate=0.1/tb",
        "/digits/14-01 rate=0.2/tb",
        "/other/15-01",
    ]
    shutil.rmtree(tmp_path / "outputs")
    (tmp_path / ".venv").symlink_to(environment.python.parent.parent)
    for number, name in enumerate(("adam", "$\\x_{", "_sgd")):
        lines = "".join(f'{{"epoch": {epoch}, "loss": {epoch}}}\n' for epoch in range(number + 1))
        record = a_lab(rate=10.0**-number, name=name)
        metrics = {"loss": number, "bad": float("nan")}
        leave(tmp_path, f"digits/14-0{number}", record=record, metrics=metrics, lines=lines)
    picture = tmp_path / "pictures/runs.png"
    for goal in (["--by", "min:loss"], []):  # the second picture replaces the first
        code, out, err = said("runs", "--compare", "--plot", str(picture), *goal)
        assert code == 0, err
        assert f"Drawn: {picture}" in out.splitlines()
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.stat().st_size > 20_000
    leave(tmp_path, "equal/1", metrics={"loss": 1})
    code, out, err = said("runs", "--compare", "equal", "--plot", str(tmp_path / "one.png"))
    assert (code, (tmp_path / "one.png").exists()) == (0, True), err
