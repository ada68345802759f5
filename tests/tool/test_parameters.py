"""`-p NAME=VALUE` and `-p NAME VALUE`: parameters in one word or in two."""

from __future__ import annotations

import pytest

from ml_remote.commands.run import _in_two_words
from ml_remote.far.env.parameters import split_parameters

PAIRS = {
    "-p lr=0.1": ["-p", "lr", "0.1"],
    "-p lr 0.1": ["-p", "lr", "0.1"],
    "-plr=0.1": ["-p", "lr", "0.1"],
    "--parameter=lr=a=b": ["-p", "lr", "a=b"],
    "-p lr=a=b": ["-p", "lr", "a=b"],
    "-p lr= x": ["-p", "lr", "", "x"],
    "-p text a=b": ["-p", "text", "a=b"],
    "-p text -p -p a=1": ["-p", "text", "-p", "-p", "a", "1"],
    "--parameter seed=-1 lab": ["--parameter", "seed", "-1", "lab"],
    "--env A=b -p": ["--env", "A=b", "-p"],
    "-p 1=2 3": ["-p", "1=2", "3"],
    "-p": ["-p"],
}


@pytest.mark.parametrize("words", PAIRS)
def test_parameter_is_given_in_one_word_or_two(words: str) -> None:
    assert _in_two_words(words.split(" ")) == PAIRS[words]


def test_headless_run_takes_both_forms() -> None:
    words = ["labs/x.py", "-p", "a=b=c", "-p", "d", "e=f", "--parameter", "g=", "-p", "h", "-1"]
    assert split_parameters(words) == (
        [("a", "b=c"), ("d", "e=f"), ("g", ""), ("h", "-1")],
        ["labs/x.py"],
    )
