"""The script that puts a run back into the queue, with a stand-in for scontrol."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tool_helpers import wait_until

from ml_remote.scripts import script


@pytest.mark.parametrize(
    ("scontrol", "said"),
    [
        ("echo warning; exit 0", ""),
        # What requeues a job ends everything in it, often before scontrol has its answer.
        ("kill -s TERM $$", ""),
        ("echo 'Job is gone' >&2; exit 1", "Error: Slurm did not requeue the run"),
    ],
    ids=["done", "ended with the job", "refused"],
)
def test_run_that_was_put_back_is_not_taken_for_one_that_has_ended(
    tmp_path: Path, scontrol: str, said: str
) -> None:
    (tmp_path / "command").write_text(
        "touch began; while [ ! -e end ]; do sleep 0.01; done; exit 0\n"
    )
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\ntouch end\n{scontrol}\n")
    (tmp_path / "scontrol").chmod(0o755)
    program = f"{script('until-done')}\njob=.\nuntil_limit run\necho ended"
    with subprocess.Popen(
        ["sh", "-c", program],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as batch:
        wait_until((tmp_path / "began").exists, limit=60)
        batch.send_signal(signal.SIGUSR1)
        printed, _ = batch.communicate(timeout=60)
    assert ("ended\n" in printed) == bool(said)
    assert said in printed
    assert said or "Error" not in printed
