"""What `lab.toml` may say, and how a fault in it is told."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from baking import BakedProject

from ml_remote import tables
from ml_remote.context import Context
from ml_remote.errors import ConfigurationError
from ml_remote.pins import read_pin
from ml_remote.project import Project
from ml_remote.settings import FORMAT, Settings

GOOD = """\
[project]
package = "digits"
[remote]
alias = "gpu"
folder = "digits"
[environment]
manager = "auto"
python = "3.12"
"""


def load(folder: Path, text: str | bytes) -> Settings:
    data = text.encode() if isinstance(text, str) else text
    (folder / "lab.toml").write_bytes(data)
    return Project(root=folder).settings


def test_settings_of_a_baked_project_are_read(default_project: BakedProject) -> None:
    settings = Project(root=default_project.path).settings
    assert settings.package == "handwriting_lab"
    assert settings.alias == "handwriting-lab"
    assert settings.folder == "handwriting-lab"
    assert settings.manager == "auto"
    assert settings.python.startswith("3.")


def test_unknown_keys_are_left_to_others(tmp_path: Path) -> None:
    assert load(tmp_path, f'{GOOD}\n[mine]\nthing = "x"\n').alias == "gpu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no alias in [remote]"),
        (GOOD.replace('alias = "gpu"\n', ""), "has no alias in [remote]"),
        (GOOD.replace('"gpu"', "7"), "alias in [remote] is 7"),
        (GOOD.replace('"gpu"', '""'), "alias in [remote] is ''"),
        (GOOD.replace('"gpu"', '"a\\nb"'), r"alias in [remote] is 'a\nb'"),
        (
            GOOD.replace('"auto"', '"pip"'),
            "must be one of auto, conda, mamba, micromamba, uv, venv",
        ),
        (GOOD.replace('"digits"', '"my-digits"', 1), "package in [project] is 'my-digits'"),
        (GOOD.replace("[remote]", "[remote"), "not valid TOML"),
        ("remote = 3\n", "remote is 3; it must be a table: [remote]."),
        ("slurm = 3\n" + GOOD, "slurm is 3; it must be a table: [slurm]."),
        ('format = "2"\n' + GOOD, "format is '2'; it must be a whole number"),
        ("format = 0\n" + GOOD, "format is 0; it must be a whole number"),
        ("format = true\n" + GOOD, "format is True; it must be a whole number"),
        (b"\xff\xfe", "not UTF-8"),
        (GOOD.replace("3.12", "2.7"), "python in [environment] is '2.7'; it must be 3.11 or newer"),
        (GOOD.replace("3.12", "3.10.4"), "python in [environment] is '3.10.4'"),
        (GOOD.replace("3.12", "3.12; rm -r ~"), "python in [environment] is"),
        (GOOD.replace("3.12", "./python"), "python in [environment] is"),
        (GOOD.replace("3.12", ">=3.12"), "python in [environment] is"),
        (GOOD.replace('"3.12"', '"3.12"\ntorch = "cuda"'), "torch in [environment] is 'cuda'"),
        (GOOD.replace('"3.12"', '"3.12"\ntorch = "cu126; ls"'), "torch in [environment] is"),
        (GOOD.replace('"3.12"', '"3.12"\ntorch = 126'), "torch in [environment] is 126"),
        (GOOD + '[outputs]\nfolders = ["../x"]\n', "each must be a folder in the project"),
        (GOOD + '[outputs]\nfolders = ["data/x"]\n', "data/ is never part of results"),
    ],
)
def test_fault_is_told_with_its_key(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as raised:
        load(tmp_path, text)
    assert str(tmp_path / "lab.toml") in str(raised.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no lab\.toml in") as raised:
        Project(root=tmp_path).alias()
    assert raised.value.hint is not None


@pytest.mark.parametrize(("line", "number"), [("", 1), ("format = 1\n", 1), ("format = 2\n", 2)])
def test_every_format_up_to_ours_is_known(tmp_path: Path, line: str, number: int) -> None:
    assert load(tmp_path, line + GOOD).format == number


def test_newer_format_is_named_before_anything_else(tmp_path: Path) -> None:
    text = f'format = {FORMAT + 1}\n[remote]\nmeant = "in another way"\n'
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, text)
    assert f"has format {FORMAT + 1}" in str(raised.value)
    assert f"supports formats up to {FORMAT}" in str(raised.value)
    assert "lab --version" in str(raised.value.hint)


@pytest.mark.parametrize("build", ["auto", "cpu", "cu92", "cu126", "rocm6.4", "rocm6.2.4", "xpu"])
def test_builds_of_torch_are_what_uv_knows(tmp_path: Path, build: str) -> None:
    text = GOOD.replace('"3.12"', f'"3.12"\ntorch = "{build}"')
    assert load(tmp_path, text).torch == build


def test_alias_and_folder_are_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, '[remote]\nalias = "gpu"\nfolder = "digits"\n')
    assert settings.package is None
    assert (settings.manager, settings.python) == ("auto", "3.12")


LOCAL = """\
format = 99
[remote]
alias = "mine"
[environment]
manager = "uv"
[tool]
path = "/somewhere"
"""


def test_local_file_wins_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "lab.local.toml").write_text(LOCAL)
    settings = load(tmp_path, GOOD)
    assert (settings.alias, settings.folder) == ("mine", "digits")
    assert (settings.manager, settings.python) == ("uv", "3.12")
    assert settings.format == 1  # what the project is does not depend on one person


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("[remote]\nalias = 7\n", "alias in [remote] is 7"),
        ('[environment]\nmanager = "pip"\n', "must be one of auto"),
        ("remote = 3\n", "remote is 3; it must be a table"),
        ('[slurm]\ntime = "4h"\n', "time in [slurm] is '4h'"),
        ("[sessions]\nidle_hours = -1\n", "idle_hours in [sessions] is -1"),
        ("[sessions]\ncard_idle_hours = true\n", "card_idle_hours in [sessions] is True"),
        ('[sessions]\nkeep_kernels = "no"\n', "keep_kernels in [sessions] is 'no'"),
        ("[remote\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_fault_in_the_local_file_is_told_with_that_file(
    tmp_path: Path, local: str | bytes, words: str
) -> None:
    path = tmp_path / "lab.local.toml"
    path.write_bytes(local.encode() if isinstance(local, str) else local)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as raised:
        load(tmp_path, GOOD)
    assert str(raised.value).startswith(str(path))


def test_fault_in_the_shared_file_is_told_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "lab.local.toml").write_text('[remote]\nalias = "mine"\n')
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, GOOD.replace('"digits"\n[environment]', '"~/digits"\n[environment]'))
    assert str(raised.value).startswith(str(tmp_path / "lab.toml"))


def test_unknown_names_of_ones_own_file_are_told_and_go_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab.toml").write_text(GOOD)
    (tmp_path / "lab.local.toml").write_text(
        '[remote]\nalais = "x"\nfolder = "y"\n[secrets]\ntoken = "t0"\n[sessons]\nidle_hours = 1\n'
    )
    context = Context(project=Project(root=tmp_path))
    for _ in range(2):
        assert context.project.settings.folder == "y"
    said = capsys.readouterr().err
    assert said.count("lab.local.toml has settings that lab does not know") == 1
    assert "alais (did you mean alias?) in [remote], secrets, sessons (did you mean" in said
    handed = context.project.tables.text()
    assert "t0" not in handed
    assert "alais" not in handed
    assert 'folder = "y"' in handed


def test_what_a_setup_has_left_on_the_machine_counts_until_a_file_is_newer(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(GOOD)
    handed = tmp_path / ".lab" / "settings.toml"
    handed.parent.mkdir()
    handed.write_text(GOOD.replace("3.12", "3.13") + '[tool]\npath = "/elsewhere"\n')
    assert Project(root=tmp_path).settings.python == "3.13"
    assert "tool" not in Project(root=tmp_path).tables.merged
    os.utime(tmp_path / "lab.toml", (time.time() + 9, time.time() + 9))
    assert Project(root=tmp_path).settings.python == "3.12"


def test_nothing_of_the_shared_file_names_a_program_or_a_folder_of_the_tool(tmp_path: Path) -> None:
    """What the repository says never decides what runs on this computer."""
    (tmp_path / "lab.toml").write_text(GOOD + '[tool]\npath = "evil"\n[editor]\nprogram = "evil"\n')
    (tmp_path / "lab.py").write_text("# /// script\n# dependencies = []\n# ///\n")
    (tmp_path / "evil").mkdir()
    assert read_pin(tmp_path) is None
    assert "evil" not in repr(Project(root=tmp_path).settings)
    assert "evil" not in tables.Tables.text(Project(root=tmp_path).tables).partition("[editor]")[0]


def test_shared_file_names_no_folder_on_this_computer(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(f'{GOOD}folder = "/evil"\ncache = "/evil"\ntorch = "cpu"\n')
    own = tmp_path / "lab.local.toml"
    text = Project(root=tmp_path).tables.text_for_here()
    assert "/evil" not in text
    assert 'torch = "cpu"' in text
    own.write_text('[environment]\nfolder = "/mine"\n')
    text = Project(root=tmp_path).tables.text_for_here()
    assert 'folder = "/mine"' in text
    assert "/evil" not in text
    assert "/evil" in Project(root=tmp_path).tables.text()


def test_merged_settings_are_one_file_that_means_the_same(tmp_path: Path) -> None:
    special = '\n[mine]\ntext = "größer \\" \\\\ \\u007f\\n"\ndays = [2026-11-26, 1.5, true]\n'
    (tmp_path / "lab.toml").write_text("format = 2\n" + GOOD + special, encoding="utf-8")
    (tmp_path / "lab.local.toml").write_text(LOCAL, encoding="utf-8")
    project = Project(root=tmp_path)
    merged = tmp_path / "there"
    merged.mkdir()
    (merged / "lab.toml").write_text(project.tables.text(), encoding="utf-8")
    assert Project(root=merged).settings == project.settings
    without_the_tool = {key: value for key, value in project.tables.merged.items() if key != "tool"}
    assert Project(root=merged).tables.merged == without_the_tool
    assert project.settings.alias == "mine"
