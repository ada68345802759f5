"""Which launcher `lab run` takes, and what a run of a launcher that is not known is."""

from __future__ import annotations

import pytest
from baking import BakedProject
from tool_helpers import Lab

from ml_remote import cli
from ml_remote.runs.launchers import LAUNCHERS, launcher_asked_for, launcher_of
from ml_remote.runs.option_conflicts import (
    NEEDED,
    PAIRS,
    RUNS_NEEDED,
    RUNS_PAIRS,
    STOP_PAIRS,
    written,
)

NOTHING: dict[str, object] = {
    option.name or "": False if option.is_flag else None
    for launcher in LAUNCHERS.values()
    for option in launcher.options
}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "ssh"),
        ({"slurm": True}, "slurm"),
        ({"hosts": "a,b", "network": "10.0.0.0/24"}, "torchrun"),
        ({"nproc_per_node": 2, "max_restarts": 0}, "torchrun"),
    ],
)
def test_launcher_is_the_one_that_the_options_ask_for(given: dict[str, object], name: str) -> None:
    assert launcher_asked_for({**NOTHING, **given}) is LAUNCHERS[name]


GIVEN: dict[str, list[str]] = {
    "lab": ["labs/mnistlab.py"],
    "command": ["--", "true"],
    "parameters": ["-p", "epochs", "1"],
    "variables": ["--env", "A=b"],
    "env_file": ["--env-file", "x"],
    "alias": ["--alias", "gpu"],
    "first_free": ["--first-free", "a,b"],
    "resume": ["--resume", "14-05"],
    "hosts": ["--hosts", "a,b"],
    "nproc_per_node": ["--nproc-per-node", "2"],
    "gpus": ["--gpus", "2"],
    "max_restarts": ["--max-restarts", "0"],
    "network": ["--network", "10.0.0.0/24"],
    "name": ["--name", "x"],
    "sweep": ["--sweep", "seed=0..4"],
    "samples": ["--samples", "2"],
    "sample_seed": ["--sample-seed", "2"],
    "at_once": ["--at-once", "2"],
    "optimize": ["--optimize", "max:x"],
    "spread": ["--spread", "a,b"],
    "wait": ["--wait"],
    "all": ["--all"],
    "remove": ["--remove", "x"],
    "run": ["14-05"],
    "repeat": ["--repeat", "14-05"],
    "by": ["--by", "max:x"],
    "plot": ["--plot", "x.png"],
    "keep_best": ["--keep-best", "2"],
}
"""How an option is given; a flag that is not named here is its own name."""


def words(*names: str) -> list[str]:
    """Return these options as on a command line, the program last."""
    ordered = sorted(names, key=lambda name: name == "command")
    return [word for name in ordered for word in GIVEN.get(name, [written(name)])]


def test_what_cannot_be_combined_is_refused(
    default_project: BakedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, pairs in (("run", PAIRS), ("runs", RUNS_PAIRS), ("stop", STOP_PAIRS)):
        for one, other in pairs:
            itself = {"lab", "command", "repeat", "from_commit"} & {one, other}
            more = [] if command != "run" or itself else ["lab"]
            code = cli.main([command, *words(*more, one, other)], root=default_project.path)
            said = capsys.readouterr().err
            assert "cannot be combined." in said, (command, one, other, said)
            assert written(one) in said or written(other) in said
            own = "command" in (one, other) or "wait" in (one, other)
            assert code == (125 if own else 2), (command, one, other)


def test_what_says_more_about_another_option_is_refused_alone(
    default_project: BakedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, table in ((["run", *words("lab")], NEEDED), (["runs"], RUNS_NEEDED)):
        for name, others in table.items():
            assert cli.main([*command, *words(name)], root=default_project.path) == 2
            said = capsys.readouterr().err
            needed = " or ".join(map(written, others))
            assert f"{written(name)} can only be used with {needed}." in said
    for more, sentence in {
        "a b": "Only --remove takes more than one RUN.",
        "a --all": "RUN and --all cannot be combined.",
        "--remove a --keep-best 2": "--keep-best needs --by.",
    }.items():
        assert cli.main(["runs", *more.split()], root=default_project.path) == 2
        assert sentence in capsys.readouterr().err
    assert cli.main(["run"], root=default_project.path) == 2
    assert "There is nothing to run." in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [["--slurm"], ["--hosts", "a,b"], ["--detach"], ["--alias", "gpu"], ["--max-restarts", "0"]],
)
def test_run_on_this_computer_has_no_launcher(
    default_project: BakedProject, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    words = ["run", "mnistlab", "--local", *more]
    assert cli.main(words, root=default_project.path) == 2
    assert f"{more[0]} and --local cannot be combined." in capsys.readouterr().err


def test_run_of_a_launcher_that_is_not_known_is_a_job_like_any_other() -> None:
    assert launcher_of("kubernetes") is LAUNCHERS["ssh"]


def test_help_has_the_options_of_all_launchers(lab: Lab) -> None:
    shown = lab("run", "--help").stdout
    assert all(f"--{name.replace('_', '-')} " in shown for name in NOTHING)
