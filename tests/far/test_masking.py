"""Secrets are masked in a stream, however it is cut, and nothing is held back for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_remote.far.login import program
from ml_remote.far.login.masking import (
    MASK,
    SHORTEST,
    Masker,
    masked_notebook,
    masked_text,
    masked_values,
)

LETTERS = st.text("ab\n", min_size=SHORTEST, max_size=12)
# Of few letters, so that values overlap, begin alike and contain each other.
VALUES = st.lists(LETTERS, min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.data(), VALUES)
def test_no_value_is_left_however_the_stream_is_cut(data: st.DataObject, values: list[str]) -> None:
    parts = st.one_of(st.sampled_from(values), st.text("abc\n", max_size=3))
    text = "".join(data.draw(st.lists(parts, max_size=6))).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    masker = Masker(values)
    output = b""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        output += masker.feed(text[start:end])
        if data.draw(st.booleans()):  # a pause
            output += masker.flush()
            assert masker.flush() == b""
    output += masker.flush()
    for value in masked_values(values):
        assert value.encode() not in output


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_what_is_no_secret_comes_as_it_was(text: bytes, cuts: list[int]) -> None:
    masker = Masker(["correct horse battery"])
    cuts = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert b"".join(map(masker.feed, pieces)) + masker.flush() == text


def test_values_are_found_as_programs_print_them() -> None:
    key = "-----BEGIN KEY-----\nabc'def&\n-----END KEY-----\n"
    masker = Masker([key, "short", "hunter2-hunter2"])
    for printed in (key, key.replace("\n", "\r\n"), repr(key), "say hunter2-hunter2!"):
        output = masker.feed(printed.encode()) + masker.flush()
        assert MASK.encode() in output
        assert b"KEY" not in output
        assert b"hunter2" not in output
    assert masker.feed(b"this is short\n") == b"this is short\n"
    assert masker.feed(b"Password: hunter2-") == b"Password: "
    assert masker.flush() == b"hunter2-"  # a prompt is not held back for ever
    assert masker.feed(b"hunter2\n") == b"***\n"
    cell = {"text": ["a hunter2-hunter2"], "data": {"text/plain": repr(key)}, "n": 1}
    assert masked_text(cell, [key, "hunter2-hunter2"]) == {
        "text": ["a ***"], "data": {"text/plain": '"***\\n"'}, "n": 1
    }  # fmt: skip


def test_cell_that_prints_a_value_in_pieces_is_masked() -> None:
    def stream(name: str, text: str) -> dict[str, object]:
        return {"output_type": "stream", "name": name, "text": text}

    error = {"output_type": "error", "evalue": "hunter2-hunter2", "traceback": ["hunter2-hunter2"]}
    pieces = [stream("stdout", "a hunter2-"), stream("stderr", "b"), stream("stdout", "hunter2\n")]
    cells = [{"cell_type": "code", "outputs": [*pieces, error]}, {"cell_type": "markdown"}]
    masked = masked_notebook({"cells": cells}, ["hunter2-hunter2"])
    texts = [stream("stdout", "a "), stream("stderr", "b"), stream("stdout", "***\n")]
    hidden = {"output_type": "error", "evalue": "***", "traceback": ["***"]}
    assert masked == {
        "cells": [{"cell_type": "code", "outputs": [*texts, hidden]}, {"cell_type": "markdown"}]
    }


def test_run_ends_although_something_in_the_background_prints_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output: list[bytes] = []
    monkeypatch.setattr(program, "REST", 0.05)
    monkeypatch.setattr(program, "_write", output.append)
    reading, writing = os.pipe()

    def print_on() -> None:
        with suppress(OSError):  # nobody reads any more
            while True:
                os.write(writing, b"x\n")

    printing = threading.Thread(target=print_on)
    printing.start()
    program._pass_on(reading, subprocess.Popen([sys.executable, "-V"]), Masker(["long secret"]))
    os.close(reading)
    printing.join()
    os.close(writing)
    assert set(b"".join(output).split()) >= {b"x"}
