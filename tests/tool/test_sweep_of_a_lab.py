"""A sweep of a lab: notebooks that run in the project's own environment, on a real server."""

from __future__ import annotations

import json

import pytest
from baking import TEMPLATE_ROOT
from tool_helpers import ReadyProject

PICTURE = TEMPLATE_ROOT / "build" / "screenshots" / "compare.png"
LAB = """\
# %% [markdown]
# # Counting

# %% tags=["parameters"]
limit = 3
rate = 0.5

# %% [markdown]
# ## Out loud

# %%
import json
import os
from pathlib import Path

assert isinstance(limit, int) and isinstance(rate, float)
print(f"counted to {limit}")
if limit == 2 and rate < 0.2:
    raise ValueError("this is too slow")

# %%
values = {"parameters": {"limit": limit, "rate": rate}, "loss": limit * rate}
Path(os.environ["LAB_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(values))
"""


@pytest.mark.slow
def test_sweep_of_a_lab_leaves_a_notebook_and_a_record_of_each_set(
    ready_project: ReadyProject,
) -> None:
    for root in (ready_project.project.path, ready_project.folder):
        (root / "labs/counting.py").write_text(LAB, encoding="utf-8")
    sweep = ("--sweep", "limit=1..2", "--sweep", "rate=0.1", "--at-once", "2")
    done = ready_project.lab("run", "counting", *sweep)
    assert done.returncode == 1, done.stderr
    assert "2 runs, 2 at once: labs/counting.py on machine" in done.stderr
    said = 'the last line of the first that failed: "ValueError: this is too slow".'
    assert f"1 of 2 done, 1 failed; {said}" in done.stderr
    (folder,) = (ready_project.folder / ".lab/sweeps").iterdir()
    results = ready_project.project.path / "outputs/counting"
    expected = {1: ("1", "0.1"), 2: ("2", "0.1")}
    for number, (limit, rate) in expected.items():
        own = results / f"{folder.name}-{number}"
        record = json.loads((own / "run.json").read_text())
        assert (record["sweep"], record["set"]) == (folder.name, number)
        assert dict(record["parameters"]) == {"limit": limit, "rate": rate}
        assert record["exit_code"] == (1 if number == 2 else 0)
        notebook = json.loads((own / "counting.ipynb").read_text())
        assert f"counted to {limit}" in json.dumps(notebook)
    assert "this is too slow" in (results / f"{folder.name}-2/log.txt").read_text()
    table = ready_project.lab("runs", "--compare", folder.name, "--by", "min:loss").stdout
    drawn = ready_project.lab(
        "runs", "--compare", folder.name, "--by", "min:loss", "--plot", str(PICTURE)
    )
    assert drawn.returncode == 0, drawn.stderr
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert table.splitlines()[1].split() == ["*", f"{folder.name}-1", "1", "0.1"]
