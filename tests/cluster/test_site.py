"""The cluster of the tests is one as people have it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_site import GATEWAY, Factor, Site
from openssh_server import Laptop
from tool_helpers import wait_until

pytestmark = pytest.mark.slow


def logged_in(laptop: Laptop, command: str = "uname -n", **variables: str) -> tuple[int, str]:
    """Log in again and run a command; return the exit code and all that was printed."""
    laptop.run_ssh("-O", "exit", "gateway")
    done = laptop.run_ssh("-S", "none", "cluster", command, **variables)
    return done.returncode, done.stdout + done.stderr


def submitted(site: Site, script: str, *options: str) -> str:
    """Submit a job as Ada, wait until it runs, and return its number."""
    words = ("sbatch", "--parsable", "--output=/home/ada/log", *options, f"--wrap={script}")
    number = site.login1.run(*words, user="ada").strip()
    wait_until(lambda: "RUNNING" in site.slurm("squeue", "-h", "-j", number, "-o", "%T"))
    return number


def test_laptop_gets_to_the_login_nodes_through_the_gateway_alone(
    site: Site, laptop: Laptop
) -> None:
    site.known(laptop, site.ada)
    assert logged_in(laptop, "uname -n; pwd") == (0, "login1\n/home/ada\n")
    site.prefer(site.login2)
    assert logged_in(laptop) == (0, "login2\n")
    site.prefer(site.login1)
    for words in (("route", "get", "10.80.0.11"), ("route", "get", "1.1.1.1")):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        assert "unreachable" in done.stderr


def test_machines_have_one_home_and_a_tmp_each(site: Site, laptop: Laptop) -> None:
    site.ada.write("note", "for all")
    site.login1.run("touch", "/tmp/mine", user="ada")
    for machine in site.machines:
        assert machine.run("cat", "note", user="ada") == "for all"
        assert machine.run("uname", "-n").strip() == machine.name
        there = machine.run("ls", "/tmp").split()
        assert there == (["mine"] if machine == site.login1 else [])
        assert machine.run("ip", "route", "get", "1.1.1.1", check=False).count("unreachable") == 1


def test_node_lets_in_who_has_a_job_and_ends_all_of_it(site: Site, laptop: Laptop) -> None:
    key = "ssh-keygen -q -t ed25519 -N '' -f .ssh/id && cp .ssh/id.pub .ssh/authorized_keys"
    site.ada.authorize("")
    site.login1.run("sh", "-c", key, user="ada")
    script = "echo $CUDA_VISIBLE_DEVICES; nvidia-smi -L; setsid -f sleep 4711; sleep 60"
    number = submitted(site, script, "--gres=gpu:1")
    node = next(
        one for one in site.nodes if site.slurm("squeue", "-h", "-o", "%N").strip() == one.name
    )
    (other,) = set(site.nodes) - {node}

    def ssh(name: str) -> str:
        words = ("ssh", "-i", ".ssh/id", "-o", "BatchMode=yes", name, "echo $SLURM_JOB_ID")
        return site.login1.run(*words, user="ada", check=False)

    assert ssh(node.name).strip() == number
    assert "Access denied by pam_slurm_adopt: you have no active jobs" in ssh(other.name)
    wait_until((site.ada.home / "log").exists)
    wait_until(lambda: (site.ada.home / "log").read_text().count("\n") == 3)
    card, *listed = (site.ada.home / "log").read_text().splitlines()
    assert card == "0"
    assert listed[1] == f"GPU 1: NVIDIA H200 (UUID: GPU-{node.name}-1)"
    wait_until(lambda: "sleep 4711" in node.run("ps", "-o", "args", "-u", "ada", check=False))
    site.login1.run("scancel", number, user="ada")
    wait_until(lambda: "sleep" not in node.run("ps", "-o", "args", "-u", "ada", check=False))


@pytest.mark.parametrize(
    ("factor", "at_gateway", "asked"),
    [
        (Factor.AFTER_PASSWORD, False, ["Password: ", "Verification code: "]),
        (Factor.AFTER_KEY, False, ["Verification code: "]),
        (Factor.AFTER_PASSWORD, True, ["Password: ", "Verification code: "]),
    ],
    ids=["password and code", "key and code", "at the gateway"],
)
def test_second_factor_is_asked_for_and_a_code_is_good_once(
    factor: Factor, at_gateway: bool, asked: list[str], site: Site, laptop: Laptop
) -> None:
    site.known(laptop, site.ada)
    where = GATEWAY if at_gateway else "login"
    with site.asking(factor, at_gateway=at_gateway):
        code, said = logged_in(laptop, SSH_ASKPASS_REQUIRE="never")
        assert code == 255
        assert f"ada@{where}: Permission denied (keyboard-interactive)." in said
        answers = site.ada.answers(laptop)
        assert logged_in(laptop, **answers) == (0, "login1\n")
        assert laptop.questions == [f"(ada@{where}) {question}" for question in asked]
        assert logged_in(laptop, **answers)[0] == 255
    assert logged_in(laptop, SSH_ASKPASS_REQUIRE="never") == (0, "login1\n")


def test_accounts_have_other_shells_and_one_of_them_is_noisy(site: Site, laptop: Laptop) -> None:
    for person, said in (
        (site.tim, "/usr/bin/tcsh\n"),
        (site.nora, "Welcome to the cluster\n/usr/bin/bash\nQuota: 93 %\n"),
    ):
        site.known(laptop, person, alias="cluster")
        assert logged_in(laptop, "echo $SHELL") == (0, said)
        words = ("bash", "-lc", "module load cuda/12 && echo $CUDA_HOME")
    assert site.login1.run(*words, user="ada") == "/opt/cuda/12\n"


def test_network_is_cut_and_connections_outlive_it(site: Site, laptop: Laptop) -> None:
    site.known(laptop, site.ada)
    command = ["ssh", "-F", str(laptop.config), "cluster", "cat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as open_one:
        assert open_one.stdin is not None
        assert open_one.stdout is not None
        print("before", file=open_one.stdin, flush=True)
        assert open_one.stdout.readline() == "before\n"
        with site.without_network():
            anew = ("-S", "none", "-o", "ConnectTimeout=1", "gateway", "true")
            assert "timed out" in laptop.run_ssh(*anew).stderr
            print("after", file=open_one.stdin, flush=True)
        assert open_one.stdout.readline() == "after\n"


KILLED = """\
import sys
sys.path[:0] = {path!r}
from cluster_site import site
with site(range(11, 20)) as running:  # none that a test wants which begins meanwhile
    running.ada.write("left", "")
    print(running.folder, running.nodes[0].process, running.laptop, flush=True)
    sys.stdin.read()
"""


def test_cluster_whose_tests_are_killed_leaves_no_process(site: Site) -> None:
    script = KILLED.format(path=sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        folder, *processes = other.stdout.readline().split()
        assert Path(folder) != site.folder
        other.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(Path("/proc", process).exists() for process in processes))
    assert re.search(r"-1[1-9]$", folder)
    assert Path(folder, "homes/ada/left").exists()  # until the next one of that number begins
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().split()[0] == folder
        assert other.communicate("")[0] == ""
    assert not Path(folder).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/slurm_n{folder[-2:]}[12]"))
