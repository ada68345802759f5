"""The interpreter in the settings of VS Code, where a repository becomes a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_remote.editor.json_with_comments import read_object
from ml_remote.initialising import proposed_files

LINE = '"python.defaultInterpreterPath": "${workspaceFolder}/.venv/bin/python"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", f"{{\n  {LINE}}}"),
        (
            "// of the team { }\n/* { */ {\n}\n",
            f"// of the team {{ }}\n/* {{ */ {{\n  {LINE}\n}}\n",
        ),
        ('{"a": 1} // {', f'{{\n  {LINE},"a": 1}} // {{'),
        ("{ /* none, */ , }", f"{{\n  {LINE} /* none, */ , }}"),
        (f"{{{LINE}}}", None),
        ('{\r\n  "a": 1\r\n}\r\n', f'{{\r\n  {LINE},\r\n  "a": 1\r\n}}\r\n'),
        ('\ufeff{"a": 1}', f'\ufeff{{\n  {LINE},"a": 1}}'),
    ],
)
def test_interpreter_is_put_behind_the_first_brace(
    tmp_path: Path, before: str, after: str | None
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(before.encode())
    others = read_object(path, hint="")
    assert proposed_files.vscode(path) == (None if after is None else after.encode())
    if after is not None:
        path.write_bytes(after.encode())
        assert read_object(path, hint="") == others | json.loads(f"{{{LINE}}}")
        assert proposed_files.vscode(path) is None
