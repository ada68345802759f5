"""What `--sweep` asks for, as a list of sets; and what a machine may say of a sweep."""

from __future__ import annotations

import json
import math

import pytest
from baking import BakedProject

from ml_remote import cli
from ml_remote.errors import UsageError
from ml_remote.jobs.about import About, Run
from ml_remote.machine import Machine
from ml_remote.runs.sweeps.expanding import check_places, expand, read_axes
from ml_remote.runs.sweeps.merging import divide
from ml_remote.runs.sweeps.request import read_request
from ml_remote.runs.sweeps.state import parse_sets, parse_sweeps
from ml_remote.ssh.client import Client


def sets(*words: str, samples: int | None = None, seed: int = 0) -> list[str]:
    """Return the sets, each as the values in a line."""
    found = expand(read_axes(words), samples=samples, seed=seed)
    return [" ".join(value for _, value in one) for one in found]


def test_grid_has_every_combination_in_order() -> None:
    assert sets("lr=0.1, 0.03", "seed=-1..1") == [
        *("0.1 -1", "0.1 0", "0.1 1", "0.03 -1", "0.03 0", "0.03 1")
    ]
    assert sets("name=it's,a b") == ["it's", "a b"]
    assert sets("seed=7..7") == ["7"]
    assert sets("path=../data/1,a..b,..,1.5,v1..v2") == ["../data/1", "a..b", "..", "1.5", "v1..v2"]
    assert sets("path=../1") == ["../1"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[64,32],[128]", ["[64,32]", "[128]"]),
        ('{"a": [1,2]},{}', ['{"a": [1,2]}', "{}"]),
        ("\"a,b\", 'c,d' ,e", ["a,b", "c,d", "e"]),
        ('"a",b', ['"a"', "b"]),  # no comma needs these
        ("it's,5',[,]", ["it's", "5'", "[,]"]),
        ("(,'a,:", ["(", "'a", ":"]),  # nothing that is closed
    ],
)
def test_comma_in_brackets_or_quotes_belongs_to_the_value(text: str, values: list[str]) -> None:
    assert read_axes([f"x={text}"])[0].values == values


def test_samples_are_different_ones_and_the_same_again() -> None:
    words = ("lr=log:1e-4..1e-1", "width=8,16", "drop=0.1..0.5", "seed=0..100000")
    found = sets(*words, samples=200)
    assert found == sets(*words, samples=200)
    assert found != sets(*words, samples=200, seed=1)
    assert len(set(found)) == 200
    rates, widths, drops, seeds = zip(*(one.split() for one in found), strict=True)
    assert all(1e-4 <= float(one) <= 1e-1 for one in rates)
    # A logarithmic range has as many samples in each power of ten.
    assert 40 < sum(math.log10(float(one)) < -3 for one in rates) < 95
    assert set(widths) == {"8", "16"}
    assert all(0.1 <= float(one) <= 0.5 for one in drops)
    assert all(0 <= int(one) <= 100000 for one in seeds)
    assert sorted(sets("seed=0..4", samples=5)) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("words", "samples", "said"),
    [
        (["lr"], None, "is not NAME=VALUES"),
        (["=1"], None, "is not NAME=VALUES"),
        (["a-b=1"], None, "is not NAME=VALUES"),
        (["lr="], None, "has no values"),
        (["lr=1,,2"], None, "value 2 of '1,,2' is empty"),
        (["lr=1,2,1"], None, "has '1' twice"),
        (["lr=1", "lr=2"], None, "--sweep has lr twice"),
        (["seed=4..0"], None, "runs backwards"),
        (["lr=log:0..1"], 3, "must begin above 0"),
        (["lr=log:-1..1"], 3, "must begin above 0"),
        (["lr=log:1e-4"], 3, "is not a range"),
        (["lr=log:1,2"], 3, "is not a range"),
        (["lr=0..1e999"], 3, "too large"),
        (["x=1..3,5"], None, "the range '1..3' cannot be one of several values"),
        (["x=5, 1 .. 3"], None, "the range '1 .. 3' cannot be one of several values"),
        (["x=5,log:1..3"], None, "the range 'log:1..3' cannot be one of several values"),
        (["x=1 .. 3"], None, "'1 .. 3' is not a range"),
        (["x=1..3..2"], None, "'1..3..2' is not a range"),
        (["x=0...3"], None, "'0...3' is not a range"),
        (["x=1.."], None, "'1..' is not a range"),
        (["x=0..9999999999999999"], 3, "have more than 15 digits"),
        (["lr=log:1e-4..1e-1"], None, "has no list of values"),
        (["lr=0.1..0.5"], None, "has no list of values"),
        (["a=0..999", "b=0..99"], None, "100,000 combinations; a sweep has at most 10,000"),
        (["seed=0..99999"], None, "has no list of values"),
        (["seed=0..4"], 6, "more than the 5 combinations"),
        (["seed=0..4"], 0, "between 1 and 10,000"),
        (["seed=0..4"], -1, "between 1 and 10,000"),
        (["lr=1.0..1.0"], 2, "fewer than 2 different sets"),
        (["PATH=a,b"], None, "has a special meaning"),
        (["LAB_JOB=a,b"], None, "has a special meaning"),
        (["x=a\x1b[2J,b"], None, "value 1 is not one line"),
    ],
)
def test_what_cannot_be_swept_is_told(words: list[str], samples: int | None, said: str) -> None:
    with pytest.raises(UsageError) as error:
        sets(*words, samples=samples)
    assert said in error.value.message


