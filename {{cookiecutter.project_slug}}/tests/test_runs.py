"""Parameters, and where results go."""

import json
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import runs

DEFAULTS = {"epochs": 0, "learning_rate": 0.1, "dataset": "auto", "shuffle": True}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "5", 5),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "1", 1.0),
        ("dataset", "007", "007"),
        ("shuffle", "False", False),
    ],
)
def test_parameters_take_the_type_of_their_default(name: str, text: str, value: object) -> None:
    (settled,) = runs.typed_parameters([(name, text)], defaults=DEFAULTS).values()
    assert settled == value
    assert type(settled) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("epochs", "many"), ("epochs", "1.5"), ("shuffle", "2"), ("learning_rate", "")],
)
def test_value_of_another_type_is_refused(name: str, text: str) -> None:
    with pytest.raises(runs.ParameterError, match=f"{name} cannot be {text!r}"):
        runs.typed_parameters([(name, text)], defaults=DEFAULTS)


def test_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(runs.ParameterError, match=r"no parameter 'epoch'.*epochs, learning_rate"):
        runs.typed_parameters([("epoch", "1")], defaults=DEFAULTS)


def test_command_line_replaces_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_OUTPUT_DIR", str(tmp_path / "results"))
    monkeypatch.setattr("sys.argv", ["lab.py", "-p", "epochs", "7", "-p", "dataset", "-1e-3"])
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    run = runs.start_run("lab", DEFAULTS)
    assert (run.parameters.epochs, run.parameters.dataset, run.parameters.shuffle) == (
        7,
        "-1e-3",
        True,
    )
    run.save_metrics({"accuracy": 0.5})
    saved = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert saved == {"parameters": {**DEFAULTS, "epochs": 7, "dataset": "-1e-3"}, "accuracy": 0.5}


def test_parameter_without_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lab.py", "-p", "epochs"])
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    with pytest.raises(SystemExit, match="2"):
        runs.start_run("lab", DEFAULTS)
    assert "-p/--parameter: expected 2 arguments" in capsys.readouterr().err


def test_runs_within_one_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / runs.PROJECT_FILE).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAB_OUTPUT_DIR", raising=False)
    folders = {runs.results_folder("lab") for _ in range(5)}
    assert len(folders) == 5
    assert all(folder.parent == tmp_path / "outputs" / "lab" for folder in folders)


def test_project_is_found_from_a_folder_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / runs.PROJECT_FILE).touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert runs.project_root() == tmp_path
