"""What `lab.toml` may say, and how a fault in it is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from baking import BakedProject

from ml_remote.errors import ConfigurationError
from ml_remote.settings import Settings, load_settings

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
    return load_settings(folder)


def test_settings_of_a_baked_project_are_read(default_project: BakedProject) -> None:
    settings = load_settings(default_project.path)
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
        ("", "lacks package in [project]"),
        (GOOD.replace('alias = "gpu"\n', ""), "lacks alias in [remote]"),
        (GOOD.replace('"gpu"', "7"), "alias in [remote] is 7"),
        (GOOD.replace('"gpu"', '""'), "alias in [remote] is ''"),
        (GOOD.replace('"gpu"', '"a\\nb"'), r"alias in [remote] is 'a\nb'"),
        (GOOD.replace('"auto"', '"pip"'), "allowed are auto, conda, mamba, micromamba, uv, venv"),
        (GOOD.replace('"digits"', '"my-digits"', 1), "package in [project] is 'my-digits'"),
        (GOOD.replace("[remote]", "[remote"), "not valid TOML"),
        ("remote = 3\n", "lacks package"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_fault_is_told_with_its_key(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as raised:
        load(tmp_path, text)
    assert str(tmp_path / "lab.toml") in str(raised.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist") as raised:
        load_settings(tmp_path)
    assert raised.value.hint is not None
