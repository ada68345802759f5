"""What the documents say of the training is what docs/training.json and training-gpu.json have."""

from __future__ import annotations

import json
import re
import runpy
import statistics

import pytest
from baking import TEMPLATE_ROOT

DOCS = TEMPLATE_ROOT / "docs"


def test_claims_about_the_training_are_those_that_were_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE_ROOT / "benchmarks"))
    benchmark = runpy.run_path(str(TEMPLATE_ROOT / "benchmarks" / "training.py"))
    for name in ("training-gpu.json", "training.json"):
        runs = json.loads((DOCS / name).read_text())
        assert list(runs) == list(benchmark["RECIPES"])
        table = benchmark["table"](runs)
        page = (DOCS / "performance.md").read_text()
        assert table in page, f"docs/performance.md lacks:\n{table}"
        for recipe, count in benchmark["reached"](runs).items():
            assert count == len(runs[recipe]) == benchmark["RECIPES"][recipe][0]
    accuracies = [run["accuracies"][-1] for run in runs["ours, the digit lab"]]
    assert len(accuracies) == 8
    assert statistics.mean(accuracies) >= 0.994

    claim = re.search(
        r"98\.68 % in ([\d.]+) CPU seconds, 99\.0 % in ([\d.]+), ([\d.]+) % in ([\d.]+)",
        (TEMPLATE_ROOT / "README.md").read_text(),
    )
    assert claim is not None
    cpu = [statistics.median(run["cpu"] for run in runs[name]) for name in list(runs)[-3:]]
    measured = [f"{cpu[0]:.1f}", f"{cpu[1]:.1f}", f"{100 * statistics.mean(accuracies):.1f}"]
    assert list(claim.groups()) == [*measured, f"{cpu[2]:.1f}"]
