"""JSON with comments, as VS Code writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_remote.editor.json_with_comments import read_object
from ml_remote.errors import ConfigurationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "file.json"
    path.write_text(text, encoding="utf-8")
    return read_object(path, hint="fix it")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("{}", {}),
        ('// first\n{"a": 1} // last', {"a": 1}),
        ('{"a": /* here\nand there */ 1,}', {"a": 1}),
        ('{"a": [1, 2, ], // two\n}', {"a": [1, 2]}),
        ('{"a": "http://b/*c*/,]"}', {"a": "http://b/*c*/,]"}),
        ('{"a": "\\\\", "b": "\\"//"}', {"a": "\\", "b": '"//'}),
    ],
)
def test_comments_and_spare_commas_are_left_out(
    tmp_path: Path, text: str, content: dict[str, Any]
) -> None:
    assert read(tmp_path, text) == content


@pytest.mark.slow
@given(content=st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_plain_json_stays_what_it_is(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert read(folder, json.dumps(content, ensure_ascii=True)) == content


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": }', "/* open"])
def test_anything_else_is_refused_with_the_file_and_what_to_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"file\.json") as error:
        read(tmp_path, text)
    assert error.value.hint == "fix it"
