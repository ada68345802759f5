"""JSON and TOML that others wrote: nested without end, or with a byte order mark in front."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tool_source import calls

from ml_remote.editor.json_with_comments import read_object
from ml_remote.errors import ConfigurationError
from ml_remote.initialising.repository import look
from ml_remote.parsing import parse_json, parse_toml
from ml_remote.tables import read_toml

DEEP = "[" * 100_000


@pytest.mark.parametrize(("parse", "text"), [(parse_json, DEEP), (parse_toml, f"x = {DEEP}")])
def test_values_that_are_nested_without_end_are_an_ordinary_error(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(text)


def test_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse_json('\ufeff{"a": 1}') == parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert parse_toml("\ufeffa = 1\r\n") == {"a": 1}


def test_files_with_either_are_read_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, tables = tmp_path / "settings.json", tmp_path / "lab.toml"
    settings.write_text(f'{{"a": {DEEP}')
    tables.write_text(f"a = {DEEP}")
    with pytest.raises(ConfigurationError, match=r"settings\.json is not valid JSON: its values"):
        read_object(settings, hint="")
    with pytest.raises(ConfigurationError, match=r"lab\.toml is not valid TOML: its values"):
        read_toml(tables)
    settings.write_bytes(b"\xef\xbb\xbf// mine\r\n{}\r\n")
    tables.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert (read_object(settings, hint=""), read_toml(tables)) == ({}, {"a": 1})

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(f"x = {DEEP}")
    assert look().source == "pyproject.toml"  # told by what reads it
    pyproject.write_bytes(b"\xef\xbb\xbf[project]\r\nrequires-python = '>=3.13'\r\n")
    assert look().python == "3.13"


def test_nothing_on_this_computer_is_parsed_in_another_way() -> None:
    wrong = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        if not path.startswith("far/") and path != "parsing.py"
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("loads", "load")
        if ast.unparse(call.func.value) in ("json", "tomllib")
    ]
    assert wrong == []
