"""The variables that `--env` and `--env-file` give a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_remote.errors import UsageError
from ml_remote.runs.variables import given_variables

FILE = """\
# a remark

A=plain value   # a remark
B=no#remark
export C="double \\"quoted\\" # no remark"  # a remark
\texport D = 'single $HOME "x" \\n'
E="two
lines"
F="a\\nb\\tc\\\\d"
G=
H=first
H=second
I=a=b=c
J=it's
"""
VALUES = {
    "A": "plain value",
    "B": "no#remark",
    "C": 'double "quoted" # no remark',
    "D": 'single $HOME "x" \\n',
    "E": "two\nlines",
    "F": "a\nb\tc\\d",
    "H": "second",
    "I": "a=b=c",
    "J": "it's",
}


@pytest.mark.parametrize("change", [("", ""), ("\n", "\r\n")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_file_is_read_as_sh_and_others_write_it(
    tmp_path: Path, change: tuple[str, str], mark: str
) -> None:
    path = tmp_path / "my vars.env"
    text = FILE.replace(*change) if change[0] else FILE
    path.write_bytes(f"{mark}{text}".encode())
    given = given_variables([], str(path))
    assert given.secret == VALUES
    assert given.recorded == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A", "Line 2 of"),
        ("rm -rf x", "Line 2 of"),
        ('A="never closed', "Line 2 of"),
        ("A='x'y", "Line 2 of"),
        ("1A=x", "Line 2 of"),
        ("A-B=x", "Line 2 of"),
        ("PATH=x", "PATH has a special meaning"),
        ("LAB_JOB=x", "LAB_JOB has a special meaning"),
        (f"A={'x' * 70_000}", "longer than 64 KiB"),
    ],
)
def test_line_that_means_nothing_is_named_and_not_shown(
    tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"KEY=secret-value\n{line}\n")
    with pytest.raises(UsageError, match=said) as error:
        given_variables([], str(path))
    assert "secret-value" not in error.value.message
    assert "xxxxx" not in error.value.message


def test_last_word_about_a_name_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=of the file\nB=of the file\n")
    monkeypatch.setenv("C", "of the laptop")
    given = given_variables(["A=given", "C=given", "C"], str(path))
    assert given.recorded == (("A", "given"),)
    assert given.secret == {"B": "of the file", "C": "of the laptop"}
    monkeypatch.delenv("C")
    with pytest.raises(UsageError, match="C is not set here"):
        given_variables(["C"], None)
    for name in (str(tmp_path), str(tmp_path / "gone")):
        with pytest.raises(UsageError, match="cannot be read as a file of variables"):
            given_variables([], name)
