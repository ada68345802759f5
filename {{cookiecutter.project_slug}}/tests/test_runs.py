"""Parameters, and where results go."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import runs

DEFAULTS = {"epochs": 0, "learning_rate": 0.1, "dataset": "auto", "shuffle": True}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., runs.Run]:
    """Begin a run of a plain script with these words on its command line."""
    monkeypatch.setenv("LAB_OUTPUT_DIR", str(tmp_path / "results"))
    monkeypatch.setattr("sys.excepthook", lambda *_: None)

    def start_with(*words: str) -> runs.Run:
        monkeypatch.setattr("sys.argv", ["lab.py", *words])
        return runs.start_run("lab", DEFAULTS)

    return start_with


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
def test_parameters_take_the_type_of_their_default(
    start: Callable[..., runs.Run], name: str, text: str, value: object
) -> None:
    settled = getattr(start("-p", name, text).parameters, name)
    assert settled == value
    assert type(settled) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "many"),
        ("epochs", "1.5"),
        ("shuffle", "2"),
        ("learning_rate", ""),
        ("epoch", "1"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(
    start: Callable[..., runs.Run], name: str, text: str
) -> None:
    with pytest.raises(runs.ParameterError, match=f"set {name} to {text!r}.*epochs = 0, learning"):
        start("--parameter", name, text)


def test_command_line_replaces_parameters(start: Callable[..., runs.Run], tmp_path: Path) -> None:
    run = start("-p", "epochs", "7", "-p", "dataset", "-1e-3")
    assert (run.parameters.epochs, run.parameters.dataset, run.parameters.shuffle) == (
        7,
        "-1e-3",
        True,
    )
    run.save_metrics({"accuracy": 0.5})
    saved = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert saved == {"parameters": {**DEFAULTS, "epochs": 7, "dataset": "-1e-3"}, "accuracy": 0.5}


@pytest.mark.parametrize("words", [["-p", "epochs"], ["--epochs", "5"], ["--help"]])
def test_other_words_are_answered_with_the_usage(
    start: Callable[..., runs.Run], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        start(*words)
    assert "lab.py [-p NAME VALUE]...   of: epochs = 0, learning_rate" in capsys.readouterr().err


def test_runs_within_one_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAB_OUTPUT_DIR", raising=False)
    monkeypatch.setattr("sys.argv", ["lab.py"])
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    folders = {runs.start_run("lab", DEFAULTS).folder for _ in range(5)}
    assert len(folders) == 5
    assert all(folder.parent == tmp_path / "outputs" / "lab" for folder in folders)


def test_project_is_found_from_a_folder_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.toml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert runs.project_root() == tmp_path
