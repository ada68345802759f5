"""The forms of a time limit: what `lab` takes is what a real sbatch takes."""

from __future__ import annotations

import os
import subprocess

import pytest
from slurm_cluster import Cluster

from ml_remote.slurm_options import allowed

FORMS = (
    "30", "0", "90:00", "1:2", "1:90", "04:00:00", "4:0:0", "100:00:00", "1-12", "1-36", "1-12:30",
    "1-12:00:00", "0-0:0:90", "infinite", "INFINITE", "unlimited", "Unlimited",
    "", "4h", "1-2-3", "1:2:3:4", "1:", ":30", "1-:30", "1-12:", "a", "1.5", "1 2", "٣", "never",
)  # fmt: skip
UNMEANT = ("-1", "-5", "1-")
"""sbatch takes these too, for what nobody would think of, such as no limit at all."""


@pytest.mark.slow
def test_lab_takes_the_times_that_sbatch_takes(cluster: Cluster) -> None:
    accepted = {}
    for form in FORMS:
        done = subprocess.run(
            ["sbatch", "--test-only", f"--time={form}", "--wrap=true"],
            env={**os.environ, "SLURM_CONF": str(cluster.configuration)},
            capture_output=True,
            text=True,
        )
        accepted[form] = "Invalid --time specification" not in done.stderr
    assert accepted == {form: allowed("time", form) == "" for form in FORMS}
    assert all(allowed("time", form) for form in UNMEANT)
