"""What lab.toml may ask Slurm for, and what Slurm says, in words."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ml_remote.errors import ConfigurationError, UsageError
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import Job, SlurmJob, parse_answer
from ml_remote.jobs.slurm_messages import ending, never_starts, refusal, remedy, waiting
from ml_remote.runs.launchers import slurm
from ml_remote.runs.launchers.slurm import slurm_command
from ml_remote.runs.listing import table
from ml_remote.scripts import script
from ml_remote.slurm_batch import slurm_batch
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


def test_gpus_of_a_run_come_before_those_of_the_project() -> None:
    options = SlurmOptions(gpus=1)
    for given, words in ((None, 1), (2, 2), (0, 0)):
        lines = slurm.asked(replace(LAB, gpus=given), options).lines(name="x")
        assert ("--gpus-per-node" in lines) is bool(words)
        assert f"--gpus-per-node={words}" in lines or not words


def test_wishes_stand_in_the_batch_script() -> None:
    wishes = {"partition": "gpu", "time": "1-12", "gpus": 4, "nodes": 2, "options": ["--mem=9G"]}
    options = read_options(tables({"slurm": wishes}))
    assert str(options) == "2 nodes, 4 GPUs on each, partition gpu, at most 1-12, --mem=9G"
    lines = slurm_batch(options, name="mnistlab").splitlines()
    for wish in ("nodes=2", "partition=gpu", "time=1-12", "gpus-per-node=4", "mem=9G"):
        assert f"#SBATCH --{wish}" in lines


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (3, "slurm is 3; it must be a table"),
        ({"partition": "gpu\nx"}, "partition in [slurm] is 'gpu\\nx'; it must be the name"),
        ({"time": 30}, "time in [slurm] is 30; it must be a time:"),
        ({"time": "4h"}, "time in [slurm] is '4h'; it must be a time:"),
        ({"time": "1-"}, "it must be a time:"),
        ({"time": "1:2:3:4"}, "it must be a time:"),
        ({"time": "٣"}, "it must be a time:"),
        ({"time": ""}, "it must be a time:"),
        ({"gpus": True}, "gpus in [slurm] is True; it must be the number"),
        ({"nodes": 0}, "nodes in [slurm] is 0; it must be the number"),
        ({"options": "--mem=1G"}, "it must be a list of long options"),
        ({"options": ["-n 4"]}, "it must be a list of long options"),
        ({"options": ["--mem=1G\n#"]}, "it must be a list of long options"),
        ({"options": ["--output=x"]}, "lab sets --output=x itself"),
        ({"prepare": "module load cuda"}, "it must be a list of lines of bash"),
        ({"prepare": ["module load cuda\nexit"]}, "it must be a list of lines of bash"),
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


@pytest.mark.parametrize("time", ["infinite", "UNLIMITED", "Unlimited"])
def test_time_without_a_limit_is_said_in_words(time: str) -> None:
    options = read_options(tables({"slurm": {"time": time}}))
    assert str(options) == "1 node, no GPU, the usual partition, no time limit"
    assert f"#SBATCH --time={time}" in options.lines(name="x").splitlines()


def test_signal_comes_a_tenth_of_the_time_before_its_limit_and_two_minutes_at_most() -> None:
    for time, seconds in (
        (None, 120), ("1", 10), ("10:30", 63), ("0:20:00", 120), ("1-12", 120), ("0-00:05", 30),
        ("unlimited", 120), ("1:90", 15), ("0-00:00:99", 10),
    ):  # fmt: skip
        lines = SlurmOptions(time=time).lines(name="x", until_done=True)
        assert f"#SBATCH --signal=B:USR1@{seconds}\n" in f"{lines}\n", time
        assert "--requeue" in lines


@pytest.mark.parametrize("option", ["--no-requeue", "--signal=USR2@60"])
def test_run_that_slurm_would_not_requeue_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="and --until-done cannot be combined"):
        slurm_batch(SlurmOptions(options=(option,)), name="x", until_done=True)


@pytest.mark.parametrize("name", ["batch script", "command"])
def test_slurm_scripts_are_clean_posix_shell(name: str) -> None:
    scripts = {
        "batch script": slurm_batch(
            SlurmOptions(options=("--comment=it's #1",)), name="a", until_done=True
        ),
        "command": slurm_command(LAB, far=".lab/far/0"),
    }
    # What srun's shell is to read is between single quotes on purpose.
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


@pytest.mark.parametrize(
    ("tasks", "word"),
    [
        (["COMPLETED", "COMPLETED"], "COMPLETED"),
        (["COMPLETED", "PENDING", "COMPLETED"], "PENDING"),
        (["REQUEUED", "COMPLETED"], "REQUEUED"),
        (["REQUEUE_HOLD", "FAILED"], "REQUEUE_HOLD"),
        (["SPECIAL_EXIT", "COMPLETED"], "SPECIAL_EXIT"),
        (["PENDING", "RUNNING", "COMPLETED"], "RUNNING"),
        (["COMPLETING", "PENDING"], "COMPLETING"),
        (["SOMETHING_NEW", "COMPLETED"], "SOMETHING_NEW"),
        ([], ""),
    ],
)
def test_job_array_is_at_work_while_a_task_runs_or_waits(tasks: list[str], word: str) -> None:
    queue = [f"7_{number}|{task}||None" for number, task in enumerate(tasks)]
    others = ["71_1|RUNNING||", "6|RUNNING||None"]
    lines = "\n".join([*queue, *others])
    program = f"{script('slurm')}\nnumbers='7 8' queue={shlex.quote(lines)}\nin_arrays\n"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().partition("|")[0] == word


def test_job_of_another_login_node_is_told_from_one_of_this() -> None:
    for asked, is_here in (("login1", False), ("login2", True)):
        job = described("-", runner="there", host="login2", asked=asked)
        assert job.is_here == is_here


def test_memory_that_did_not_suffice_is_told_with_the_remedy() -> None:
    slurm = SlurmJob(id="7", state="OUT_OF_MEMORY", reason="OutOfMemory")
    assert ending(slurm) == "it used more memory than it had asked for"
    assert "--mem=" in (remedy(slurm) or "")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "it is waiting until enough of the cluster is free (Resources)"),
        ("QOSMaxGRESPerUser", "may use at once (QOSMaxGRESPerUser)"),
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
        "Slurm on cluster rejected the run: Invalid account or account/partition combination "
        "specified."
    )
    assert error.hint == 'Name yours in lab.toml: [slurm] options = ["--account=..."]'


@pytest.mark.parametrize(
    ("instead", "reasons"),
    [
        ("less time", "PartitionTimeLimit QOSMaxWallDurationPerJobLimit AssocMaxMemMinutesPerJob"),
        ("another partition", "PartitionNodeLimit PartitionConfig"),
        ("another account or QOS", "InvalidQOS InvalidAccount QOSNotAllowed AccountNotAllowed"),
        ("another account", "AssocGrpCPUMinutesLimit AssocGrpBillingMinutes QOSGrpWallLimit"),
        ("less", "QOSMaxGRESPerJob AssocMaxCpuPerJobLimit QOSMaxMemoryPerNode MaxMemPerLimit"),
        ("more", "QOSMinGRES QOSMinCpuNotSatisfied"),
        ("what a node of the partition has", "BadConstraints"),
        ("other options", "DependencyNeverSatisfied ReservationDeleted"),
        (
            "",
            "Priority Resources None PartitionDown BeginTime JobHeldUser ReqNodeNotAvail Licenses "
            "AssocGrpGRES AssocGrpCpuLimit AssocGrpCPURunMinutesLimit QOSGrpNodeLimit NodeDown "
            "QOSMaxJobsPerUserLimit QOSMaxGRESPerUser AssocMaxJobsLimit QOSGrpBillingRunMinutes",
        ),
    ],
)  # fmt: skip
def test_reason_that_no_waiting_mends_is_known(instead: str, reasons: str) -> None:
    for reason in reasons.split():
        job = SlurmJob(id="7", state="PENDING", reason=reason)
        assert never_starts(job) == instead, reason
        assert not instead or waiting(job) != reason  # and it is said in words
