"""`lab run --slurm` on a real Slurm with two nodes, behind a real OpenSSH server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from session_watch import processes_below, tcp_listeners
from slurm_cluster import CLOSED, ClusterProject, number_of
from tool_helpers import alter_scripts, wait_until

from ml_remote import jobs
from ml_remote.context import Context
from ml_remote.errors import LabError
from ml_remote.jobs.about import About, Run
from ml_remote.project import Project
from ml_remote.runs.launchers.slurm import LAUNCHER
from ml_remote.ui.console import Console

MEETING = """\
import os
from pathlib import Path

import torch
from torch import distributed

distributed.init_process_group("gloo")
ranks = torch.tensor([distributed.get_rank() + 1])
distributed.all_reduce(ranks)
if distributed.get_rank() == 0:
    folder = Path(os.environ["LAB_OUTPUT_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sum.txt").write_text(f"{ranks.item()} of {distributed.get_world_size()}")
distributed.destroy_process_group()
"""
WAITING = """\
import time
from pathlib import Path

print("waiting for it", flush=True)
while not Path("go").exists():
    time.sleep(0.1)
print("it has come", flush=True)
"""


def write_lab(cluster_project: ClusterProject, name: str, source: str) -> None:
    """Write a lab, here and there."""
    for root in (cluster_project.here.project.path, cluster_project.here.folder):
        (root / "labs" / f"{name}.py").write_text(source, encoding="utf-8")


def wait_for_output(cluster_project: ClusterProject, text: str, *, times: int = 1) -> None:
    jobs_there = cluster_project.here.folder / ".lab" / "jobs"

    def logs() -> list[str]:
        return [log.read_text() for log in jobs_there.glob("*/log")]

    try:
        wait_until(lambda: sum(log.count(text) for log in logs()) >= times)
    except AssertionError as error:
        queue = cluster_project.cluster.command("squeue", "--states=all")
        raise AssertionError(f"no {text!r}: {logs()}\n{queue}") from error


def read_until(following: subprocess.Popen[str], text: str) -> None:
    """Read what a command prints, up to the line that holds `text`."""
    assert following.stdout is not None
    assert any(text in line for line in iter(following.stdout.readline, ""))


@pytest.mark.slow
def test_processes_on_two_nodes_meet_and_the_results_come_home(
    cluster_project: ClusterProject,
) -> None:
    cluster_project.ask_for('nodes = 2\ntime = "10"\noptions = ["--comment=it\'s \\"mine\\" & #1"]')
    write_lab(cluster_project, "meeting", MEETING)
    done = cluster_project.here.lab("run", "meeting", "--slurm")
    assert done.returncode == 0, done.stderr
    job = cluster_project.only_run()
    # The shared environment was made from the lists of another Python, which is a warning.
    others = ("Warning: ", "Waiting for ")
    first = next(line for line in done.stderr.splitlines() if not line.startswith(others))
    assert first.startswith(
        f"Run {job.id} is job {number_of(job)} of Slurm on machine: 2 nodes, no GPU, the usual "
        "partition, at most 10, --comment="
    )
    results = cluster_project.here.project.path / "outputs" / "meeting" / job.id
    assert (results / "sum.txt").read_text() == "3 of 2"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("labs/meeting.py ran on machine in ")
    assert lines[-1] == f"Next: look at {results}"
    asked = cluster_project.cluster.command("scontrol", "show", "job", number_of(job))
    assert "NumNodes=2" in asked
    assert 'Comment=it\'s "mine" & #1' in asked
    assert "TimeLimit=00:10:00" in asked
    listed = cluster_project.here.lab("runs").stdout
    assert f"{job.id}  done " in listed
    assert f"labs/meeting.py (Slurm job {number_of(job)})" in listed
    assert f"\nRun {job.id} uses the folder's code, which is not in a git repository.\n" in listed


@pytest.mark.slow
def test_digit_lab_is_trained_by_two_processes(cluster_project: ClusterProject) -> None:
    cluster_project.ask_for("nodes = 2")
    parameters = ("-p", "dataset", "digits", "-p", "epochs", "1")
    done = cluster_project.here.lab("run", "mnistlab", "--slurm", *parameters)
    assert done.returncode == 0, done.stderr
    results = (
        cluster_project.here.project.path / "outputs" / "mnistlab" / cluster_project.only_run().id
    )
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["parameters"]["epochs"] == 1
    assert (results / "confusion-matrix.png").is_file()
    assert done.stderr.count("The training took") == 1  # the other process has ended before


@pytest.mark.slow
def test_run_needs_nothing_on_the_login_node(cluster_project: ClusterProject) -> None:
    write_lab(cluster_project, "waiting", WAITING)
    process = cluster_project.here.start_lab("run", "waiting", "--slurm")
    wait_for_output(cluster_project, "waiting for it")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    cluster_project.here.server.stop()  # and every process of its sessions
    cluster_project.here.server.start()
    cluster_project.here.client.close()

    job = cluster_project.only_run()
    assert job.state == "running"
    again = cluster_project.here.lab("run", "waiting", "--slurm", "--detach")
    assert "This run is already in progress" in again.stderr
    assert again.stdout.splitlines()[-1] == f"Next: lab attach {job.id}"
    assert f"Run         {job.id}  labs/waiting.py" in cluster_project.here.lab("status").stdout
    following = cluster_project.here.start_lab("attach")
    read_until(following, "waiting for it")
    (cluster_project.here.folder / "go").touch()
    rest, _ = following.communicate()
    assert following.returncode == 0, rest
    assert "it has come" in rest.splitlines()


@pytest.mark.slow
def test_only_processes_that_must_meet_open_a_port(cluster_project: ClusterProject) -> None:
    write_lab(cluster_project, "waiting", WAITING)
    for nodes in (1, 2):
        cluster_project.ask_for(f"nodes = {nodes}")
        assert (
            cluster_project.here.lab("run", "waiting", "--slurm", "--detach", "--again").returncode
            == 0
        )
        wait_for_output(cluster_project, "waiting for it", times=1 if nodes == 1 else 3)
        pythons = {
            process: command
            for process, command in processes_below(cluster_project.here.folder).items()
            if "labs/waiting.py" in command and "srun" not in command
        }
        assert len(pythons) >= nodes
        assert bool(tcp_listeners(pythons)) == (nodes > 1)


@pytest.mark.slow
def test_stopping_cancels_a_job_that_waits_and_one_that_runs(
    cluster_project: ClusterProject,
) -> None:
    write_lab(cluster_project, "waiting", WAITING)
    cluster_project.ask_for(f'partition = "{CLOSED}"')
    following = cluster_project.here.start_lab("run", "waiting", "--slurm")
    read_until(following, "(PartitionDown)")
    job = cluster_project.only_run()
    assert f"{job.id}  queued (PartitionDown)  " in cluster_project.here.lab("runs").stdout
    stopped = cluster_project.here.lab("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert cluster_project.cluster.state(number_of(job)) == "CANCELLED"
    rest, _ = following.communicate()
    assert following.returncode == 1
    assert f"Run {job.id} was stopped." in rest

    cluster_project.ask_for("")
    following = cluster_project.here.start_lab("run", "waiting", "--slurm")
    wait_for_output(cluster_project, "waiting for it")
    stopped = cluster_project.here.lab("stop")
    assert "(labs/waiting.py) was stopped, with every process it had started." in stopped.stdout
    number = stopped.stdout.split()[0]
    rest, _ = following.communicate()
    assert following.returncode == 1
    assert f"Run {number} was stopped." in rest
    assert "No run is in progress" in cluster_project.here.lab("stop").stdout
    assert cluster_project.cluster.command("squeue", "--noheader") == ""


@pytest.mark.slow
def test_what_slurm_refuses_is_told_and_leaves_nothing(cluster_project: ClusterProject) -> None:
    for wish, sentence, remedy in (
        (
            'partition = "gpus"',
            "rejected the run: invalid partition specified: gpus.",
            f"Change partition in [slurm] of lab.toml; partitions: main, {CLOSED}",
        ),
        ("gpus = 1", "generic resource (gres) specification", "Change gpus in [slurm] of lab.toml"),
        ('options = ["--wonder"]', "'--wonder'", "Change options in [slurm] of lab.toml; see "),
    ):
        cluster_project.ask_for(wish)
        refused = cluster_project.here.lab("run", "mnistlab", "--slurm")
        assert refused.returncode == 1
        error, hint = refused.stderr.splitlines()[-2:]
        assert sentence in error
        assert hint.startswith(f"Next: {remedy}")
    both = cluster_project.here.lab("run", "mnistlab", "--slurm", "--local")
    assert both.returncode == 2
    assert list((cluster_project.here.folder / ".lab" / "jobs").glob("*")) == []
    assert cluster_project.cluster.command("squeue", "--noheader") == ""


@pytest.mark.slow
def test_lab_that_fails_is_told_with_its_traceback(cluster_project: ClusterProject) -> None:
    write_lab(cluster_project, "failing", 'print("this is fine")\n1 / 0\n')
    failed = cluster_project.here.lab("run", "failing", "--slurm")
    assert failed.returncode == 1
    job = cluster_project.only_run()
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert f"Error: Run {job.id} failed; exit code 1." in failed.stderr
    assert (job.state, job.exit_code) == ("failed", 1)


@pytest.mark.slow
def test_job_that_is_put_back_into_the_queue_goes_on_by_itself(
    cluster_project: ClusterProject,
) -> None:
    write_lab(cluster_project, "waiting", WAITING)
    assert cluster_project.here.lab("run", "waiting", "--slurm", "--detach").returncode == 0
    wait_for_output(cluster_project, "waiting for it")
    number = number_of(cluster_project.only_run())
    cluster_project.cluster.command("scontrol", "requeue", number)
    wait_until(lambda: cluster_project.only_run().state == "queued")
    assert f"{cluster_project.only_run().id}  requeued  " in cluster_project.here.lab("runs").stdout
    # A node takes nothing that was granted in the second in which it ended the job ("credential
    # revoked"); Slurm itself waits two minutes before it starts a job again.
    ended = time.time()
    wait_until(lambda: time.time() > ended + 2)
    cluster_project.cluster.command("scontrol", "update", f"JobId={number}", "StartTime=now")
    wait_for_output(cluster_project, "waiting for it", times=2)
    assert cluster_project.only_run().state == "running"
    (cluster_project.here.folder / "go").touch()
    done = cluster_project.here.lab("attach")
    assert done.returncode == 0, done.stderr
    assert cluster_project.only_run().state == "done"


@pytest.mark.slow
def test_any_program_runs_as_a_job_and_gives_its_exit_code(cluster_project: ClusterProject) -> None:
    script = 'echo "node $SLURM_JOB_ID"; echo kept >"$LAB_OUTPUT_DIR/kept.txt"; exit 3'
    done = cluster_project.here.lab("run", "--slurm", "--name", "mine", "--", "sh", "-c", script)
    assert done.returncode == 3, done.stderr
    assert f"node {number_of(cluster_project.only_run())}" in done.stderr
    (kept,) = (cluster_project.here.project.path / "outputs" / "mine").glob("*/kept.txt")
    assert kept.read_text() == "kept\n"
    record = json.loads((kept.parent / "run.json").read_text())
    assert (record["launcher"], record["exit_code"], record["name"]) == ("slurm", 3, "mine")
    # In a repository it runs from a checkout of its own, and what it writes there is fetched.
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "one")):
        subprocess.run([*git, *words], cwd=cluster_project.here.folder, check=True)
    script = 'pwd; echo written >beside.txt; echo "$PYTHONPATH"'
    done = cluster_project.here.lab("run", "--slurm", "--name", "mine", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    (beside,) = (cluster_project.here.project.path / "outputs" / "mine").glob("*/beside.txt")
    code = cluster_project.here.folder.resolve() / ".lab" / "code" / beside.parent.name
    assert {str(code), f"{code}/src"} <= set(done.stderr.splitlines())
    assert not code.exists()
    assert not (cluster_project.here.folder / "beside.txt").exists()


@pytest.mark.slow
def test_end_that_slurm_or_somebody_else_brings_is_told_in_words(
    cluster_project: ClusterProject,
) -> None:
    write_lab(cluster_project, "waiting", WAITING)

    def start(wishes: str) -> tuple[subprocess.Popen[str], str]:
        """Start a run and somebody who follows it; return that and the number of Slurm's job."""
        before = set(cluster_project.cluster.command("squeue", "--noheader", "--format=%i").split())
        cluster_project.ask_for(wishes)
        following = cluster_project.here.start_lab("run", "waiting", "--slurm", "--again")
        read_until(following, "waiting for it")
        now = set(cluster_project.cluster.command("squeue", "--noheader", "--format=%i").split())
        (number,) = now - before
        return following, number

    def told(following: subprocess.Popen[str]) -> str:
        rest, _ = following.communicate()
        assert following.returncode == 1
        return rest

    timed, number = start('options = ["--nodelist=n1"]')
    # Slurm looks at time limits twice a minute; meanwhile the others end.
    cluster_project.cluster.command("scontrol", "update", f"JobId={number}", "EndTime=now+1seconds")
    cancelled, number = start("")
    cluster_project.cluster.command("scancel", number)
    assert "it was cancelled, by you or the cluster's administrators." in told(cancelled)
    alone, number = start('options = ["--no-requeue", "--nodelist=n2"]')
    cluster_project.cluster.command(
        "scontrol", "update", "NodeName=n2", "State=down", "Reason=test"
    )
    try:
        assert "did not finish: its node failed." in told(alone)
    finally:
        cluster_project.cluster.command("scontrol", "update", "NodeName=n2", "State=idle")
    limit = told(timed)
    assert "did not finish: it reached its time limit." in limit
    assert limit.splitlines()[-1].startswith("Next: Ask for more time in lab.toml: [slurm] time = ")
    rows = cluster_project.here.lab("runs").stdout.splitlines()[1:4]
    states = [re.split(" {2,}", row)[1] for row in rows]
    assert states == ["failed (TIMEOUT)", "failed (CANCELLED)", "failed (NODE_FAIL)"]


@pytest.mark.slow
def test_what_is_noted_counts_where_slurm_is_silent_or_has_forgotten(
    cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lab(cluster_project, "waiting", WAITING)
    assert cluster_project.here.lab("run", "waiting", "--slurm", "--detach").returncode == 0
    wait_for_output(cluster_project, "waiting for it")
    with cluster_project.cluster.without_controller():
        running = cluster_project.only_run()
    assert running.slurm is not None
    assert (running.state, running.slurm.state) == ("unknown", "UNKNOWN")
    with monkeypatch.context() as silent:
        alter_scripts(silent, lambda text: text.replace("squeue", "squeue-is-not-here"))
        (cluster_project.here.folder / "go").touch()
        # Nobody asks Slurm: the end is noted in the folder.
        wait_until(lambda: cluster_project.only_run().is_over)
        assert cluster_project.only_run().state == "done"
    with monkeypatch.context() as forgetful:
        alter_scripts(forgetful, lambda text: text.replace("--states=all", "--name=no"))
        done = cluster_project.only_run()
    assert done.slurm is not None
    assert (done.state, done.slurm.state) == ("done", "GONE")
    # Where Slurm tells nothing any more, somebody may have a job count as over; else Slurm counts.
    (cluster_project.here.folder / "go").unlink()
    assert cluster_project.here.lab("run", "waiting", "--slurm", "--detach").returncode == 0
    wait_for_output(cluster_project, "waiting for it", times=2)
    listed = jobs.list_jobs(cluster_project.here.machine, console=Console(), kind="run")
    (other,) = [job for job in listed if not job.is_over]
    refused = cluster_project.here.lab("stop", "--forget", other.id)
    assert refused.returncode == 1
    assert "so it cannot be forgotten" in refused.stderr
    with monkeypatch.context() as silent:
        alter_scripts(silent, lambda text: text.replace("squeue", "squeue-is-not-here"))
        assert jobs.forget(cluster_project.here.machine, other.id).state == "lost"
    cluster_project.cluster.command("scancel", number_of(other))


@pytest.mark.slow
def test_machine_without_slurm_is_told(
    cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter_scripts(monkeypatch, lambda text: text.replace("sbatch", "sbatch-is-not-here"))
    machine = cluster_project.here.machine
    context = Context(project=Project(root=cluster_project.here.project.path))
    run = Run(lab="labs/a.py", launcher="slurm")
    about = About(kind="run", title="labs/a.py", run=run)
    beginning = LAUNCHER.job_start(context, machine, run)
    with pytest.raises(LabError, match="There is no Slurm on machine: sbatch is not found"):
        jobs.start(machine, about, "true", beginning=beginning)
    assert jobs.list_jobs(machine, console=Console()) == []


@pytest.mark.slow
def test_slurm_that_only_a_login_shell_finds_is_found(cluster_project: ClusterProject) -> None:
    path = cluster_project.here.folder.parent / "bin"
    path.mkdir()
    tools = "awk bash cat cut date env find id sed sh tail timeout uname"
    for name in tools.split():
        (path / name).symlink_to(shutil.which(name) or name)
    (cluster_project.here.folder.parent / ".bash_profile").write_text(
        f'echo Welcome; export PATH="{os.environ["PATH"]}"\n'
        f'export SLURM_CONF="{cluster_project.cluster.configuration}"\n'
    )
    write_lab(cluster_project, "waiting", WAITING)
    assert cluster_project.here.lab("run", "waiting", "--slurm", "--detach").returncode == 0
    cluster_project.here.client.close()
    cluster_project.here.server.stop()
    cluster_project.here.server.start(
        SetEnv=f'"HOME={cluster_project.here.folder.parent}" "PATH={path}"'
    )
    found = cluster_project.only_run()
    assert found.slurm is not None
    assert found.slurm.state in ("PENDING", "RUNNING")
