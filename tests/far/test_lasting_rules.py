"""When a kernel that nobody uses ends: what the project says, and what is on the card."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ml_remote.far.login import kernel_rules
from ml_remote.far.login.kernel_rules import Rules, why_it_ends
from ml_remote.far.login.kernels import Kernel

HOUR = 3600.0
KERNEL = Kernel(Path("/x"), "/home/ada/work", "labs/a", os.getpid(), "1", "b", 0.0, sys.executable)


@pytest.mark.parametrize(
    ("rules", "shown", "busy", "hours", "on_card", "why"),
    [
        (Rules(), False, False, 1.99, True, ""),
        (Rules(), False, False, 2, True, "memory on a card, was unused for 2 hours"),
        (Rules(), False, False, 2, False, ""),
        (Rules(), False, False, 12, False, "This kernel was unused for 12 hours"),
        (Rules(), True, False, 99, True, ""),
        (Rules(), False, True, 99, True, ""),
        (Rules(idle_hours=0), False, False, 999, False, ""),
        (Rules(idle_hours=0), False, False, 999, True, "memory on a card"),
        (Rules(card_idle_hours=0), False, False, 11, True, ""),
        (Rules(card_idle_hours=0), False, False, 12, True, "for 12 hours"),
        (Rules(card_idle_hours=0.5), False, False, 0.5, True, "for 0.5 hours"),
        (Rules(idle_hours=1), False, False, 1, True, "for 1 hours"),
        (Rules(keep=False), False, False, 0, False, "keep_kernels is false"),
        (Rules(keep=False), True, False, 99, True, ""),
        (Rules(keep=False), False, True, 0, False, ""),
    ],
)
def test_kernel_ends_when_nobody_uses_it(
    rules: Rules, shown: bool, busy: bool, hours: float, on_card: bool, why: str
) -> None:
    said = why_it_ends(
        rules, shown=shown, busy=busy, unused_seconds=hours * HOUR, on_card=lambda: on_card
    )
    assert why in said
    assert bool(said) == bool(why)


def test_card_is_asked_only_where_it_matters() -> None:
    def never() -> bool:
        raise AssertionError

    assert not why_it_ends(Rules(), shown=False, busy=False, unused_seconds=HOUR, on_card=never)
    assert not why_it_ends(
        Rules(card_idle_hours=0), shown=False, busy=False, unused_seconds=HOUR, on_card=never
    )


@pytest.mark.parametrize(
    ("project", "own", "rules"),
    [
        ("", "", Rules()),
        ("[sessions]\nkeep_kernels = false  # for now\n", "", Rules(keep=False)),
        (
            "[sessions]\nidle_hours = 3\n",
            "[sessions]\ncard_idle_hours = 0.5\n",
            Rules(True, 3, 0.5),
        ),
        ("[sessions]\nkeep_kernels = false\n", "[sessions]\nkeep_kernels = true\n", Rules()),
        ("[other]\nkeep_kernels = false\nidle_hours = 1\n", "", Rules()),
        ('[sessions]\nidle_hours = "long"\ncard_idle_hours = -1\n', "", Rules()),
        ("[sessions]\nidle_hours = inf\ncard_idle_hours = nan\n", "", Rules()),
    ],
)
def test_rules_are_those_of_both_files(
    tmp_path: Path, project: str, own: str, rules: Rules
) -> None:
    (tmp_path / "lab.toml").write_text(project)
    (tmp_path / "lab.local.toml").write_text(own)
    assert kernel_rules.read_rules(tmp_path) == rules
    assert kernel_rules.read_rules(tmp_path / "nowhere") == Rules()


@pytest.mark.parametrize(
    ("memory", "has_card_open", "in_container", "used", "on_card"),
    [
        ({os.getpid(): 7}, False, False, 7, True),
        ({os.getpid(): 0}, False, False, None, True),  # [N/A]: the driver does not tell how much
        ({1: 7}, False, False, 0, False),
        ({}, True, False, 0, False),  # nothing is on the card; it was only looked at
        ({}, True, True, None, True),  # a container's nvidia-smi names no process, or the host's
        ({2**30: 7}, True, True, None, True),
        ({2**30: 7}, False, True, 0, False),
        (None, True, False, None, True),
        (None, False, False, 0, False),
    ],
)
def test_memory_on_the_card_is_told_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
    memory: dict[int, int] | None,
    has_card_open: bool,
    in_container: bool,
    used: int | None,
    on_card: bool,
) -> None:
    files = ["/dev/nvidiactl", "/dev/nvidia0" if has_card_open else "/dev/null"]
    monkeypatch.setattr(kernel_rules, "_open_files", lambda pid: iter(files))
    monkeypatch.setattr(kernel_rules, "_is_in_container", lambda: in_container)
    assert kernel_rules.memory_on_card(KERNEL, memory) == used
    assert kernel_rules.is_on_card(KERNEL, memory) == on_card


def test_nvidia_smi_is_read_as_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in: the registries have no driver. It refuses any other question."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = tmp_path / "nvidia-smi"
    asked = "--format=csv,noheader,nounits --query-compute-apps=pid,used_gpu_memory"
    lines = "'12, 100' '12, 1' '13, [N/A]' '[Insufficient Permissions], 3'"
    program.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] || exit 2\nprintf "%s\\n" {lines}\n')
    program.chmod(0o755)
    assert kernel_rules.card_memory() == {12: 101 * 2**20, 13: 0}
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert kernel_rules.card_memory() is None