def test_so_many_sets_are_proposed_as_there_are_at_most() -> None:
    for words, samples, count in (
        (["lr=0.1,0.2", "seed=0..2"], None, 6),
        (["lr=0.1..0.2"], None, 20),
        (["lr=0.1,0.2", "seed=0..2"], 4, 4),
    ):
        options = {"sweep": words, "samples": samples, "optimize": "min:val/loss"}
        asked = read_request({**options, "sample_seed": None, "at_once": None, "spread": None})
        assert (asked.sets, asked.wanted, asked.optimize) == ((), count, "min:val/loss")
    spaces = [axis.space for axis in read_axes(["a=x,1", "b=1..4", "c=log:0.1..1", "d=0.5..1"])]
    assert spaces == [
        {"choices": ["x", "1"]},
        {"low": 1, "high": 4, "whole": True, "log": False},
        {"low": 0.1, "high": 1.0, "whole": False, "log": True},
        {"low": 0.5, "high": 1.0, "whole": False, "log": False},
    ]


def test_sets_are_divided_by_what_each_machine_runs_at_once() -> None:
    assert divide(range(7), [1, 1]) == [[0, 2, 4, 6], [1, 3, 5]]
    assert [len(share) for share in divide(range(100), [4, 1])] == [80, 20]
    assert divide([1], [2, 3]) == [[], [1]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("total", "x"),
        ("total", "9" * 400),
        ("why", "\x1b[2J"),
        ("there", "-oX=2"),
        ("there", "a=-1"),
        ("there", "a=$(touch x)"),
        ("given", "../up"),
        ("part", "../x"),
        ("part", 5),
        ("place", "-oX"),
        ("place", ["a"]),
        ("at_once", "many"),
        ("optimize", "best:\x1b"),
        ("spread", ["-oX"]),
    ],
)
def test_what_a_machine_tells_of_a_sweep_is_checked(key: str, value: object) -> None:
    values: dict[str, object] = {"total": "3", "why": "-", "there": "two=2 -", "given": "three -"}
    run = Run(
        launcher="ssh", command=("train",), name="train", swept=("lr",), spread=("one", "two")
    )
    about = json.loads(About(kind="sweep", title="train", run=run).to_json())
    about |= {"part": "0a-0", "place": "one", "at_once": 1, "optimize": ""}
    machine = Machine(client=Client(alias="one"), folder="project")
    for more in ({}, {key: value}):
        own = {name: more.get(name, text) for name, text in values.items()}
        text = json.dumps({**about, **{name: one for name, one in more.items() if name in about}})
        begin = f"sweep\t2026-01-02_03-04-05\t5\t{own['total']}\t1\t0\t9\t8\t1\t{own['why']}"
        answer = f"now\t9\n{begin}\t{own['there']}\t{own['given']}\t{text}\n"
        found = parse_sweeps(answer, machine=machine, workers=[])
        if not more:
            assert found[0].elsewhere == {"two": 2}
            assert (set(found[0].given), found[0].place) == ({"three"}, "one")
    assert not found or (key, found[0].why) == ("why", "stopped")


