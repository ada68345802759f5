"""The interpreter in the settings of VS Code, where a repository becomes a project."""

from __future__ import annotations

from pathlib import Path

import pytest

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
        (f"{{{LINE}}}", None),
    ],
)
def test_interpreter_is_put_behind_the_first_brace(
    tmp_path: Path, before: str, after: str | None
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(before)
    assert proposed_files.vscode(path) == (None if after is None else after.encode())
    if after is not None:
        path.write_text(after)
        assert proposed_files.vscode(path) is None
