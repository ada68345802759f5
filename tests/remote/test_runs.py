"""`lab run`, `runs`, `attach` and `stop` on a real OpenSSH server, with real kernels."""

from __future__ import annotations

import pytest
from remote_fixtures import Workplace

pytestmark = pytest.mark.slow

PLAIN_LAB = """\
# %% [markdown]
# # Counting

# %% tags=["parameters"]
limit = 3
greeting = "hello"

# %% [markdown]
# ## Out loud

# %%
for number in range(limit):
    print(f"{greeting} {number}", flush=True)

# %%
import os
from pathlib import Path

Path(os.environ["LAB_OUTPUT_DIR"], "counted.txt").write_text(f"{greeting} {limit}")
"""


def test_run_brings_its_results_home(workplace: Workplace) -> None:
    workplace.write_lab("counting", PLAIN_LAB)
    words = ["-p", "limit", "2", "-p", "greeting", 'it\'s "ü"\n; $HOME']
    done = workplace.lab("run", "counting", *words)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    (results,) = (workplace.project.path / "outputs" / "counting").iterdir()
    assert (results / "counted.txt").read_text() == 'it\'s "ü"\n; $HOME 2'
    assert "[2/3] Out loud" in done.stderr.splitlines()
    assert "hello" not in done.stderr
    assert str(results) in done.stdout
    listed = workplace.lab("runs")
    print(listed.stdout)
    assert results.name in listed.stdout
