"""A cluster's rules, for an account that may do nothing special."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import slurm_cluster
from needs import need_program
from slurm_cluster import OrdinaryProject, number_of
from tool_helpers import wait_until

from ml_remote.jobs.job import Job

TRAINING = """\
import os, pathlib, sys, time

folder = pathlib.Path(os.environ["LAB_OUTPUT_DIR"])
checkpoint = folder / "checkpoint.pt"
epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
print("training from epoch", epoch, flush=True)
if "fails" in sys.argv and epoch == 1:
    sys.exit(7)
if "stalls" not in sys.argv or epoch == 0:
    epoch += 1
    checkpoint.write_text(str(epoch))
print("epoch", epoch, flush=True)
if epoch < 3:
    time.sleep(600)
"""
PROFILE = """\
echo Welcome to the cluster
module() { [ "$2" != cuda/13 ] || { echo "no module $2" >&2; return 1; }; export LOADED=$2; }
"""
SETUP = """\
[ "$1" != --check ] || exit 1
if [ -e is-limited ] && [ -z "$SLURM_JOB_ID" ]; then
    ulimit -t 1 # as a login node has it
    while :; do :; done
fi
[ ! -e has-no-internet ] || {
    echo "Error: uv cannot reach the package index: this machine may have no internet."
    exit 1
}
echo "made with $LOADED on ${SLURM_JOB_ID:-the login node}"
"""
LFS = """\
#!/bin/sh
# A stand-in for Lustre's program, which no package of a distribution has.
if [ $# != 4 ] || [ "$1" != quota ] || [ ! -d "$4" ]; then
    echo "lfs quota: invalid option" >&2
    exit 1
fi
echo "Disk quotas for usr $3 (uid $(id -u)):"
echo "     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace"
case $2 in
-u) [ "$3" = "$(id -un)" ] || exit 1; used=104857600 ;;
-g) [ "$3" = "$(id -gn)" ] || exit 1; used=1000 ;;
*) exit 1 ;;
esac
echo "$PWD" | cut -c 1-60
echo "              $used       0 104857600       -  908722       0 1048576       -"
"""


def begin(ordinary_project: OrdinaryProject, *words: str) -> Job:
    """Start the training, and return its run once it has made a checkpoint."""
    done = ordinary_project.lab(
        "run", "--slurm", "--until-done", "--detach", "--again", "--", *words
    )
    assert done.returncode == 0, done.stderr
    job = ordinary_project.runs()[-1]
    wait_for(ordinary_project, job, "epoch 1\n")
    return job


def log(ordinary_project: OrdinaryProject, job: Job) -> str:
    return (ordinary_project.there / ".lab" / "jobs" / job.id / "log").read_text()


def wait_for(ordinary_project: OrdinaryProject, job: Job, text: str) -> None:
    wait_until(lambda: text in log(ordinary_project, job))


def now(ordinary_project: OrdinaryProject, job: Job) -> Job:
    """Return the run as it is now."""
    return next(one for one in ordinary_project.runs() if one.id == job.id)


def near_its_limit(ordinary_project: OrdinaryProject, job: Job) -> None:
    """Send the batch script what Slurm sends it before the time limit."""
    ordinary_project.client.run("scancel", "--batch", "--signal=USR1", number_of(job))


def wait_until_requeued(ordinary_project: OrdinaryProject, job: Job) -> None:
    """Wait until a job is in the queue again, and have it start, as its owner may."""
    wait_until(lambda: now(ordinary_project, job).is_requeued)
    (line,) = [
        row for row in ordinary_project.lab("runs").stdout.splitlines() if row.startswith(job.id)
    ]
    assert re.match(rf"{job.id} +requeued  ", line), line
    # A node takes nothing that was granted in the second in which it ended the job, and Slurm takes
    # no time to start before the job has left its node.
    sooner = f"scontrol update jobid={number_of(job)} starttime=now"
    trying = f"for _ in $(seq 60); do sleep 2; {sooner} && exit; done; exit 1"
    ordinary_project.client.run("sh", "-c", trying)


@pytest.fixture(autouse=True)
def _start_up_files(ordinary: OrdinaryProject) -> None:
    """Make the account's start-up files like those of a cluster: noisy, with modules.

    No job is left of another test, nor of a failed attempt.
    """
    ordinary.cluster.end_jobs(ordinary.account.user)
    ordinary.account.write(".bash_profile", PROFILE)
    ordinary.account.write(".bashrc", "")


@pytest.mark.slow
def test_each_job_begins_in_a_login_shell_with_what_is_to_be_prepared(
    ordinary: OrdinaryProject,
) -> None:
    ordinary.ask_for('[slurm]\nprepare = ["module load cuda/12", "cd /"]')
    ordinary.write("scripts/setup-environment.sh", SETUP)
    ordinary.write(".lab/caches", "HF_HOME=/scratch/huggingface\n")  # as a setup notes it
    command = ("--", "sh", "-c", 'echo "with $LOADED in $PWD, $HF_HOME"')
    for words, how in (
        (("run", *command), "with cuda/12 in "),
        (("run", "--slurm", *command), ", /scratch/huggingface"),
        (("setup",), "made with cuda/12"),
    ):
        done = ordinary.lab(*words)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert how in said, words
        assert "in /," not in said, words
        assert "Welcome" not in said, words
    ordinary.ask_for('[slurm]\nprepare = ["module load cuda/13"]')
    failed = ordinary.lab("run", *command)
    assert failed.returncode == 91
    assert "This line of prepare in [slurm] failed: module load cuda/13" in failed.stderr
    ordinary.account.write(".bash_profile", "exec true\n")
    ended = ordinary.lab("run", *command)
    assert ended.returncode == 91
    assert "Your start-up files exit the login shell" in ended.stderr


@pytest.mark.slow
def test_environment_is_made_in_a_job_where_the_login_node_ends_long_programs(
    ordinary: OrdinaryProject,
) -> None:
    ordinary.ask_for('[slurm]\nnodes = 2\ntime = "5"')
    ordinary.write("scripts/setup-environment.sh", SETUP)
    ordinary.write("is-limited", "")
    ended = ordinary.lab("setup")
    assert ended.returncode == 1
    assert "The machine has killed the setup, as login nodes" in ended.stderr
    assert "Make it in a Slurm job: lab setup --slurm" in ended.stderr

    code, screen = ordinary.at_terminal("setup", answers={"in a Slurm job? [Y/n]:": "y"})
    assert code == 0, screen
    number = re.search(r"The environment is being made in job (\d+) of Slurm on machine", screen)
    assert number is not None, screen
    assert f"on {number[1]}" in screen
    asked = ordinary.cluster.command("scontrol", "show", "job", number[1])
    assert "JobName=setup" in asked
    assert "NumNodes=1 " in asked
    assert f"UserId={ordinary.account.user}" in asked

    ordinary.ask_for("[environment]\nin_job = true")
    by_setting = ordinary.lab("setup")
    assert by_setting.returncode == 0, by_setting.stderr
    assert "The environment is being made in job " in by_setting.stderr
    ordinary.write("has-no-internet", "")
    cut_off = ordinary.lab("setup")
    assert cut_off.returncode == 1
    assert "If only the login node has internet: lab setup, without --slurm" in cut_off.stderr


@pytest.mark.slow
def test_run_is_requeued_at_its_time_limit_until_it_is_done(ordinary: OrdinaryProject) -> None:
    ordinary.ask_for('[slurm]\ntime = "10"')
    ordinary.write("train.py", TRAINING)
    job = begin(ordinary, "python", "train.py")
    failing = begin(ordinary, "python", "train.py", "fails")
    stalling = begin(ordinary, "python", "train.py", "stalls")
    # The journey over tests/cluster has a real time limit; here its signal is sent early.
    for one in (job, failing, stalling):
        near_its_limit(ordinary, one)
    for one in (job, failing, stalling):
        wait_until_requeued(ordinary, one)
    wait_for(ordinary, job, "training from epoch 1")

    wait_until(lambda: now(ordinary, failing).is_over)
    assert (now(ordinary, failing).state, now(ordinary, failing).exit_code) == ("failed", 7)
    wait_for(ordinary, stalling, "training from epoch 1")
    near_its_limit(ordinary, stalling)
    wait_until(lambda: now(ordinary, stalling).is_over)
    told = ordinary.lab("attach", stalling.id)
    assert "it had made no new checkpoint since it was last requeued" in told.stderr

    near_its_limit(ordinary, job)
    wait_until_requeued(ordinary, job)
    followed = ordinary.lab("attach", job.id)
    assert followed.returncode == 0, followed.stderr
    assert "training from epoch 2" in followed.stderr
    ended = now(ordinary, job)
    assert (ended.state, ended.requeues) == ("done", 2)
    results = ordinary.here / "outputs" / "train" / job.id
    assert (results / "checkpoint.pt").read_text() == "3"
    assert json.loads((results / "run.json").read_text())["exit_code"] == 0
    rows = [row for row in ordinary.lab("runs").stdout.splitlines() if row.startswith(job.id)]
    assert len(rows) == 1


@pytest.mark.slow
def test_status_tells_of_the_cluster_and_the_quotas(ordinary: OrdinaryProject) -> None:
    ordinary.ask_for("")
    ordinary.write("train.py", TRAINING)
    job = begin(ordinary, "python", "train.py")
    status = ordinary.lab("status")
    assert status.returncode == 0, status.stderr
    assert "  Partition   main: 1 of 2 nodes idle, no cards; at most 1:00:00\n" in status.stdout
    line = rf"  Slurm job   {number_of(job)}  train \(main\): running on n[12], [0-9:]+ left\n"
    assert re.search(line, status.stdout), status.stdout
    known = json.loads(ordinary.lab("status", "--json").stdout)
    assert [one["name"] for one in known["partitions"]] == ["main", "closed"]
    assert [one["id"] for one in known["cluster_jobs"]] == [number_of(job)]
    ordinary.client.run("scancel", number_of(job))


@pytest.mark.slow
def test_quota_that_is_used_up_is_no_full_disk(ordinary: OrdinaryProject) -> None:
    ordinary.ask_for("")
    library = ordinary.account.home / "full.so"
    source = Path(slurm_cluster.__file__).with_name("quota_used_up.c")
    subprocess.run(
        [need_program("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True
    )
    ordinary.account.write("bin/lfs", LFS, mode=0o755)
    ordinary.write(".lab/envs/large", "x" * 2**21)
    home = ordinary.account.home
    ordinary.account.write(
        ".bashrc", f"export PATH={home}/bin:$PATH FULL={ordinary.there} LD_PRELOAD={library}\n"
    )
    try:
        failed = ordinary.lab("run", "--", "true")
    finally:
        ordinary.account.write(".bashrc", f"export PATH={home}/bin:$PATH\n")
    assert failed.returncode == 125
    user = ordinary.account.user
    assert f"a quota is used up. {user}: 100 of 100 GiB, 908,722 of" in failed.stderr
    assert ".lab/envs takes 0.0 GiB: folder in [environment]" in failed.stderr
    assert "of its disk are free" not in failed.stderr
    told = ordinary.lab("status").stdout
    assert f"  Quota       {user}: 100 of 100 GiB" in told
    assert ".lab/envs takes" in told
    said = ordinary.lab("run", "--", "sh", "-c", "echo 'OSError: [Errno 122] quota' >&2; exit 1")
    assert "A quota is used up. For details: lab status" in said.stderr


@pytest.mark.slow
def test_doctor_compares_what_is_asked_for_with_what_the_cluster_has(
    ordinary: OrdinaryProject,
) -> None:
    def states() -> dict[str, str]:
        checks = json.loads(ordinary.lab("doctor", "--json").stdout)["checks"]
        found = {one["name"]: f"{one['state']}: {one['detail']}" for one in checks}
        return {name: found[name] for name in ("slurm", "prepare", "cache")}

    cache = ordinary.account.home / "cache"
    ordinary.ask_for(
        '[slurm]\npartition = "main"\ntime = "60"\nprepare = ["module load cuda/12"]\n'
        f'[environment]\ncache = "{cache}"'
    )
    found = states()
    assert found["slurm"] == "ok: it answers; partitions: main, closed"
    assert found["prepare"] == "ok: a login shell runs it"
    assert found["cache"].startswith(f"warning: {cache} is on the disk of your home directory")
    ordinary.ask_for(
        '[slurm]\ntime = "2:00:00"\nprepare = ["module load cuda/13"]\n'
        '[environment]\ncache = "/usr/$USER"'
    )
    found = states()
    asked = "failed: lab.toml asks for 2:00:00, but partition main allows 1:00:00"
    assert found["slurm"] == asked
    line = "This line of prepare in [slurm] failed: module load cuda/13"
    assert found["prepare"] == f"failed: {line}"
    assert f"/usr/{ordinary.account.user} cannot be made, or you may not write to" in found["cache"]
