"""Which launcher `lab run` takes, and what a run of a launcher that is not known is."""

from __future__ import annotations

import pytest
from remote_fixtures import Lab

from ml_remote.errors import UsageError
from ml_remote.runs.launchers import LAUNCHERS, launcher_asked_for, launcher_of

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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"slurm": True, "hosts": "a,b"}, "--slurm and --hosts or --nproc-per-node cannot be comb"),
        ({"max_restarts": 0}, "--max-restarts can only be used with --hosts or --nproc-per-node."),
        ({"slurm": True, "network": "10.0.0.0/24"}, "--network can only be used with --hosts or"),
    ],
)
def test_options_that_belong_to_no_launcher_together_are_told(
    given: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        launcher_asked_for({**NOTHING, **given})


@pytest.mark.parametrize(
    "more",
    [["--slurm"], ["--hosts", "a,b"], ["--detach"], ["--alias", "gpu"], ["--max-restarts", "0"]],
)
def test_run_on_this_computer_has_no_launcher(lab: Lab, more: list[str]) -> None:
    done = lab("run", "mnistlab", "--local", *more)
    assert done.returncode == 2
    assert f"{more[0]} and --local cannot be combined." in done.stderr


def test_run_of_a_launcher_that_is_not_known_is_a_job_like_any_other() -> None:
    assert launcher_of("kubernetes") is LAUNCHERS["ssh"]


def test_help_has_the_options_of_all_launchers(lab: Lab) -> None:
    shown = lab("run", "--help").stdout
    assert all(f"--{name.replace('_', '-')} " in shown for name in NOTHING)
