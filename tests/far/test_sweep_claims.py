"""Who has which set of a sweep: what happens between two looks at the same claim."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ml_remote.far.login.sweep_claims import Claims
from ml_remote.far.login.sweep_sets import add_set, sets_in

DONE = {"set": 1, "exit_code": 0, "seconds": 1, "ended": 1, "run": "one", "said": ""}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for name in ("claims", "done", "rounds"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("look", ["has_ended", "_is_alive"])
def test_set_that_ends_while_another_worker_looks_is_not_run_again(
    sweep: Path, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Claims(sweep), Claims(sweep)
    assert first.take([1]) == (1, True)

    def late(*_: object) -> bool:
        monkeypatch.undo()
        first.finish(1, DONE)
        return False

    monkeypatch.setattr(second, look, late)
    assert second.take([1]) == (None, False)
    assert [path.name for path in (sweep / "claims").iterdir()] == ["1.0"]


def test_files_that_a_loss_of_power_has_emptied_stop_nothing(sweep: Path) -> None:
    first, second = Claims(sweep), Claims(sweep)
    assert first.take([1]) == (1, True)
    first.finish(1, DONE)
    for path in (sweep / "done/1.json", sweep / "claims/1.0"):
        path.write_text("")
    assert second.take([1]) == (1, True)
    assert second.is_repeated
    second.finish(1, DONE)
    assert (second.take([1]), len(second.outcomes())) == ((None, False), 1)


def test_claim_is_made_though_the_answer_was_lost(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def ask_twice(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", ask_twice)
    assert Claims(sweep).take([1]) == (1, True)
    assert Claims(sweep).take([1]) == (None, True)


@pytest.mark.parametrize("torn", [b"", b"\0" * 60, b'{"set": 2, "param', b"\xff\xfe"])
def test_torn_set_is_proposed_anew(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "sets").mkdir()
    assert add_set(tmp_path, 1, [("rate", "0.1")])
    (tmp_path / "sets" / "000002.jsonl").write_bytes(torn)
    assert list(sets_in(tmp_path)) == [1]
    assert not add_set(tmp_path, 2, [("rate", "0.2")])
    assert add_set(tmp_path, 2, [("rate", "0.2")])
    assert not add_set(tmp_path, 2, [("rate", "0.3")])
    assert sets_in(tmp_path) == {1: [("rate", "0.1")], 2: [("rate", "0.2")]}