def test_sets_that_a_machine_tells_of_are_checked_one_by_one() -> None:
    pairs = '"parameters": [["lr", "a\\u001b[2J"]]'
    ended = '"exit_code": 0, "seconds": 1, "said": "\\u202e"'
    lines = [
        f'set\t{{"set": 1, {pairs}}}',
        f'set\t{{"set": -1, {pairs}}}',
        'set\t{"set": 2, "parameters": [["-oX", "1"]]}',
        f'elsewhere\ttwo\t{{"set": 3, {pairs}}}',
        f'elsewhere\t-oX\t{{"set": 4, {pairs}}}',
        f'outcome\t{{"set": 1, {ended}, "value": 0.5}}',
        f'outcome\t{{"set": 2, {ended}, "value": 1e999}}',
        f'outcome\t{{"set": 3, {ended}, "value": "\\u001b"}}',
        'outcome\t{"set": 4, "exit_code": 256, "seconds": 1, "said": ""}',
        "begun\t1e9",
        "[" * 5000,
    ]
    found = parse_sets("\n".join(lines))
    assert set(found.parameters) == {1}
    assert set(found.elsewhere) == {(3, "two")}
    values = [*found.parameters[1][0], *found.elsewhere[3, "two"][0], found.outcomes[1].said]
    assert all(text.isprintable() for text in values)
    assert {number: one.value for number, one in found.outcomes.items()} == {
        1: 0.5,
        2: None,
        3: None,
    }
    assert not found.begun


def test_places_of_a_command_name_what_is_swept() -> None:
    check_places(["train", "--lr={lr}", "{{x}}", '{"a": 1}', "{}", "${HOME}"[1:]], ["lr", "HOME"])
    with pytest.raises(UsageError, match=r"\{rate\} in the command names no --sweep") as error:
        check_places(["--lr={rate}"], ["lr"])
    assert "double the braces" in str(error.value.hint)


LONG = [f"{number}{'x' * 999}" for number in range(9)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lab --sweep seed=0..1 --resume x", "need a sweep, not a run"),
        ("lab --sweep seed=0..4 --at-once 0", "--at-once is 0; it must be between 1 and 1,000"),
        ("lab --at-once 2", "--at-once can only be used with --sweep or --resume"),
        ("lab --resume x --at-once 2", "need a sweep, not a run"),
        ("lab --resume x --samples 2", "need a sweep, not a run"),
        ("lab --resume x --spread a,b", "need a sweep, not a run"),
        ("lab --optimize max:a", "--optimize can only be used with --sweep"),
        ("lab --sweep a=1,2 --optimize loss", "--optimize 'loss' does not say what is best"),
        ("lab --sweep a=1,2 --optimize max:a\x1bb", "does not say what is best"),
        ("lab --sweep a=1,2 --optimize min:a --samples 3", "more than the 2 combinations"),
        ("lab --sweep a=1,2 --spread a,a", "--spread has a twice"),
        ("lab --sweep a=1,2 --spread a,", "--spread: '' is not an SSH alias"),
        ("lab --sweep a=1,2 --spread -oX", "'-oX' is not an SSH alias"),
        ("lab --sweep a=1,2 --spread a --alias b", "--spread and --alias cannot be combined"),
        ("labs/mnistlab.py -p epochs 1 --sweep epochs=1,2", "epochs is both set and swept"),
        (f"lab --sweep a={','.join(LONG)} --sweep b=0..999", "a sweep has at most 4 MB"),
        ("nothing --sweep epochs=1,2", "There is no lab 'nothing'"),
        ("--sweep lr=1,2 -- train {rate}", "names no --sweep"),
        ("--sweep lr=1,2 --env lr=3 -- train", "lr is both set and swept"),
    ],
)
def test_what_means_nothing_beside_a_sweep_is_refused(
    default_project: BakedProject, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    code = cli.main(["run", *words.split()], root=default_project.path)
    assert said in capsys.readouterr().err
    assert code == (125 if "--" in words.split() else 2)
