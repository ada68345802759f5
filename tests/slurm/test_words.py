"""What lab.toml may ask Slurm for, and what Slurm says, in words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ml_remote.errors import ConfigurationError
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import Job, SlurmJob, parse_answer
from ml_remote.jobs.slurm_words import ending, refusal, remedy, waiting
from ml_remote.runs.launchers.slurm import batch_script, slurm_command
from ml_remote.runs.listing import table
from ml_remote.slurm_options import SlurmOptions, read_options
from ml_remote.tables import Tables

FILE = Path("lab.toml")
LAB = Run(lab="labs/mnistlab.py", parameters=(("name", "it's $HOME"),))


def described(
    said: str,
    *,
    runner: str = "gone",
    code: str = "-",
    stopped: str = "-",
    host: str = "-",
    asked: str = "login",
) -> Job:
    """Return the job of a line as the scripts print it; `said` is Slurm's part."""
    about = About(kind="run", title="labs/a.py", run=Run(lab="labs/a.py"))
    line = [
        "job",
        "2026-01-02_03-04-05",
        "90",
        runner,
        code,
        "100" if said != "-" else "-",
        stopped,
        host,
        said,
        "json",
        about.to_json(),
    ]
    (job,) = parse_answer("\n".join([f"now\t200\t{asked}", "\t".join(line)])).jobs
    return job


def tables(shared: dict[str, object]) -> Tables:
    return Tables(project=FILE, shared=shared, local={})


def test_without_a_table_everything_is_left_to_the_cluster() -> None:
    options = read_options(tables({}))
    assert options == SlurmOptions()
    assert str(options) == "1 node, no GPU, the usual partition, the usual time limit"
    lines = options.lines(name="mnistlab").splitlines()
    assert lines == [
        "#SBATCH --job-name=mnistlab",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --requeue",
    ]


def test_wishes_stand_in_the_batch_script() -> None:
    wishes = {"partition": "gpu", "time": "1-12", "gpus": 4, "nodes": 2, "options": ["--mem=9G"]}
    options = read_options(tables({"slurm": wishes}))
    assert str(options) == "2 nodes, 4 GPUs on each, partition gpu, at most 1-12, --mem=9G"
    lines = batch_script(LAB, options).splitlines()
    for wish in ("nodes=2", "partition=gpu", "time=1-12", "gpus-per-node=4", "mem=9G"):
        assert f"#SBATCH --{wish}" in lines


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (3, "slurm is 3; it must be a table"),
        ({"partition": "gpu\nx"}, "partition in [slurm] is 'gpu\\nx'; it must be the name"),
        ({"time": 30}, "time in [slurm] is 30; it must be a time:"),
        ({"time": "4h"}, "time in [slurm] is '4h'; it must be a time:"),
        ({"gpus": True}, "gpus in [slurm] is True; it must be the number"),
        ({"nodes": 0}, "nodes in [slurm] is 0; it must be the number"),
        ({"options": "--mem=1G"}, "it must be a list of long options"),
        ({"options": ["-n 4"]}, "it must be a list of long options"),
        ({"options": ["--mem=1G\n#"]}, "it must be a list of long options"),
        ({"options": ["--output=x"]}, "lab sets --output=x itself"),
    ],
)
def test_wish_that_cannot_be_meant_is_told_with_its_key(table: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        read_options(tables({"slurm": table}))


def test_unknown_wish_is_told_and_ignored() -> None:
    options = read_options(tables({"slurm": {"gpu": 1, "gpus": 2}}))
    assert options.gpus == 2
    (sentence,) = options.ignored
    assert "[slurm] has no key 'gpu', so it is ignored." in sentence
    assert "partition, time, gpus, nodes, options" in sentence


@pytest.mark.parametrize("name", ["batch script", "command"])
def test_slurm_scripts_are_clean_posix_shell(name: str) -> None:
    scripts = {
        "batch script": batch_script(LAB, SlurmOptions(options=("--comment=it's #1",))),
        "command": slurm_command(LAB, far=".lab/far/0"),
    }
    # What srun's shell is to read stands between single quotes on purpose.
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC2016", "-"],
        input=scripts[name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("said", "facts", "state", "shown"),
    [
        ("7 PENDING Priority", {"runner": "waits"}, "queued", "queued (Priority)"),
        ("7 RUNNING None", {"runner": "there"}, "running", "running"),
        ("7 UNKNOWN ", {"runner": "there"}, "unknown", "unknown (Slurm does not answer)"),
        ("7 COMPLETED None", {"code": "0"}, "done", "done"),
        ("7 FAILED NonZeroExitCode", {"code": "1"}, "failed", "failed"),
        ("7 OUT_OF_MEMORY OutOfMemory", {"code": "1"}, "failed", "failed (OUT_OF_MEMORY)"),
        ("7 NODE_FAIL NodeDown", {"code": "0"}, "failed", "failed (NODE_FAIL)"),
        ("7 CANCELLED None", {}, "failed", "failed (CANCELLED)"),
        ("7 TIMEOUT TimeLimit", {"stopped": "stopped"}, "stopped", "stopped"),
        ("7 GONE ", {"code": "0"}, "done", "done"),
        ("7 GONE ", {}, "lost", "lost"),
    ],
)
def test_state_of_a_run_is_what_slurm_says(
    said: str, facts: dict[str, str], state: str, shown: str
) -> None:
    job = described(said, **facts)
    assert job.state == state
    _, row = table([job])
    assert row.split("  ")[1] == shown
    assert row.endswith("labs/a.py (Slurm job 7)")


def test_job_of_another_login_node_is_told_from_one_of_this() -> None:
    for asked, is_here in (("login1", False), ("login2", True)):
        job = described("-", runner="there", host="login2", asked=asked)
        assert job.is_here == is_here


def test_memory_that_did_not_suffice_is_told_with_the_remedy() -> None:
    slurm = SlurmJob(id="7", state="OUT_OF_MEMORY", reason="OutOfMemory")
    assert ending(slurm) == "it needed more memory than it had asked for"
    assert "--mem=" in (remedy(slurm) or "")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "it waits until enough of the cluster is free (Resources)"),
        ("QOSMaxGRESPerUser", "may use at a time (QOSMaxGRESPerUser)"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "are down or reserved (ReqNodeNotAvail"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_reason_for_waiting_is_told_in_words(reason: str, words: str) -> None:
    assert words in waiting(SlurmJob(id="7", state="PENDING", reason=reason))


def test_refusal_names_what_to_change() -> None:
    said = (
        "sbatch: error: Batch job submission failed: Invalid account or account/partition "
        "combination specified\npartitions main gpu "
    )
    error = refusal("cluster", said)
    assert error.message == (
        "Slurm on cluster does not take the run: Invalid account or account/partition combination "
        "specified."
    )
    assert error.hint == 'Name yours in lab.toml: [slurm] options = ["--account=..."]'
