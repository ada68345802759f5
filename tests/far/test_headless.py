"""What a headless run refuses before it loads anything large, and how it tells its progress."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ml_remote.far.__main__ import main
from ml_remote.far.env import headless, parameters

LAB = """# %% [markdown]
# # 1. The data

# %% tags=["parameters"]
epochs = 3
"""
DEFAULTS = {
    "epochs": 0,
    "learning_rate": 0.1,
    "dataset": "auto",
    "shuffle": True,
    "layers": [64, 32],
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lab in a project that has nothing else."""
    (tmp_path / "lab.toml").touch()
    (tmp_path / "labs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAB_OUTPUT_DIR", raising=False)
    path = tmp_path / "labs" / "small.py"
    path.write_text(LAB)
    return path


def test_lab_that_does_not_exist_is_refused(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["headless", "labs/nolab.py"]) == 2
    said = capsys.readouterr().err
    assert "There is no lab 'labs/nolab.py'. The labs of this project: labs/small.py." in said
    assert not Path("outputs").exists()


def test_unknown_parameter_is_refused(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["headless", str(lab), "-p", "epoch", "1"]) == 2
    assert "no parameter 'epoch'. It has: epochs." in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_lab_with_a_byte_order_mark_is_read_as_one_without(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.write_bytes(b"\xef\xbb\xbf" + b'# %% tags=["parameters"]\r\nepochs = 3\r\n')
    assert main(["headless", str(lab), "-p", "epoch", "1"]) == 2
    assert "It has: epochs." in capsys.readouterr().err
    lab.write_bytes(b"# caf\xe9")
    assert main(["headless", str(lab)]) == 2
    assert "cannot be read as a lab" in capsys.readouterr().err


def test_parameter_without_value_is_refused(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["headless", str(lab), "-p", "epochs"])
    assert "-p/--parameter: expected 2 arguments" in capsys.readouterr().err


def test_folder_without_project_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["headless", "labs/nolab.py"]) == 2
    assert "There is no lab.toml in" in capsys.readouterr().err


def test_part_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == main([]) == 2
    assert "headless, labs, serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "5", 5),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "1", 1.0),
        ("dataset", "007", "007"),
        ("shuffle", "False", False),
        ("layers", "[128]", [128]),
        ("layers", "(8, 4)", [8, 4]),
    ],
)
def test_parameters_take_the_type_of_their_default(name: str, text: str, value: object) -> None:
    (settled,) = parameters.typed_parameters([(name, text)], defaults=DEFAULTS).values()
    assert settled == value
    assert type(settled) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "many"),
        ("epochs", "1.5"),
        ("shuffle", "2"),
        ("learning_rate", ""),
        ("layers", "128"),
        ("layers", "[128"),
        ("layers", "{[1]: 2}"),
    ],
)
def test_value_of_another_type_is_refused(name: str, text: str) -> None:
    with pytest.raises(parameters.RunError, match=re.escape(f"{name} cannot be {text!r}")):
        parameters.typed_parameters([(name, text)], defaults=DEFAULTS)


def test_runs_within_one_second_get_folders_of_their_own(lab: Path) -> None:
    folders = {parameters.results_folder("lab") for _ in range(5)}
    assert len(folders) == 5
    assert all(folder.parent == Path.cwd() / "outputs" / "lab" for folder in folders)


@pytest.mark.parametrize("wanted", ["people", "json"])
def test_progress_is_for_people_or_for_programs(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("LAB_PROGRESS", wanted)
    notebook = headless._read(lab)
    announce = headless._announcer(notebook)
    for index, cell in enumerate(notebook.cells):
        announce(cell=cell, cell_index=index)
    (line,) = capsys.readouterr().out.splitlines()
    if wanted == "json":
        assert json.loads(line) == {
            "event": "cell",
            "number": 1,
            "of": 1,
            "heading": "1. The data",
        }
    else:
        assert line == "[1/1] 1. The data"


@pytest.mark.parametrize(
    ("error", "message", "lacks"),
    [
        ("DataError", "MNIST cannot be fetched.", True),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data/birds/a.csv'", True),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '{root}/data/a.csv'", True),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/elsewhere/a.csv'", False),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'database/a.csv'", False),
        ("FileNotFoundError", "no name", False),
        ("ValueError", "'data/birds/a.csv'", False),
    ],
)
def test_cell_that_fails_for_want_of_data_is_told_from_one_that_is_wrong(
    lab: Path, monkeypatch: pytest.MonkeyPatch, error: str, message: str, lacks: bool
) -> None:
    monkeypatch.delenv("LAB_DATA_DIR", raising=False)
    assert headless._lacks_data(error, message.format(root=Path.cwd())) is lacks
    monkeypatch.setenv("LAB_DATA_DIR", "/elsewhere")
    elsewhere = "[Errno 2] No such file or directory: '/elsewhere/a.csv'"
    assert headless._lacks_data("FileNotFoundError", elsewhere)
