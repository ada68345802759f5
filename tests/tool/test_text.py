"""What others have written is shown so that a terminal obeys none of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_remote import cli
from ml_remote.errors import LabError
from ml_remote.ui import display
from ml_remote.ui.console import Console
from ml_remote.ui.text import in_one_line, log_text, shown, without_colours

HOSTILE = {
    "clipboard": "\x1b]52;c;Y3VybA==\x07",
    "window title": "\x1b]0;title\x1b\\",
    "cursor": "\x1b[1A\x1b[2K",
    "C1 control": "\x9b31m\x90\x9c",
    "bidirectional": "\u202etxt.exe\u2066\u2069\u200f",
    "invisible": "a\u200bb\xadc\ufeff",
    "bell and backspace": "\a\b\b\v\f\x7f",
    "undecodable": "\udcff\udc9b",
    "tags": "\U000e0041\U000e0001",
}


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str) -> None:
    assert is_harmless(shown(f"before {text}\nafter"))
    assert is_harmless(log_text(f"before {text}\nafter"))
    assert in_one_line(f"{text}\r\n").isprintable()
    assert shown("\x1b") == "\\x1b"


def test_of_very_much_both_ends_are_shown() -> None:
    text = shown(f"first{'x' * 2_000_000}last")
    assert text.startswith("first")
    assert text.endswith("last")
    assert len(text) < 600_000


def test_people_can_still_write_as_they_do() -> None:
    for text in ("größer → 日本 🙂", "a\tb\n  c", "1\u2009000\xa0km\u3000"):
        assert shown(text) == text


@settings(max_examples=30)
@given(st.text())
def test_nothing_that_is_shown_moves_a_terminal(text: str) -> None:
    once = shown(text)
    assert all(letter.isprintable() or letter.isspace() for letter in once)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", once)
    assert shown(once) == once
    rest = re.sub(r"\x1b\[[0-9;]*m", "", log_text(text)).replace("\r", "")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", rest)


def test_log_keeps_colours_and_the_carriage_returns_of_progress_bars() -> None:
    line = "\x1b[1;32m 50 %\x1b[0m\r\x1b[38;5;9m100 %\x1b[m"
    assert log_text(line) == line
    assert log_text("\x1b[31mred") == "\x1b[31mred\x1b[0m"
    assert log_text("\x1b[8mhidden\x1b[?25l") == "\x1b[8mhidden\\x1b[?25l\x1b[0m"


@pytest.mark.parametrize("show", [shown, log_text])
@pytest.mark.parametrize("text", ["Next: rm -r x", "a\nNext: rm -r x"])
def test_no_line_of_others_looks_like_the_next_step(show: Callable[[str], str], text: str) -> None:
    assert not re.search(r"(?m)^(\x1b\[[\d;]*m)*Next:", show(text))
    assert "Next: rm -r x" in show(text)
    coloured = log_text("50 %\r\x1b[1mNext:\x1b[0m rm -r x")
    assert re.search(r"[\r\n](\x1b\[[\d;]*m)*Next:", coloured) is None
    for divided in ("N\x1b[0mext: rm -r x", "a\nNext\x1b[1m\x1b[4m: rm -r x"):
        assert re.search(r"(?m)^Next:", without_colours(log_text(divided))) is None


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_everything_that_a_console_is_given_is_shown_so(
    text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console()
    monkeypatch.setattr(console, "has_terminal", lambda: True)

    def answer(prompt: str) -> str:
        click.echo(prompt)
        return "y"

    monkeypatch.setattr(click.termui, "visible_prompt_func", answer)
    console.say(text, label="label ", fg="red")
    for method in (console.note, console.warn, console.log, console.diff, console.next_step):
        method(text)
    console.error(text, hint=text)
    assert console.confirm(text, yes=False)
    assert console.ask(text) == "y"
    with display.steps() as steps:
        steps.begin(text)
        steps.line(text)
    with display.transfer_bar(text):
        pass
    printed = "".join(capfd.readouterr())
    assert printed.count("\\") >= 10
    assert is_harmless(printed)


@pytest.mark.parametrize("debugging", ["", "1"])
def test_errors_and_tracebacks_are_shown_so(
    debugging: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(HOSTILE.values())

    def fail() -> None:
        raise LabError(text, hint=text)

    def fall() -> None:
        raise OSError(5, text, text)

    monkeypatch.setenv("LAB_DEBUG", debugging)
    for broken in (fail, fall):
        monkeypatch.setitem(cli.lab.commands, "status", click.Command("status", callback=broken))
        assert cli.main(["status"]) == 1
        printed = "".join(capfd.readouterr())
        assert "\\x1b]52" in printed
        assert ("Traceback" in printed) == bool(debugging)
        assert is_harmless(printed)
