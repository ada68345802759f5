"""`lab node` on a cluster as people have it: control groups, cards, one home, a /tmp each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from baking import TEMPLATE_ROOT, BakedProject, bake_project
from cluster_machine import ClusterMachine
from cluster_site import Factor, Person, Site
from openssh_server import Laptop, free_port
from started import read_until
from terminal_picture import COLUMNS, draw_terminal
from terminal_session import terminal_session
from tool_helpers import LocalProject, at_terminal, wait_until

pytestmark = pytest.mark.slow

NAME = "handwriting-lab"
PICTURE = TEMPLATE_ROOT / "build" / "screenshots" / "lab-node.svg"
CUT = 3  # seconds; 25 were tried as well
LIMIT = 300  # seconds, after which something hangs
OLD_OPTION = "ControlMachine=control\n"  # of Slurm 17, which every command since then warns of


@dataclass(frozen=True)
class Work(LocalProject):
    """A project on the laptop, and in the home of a person of the cluster."""

    site: Site
    laptop: Laptop
    person: Person

    def node(self, *words: str) -> str:
        """Run `lab node`, which must succeed; return what it said."""
        done = self.lab("node", "--yes", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def node_with(self, text: str) -> None:
        """Run `lab node` with these lines in lab.toml, which is then as before."""
        settings = self.project.path / "lab.toml"
        before = settings.read_text()
        settings.write_text(f"{before}\n{text}\n")
        try:
            self.node()
        finally:
            settings.write_text(before)

    def ssh_command(self, *words: str, options: Sequence[str] = ()) -> list[str]:
        """Return the person's own ssh, with the options of VS Code."""
        config = str(self.laptop.config)
        return ["ssh", "-F", config, "-T", "-o", "ConnectTimeout=15", *options, *words]

    def ssh(self, *words: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run it without a terminal."""
        return subprocess.run(
            self.ssh_command(*words, options=options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    def queue(self) -> str:
        """Return the jobs that are not over."""
        return self.site.slurm("squeue", "--noheader", "--format=%i %T")

    @property
    def machine(self) -> ClusterMachine:
        """The compute node of the only job that runs."""
        name = self.site.slurm("squeue", "--noheader", "--states=RUNNING", "--format=%B").strip()
        return next(one for one in self.site.nodes if one.name == name)

    def processes(self, machine: ClusterMachine) -> str:
        """Return what runs there for the person."""
        words = ("ps", "-o", "pid,args", "--no-headers", "-u", self.person.user)
        return machine.run(*words, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """Return a project whose alias is the cluster."""
    folder, home = tmp_path_factory.mktemp("node"), tmp_path_factory.mktemp("home")
    return bake_project(folder / "here", home=home, ssh_alias="cluster")


@pytest.fixture
def work(site: Site, laptop: Laptop, project: BakedProject) -> Work:
    """Return Ada's project, here and on the cluster."""
    return placed(site, laptop, project, site.ada)


def placed(
    site: Site, laptop: Laptop, project: BakedProject, person: Person, *, name: str = NAME
) -> Work:
    """Authorize the laptop, and put the project into a person's home, as a folder `name`."""
    site.known(laptop, person)
    (project.path / "lab.local.toml").write_text(f'[remote]\nfolder = "{name}"\n')
    folder = person.home / name
    shutil.copytree(project.path, folder, ignore=shutil.ignore_patterns(".git", ".venv"))
    owner = person.home.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return Work(project=project, site=site, laptop=laptop, person=person)


def listening(machine: ClusterMachine) -> set[str]:
    """Return the TCP ports on which something listens."""
    return {line.split()[3] for line in machine.run("ss", "-Htln").splitlines()}


def got_at_a_terminal(work: Work) -> str:
    """Get a node when the cluster is full at first; draw what is on the terminal."""
    work.laptop.ssh.joinpath("ml-remote.d").mkdir(mode=0o700)
    config = work.laptop.config.read_text()
    work.laptop.config.write_text(f"Include {work.laptop.ssh}/ml-remote.d/*.conf\n{config}")
    for _ in work.site.nodes:
        filling = ("sbatch", "--output=/dev/null", "--gres=gpu:2", "--wrap=sleep 500")
        work.site.login1.run(*filling, user="ada")
    wait_until(lambda: work.queue().count("RUNNING") == 2)
    code, written = at_terminal(
        [sys.executable, "-B", "lab.py", "node", "--gpus", "1", "--time", "00:30:00"],
        answers={},
        folder=work.project.path,
        variables={"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "30"},
        when_shown=(
            "it is waiting until",
            lambda: work.site.slurm("scancel", "--state=RUNNING", "-u", "ada"),
        ),
    )
    assert code == 0, written
    shown = written.replace(str(work.laptop.ssh), "/home/ada/.ssh")
    draw_terminal(f"$ lab node --gpus 1 --time 00:30:00\r\n{shown}", PICTURE, title="lab node")
    assert "Number 1 of 1 in the queue of Slurm: it is waiting until enough" in written
    return written.replace("\r\n", "\n")


def test_node_over_a_login_that_asks_for_a_code(work: Work) -> None:
    site, laptop = work.site, work.laptop
    ports = listening(site.nodes[0])
    with site.asking(Factor.AFTER_KEY):
        answers = site.ada.answers(laptop)
        assert laptop.run_ssh("cluster", "true", **answers).returncode == 0
        asked = len(laptop.questions)
        said = got_at_a_terminal(work)
        node = work.machine
        assert re.search(
            rf"\n{node.name} is available as cluster-node: job \d+, (2[5-9]|30) min", said
        )
        # As VS Code connects.
        script = "echo $CUDA_VISIBLE_DEVICES; uname -n; echo $SLURM_JOB_ID"
        done = work.ssh("cluster-node", script, options=("-D", str(free_port())))
        assert done.returncode == 0, done.stderr
        number = work.queue().split()[0]
        assert done.stdout == f"0\n{node.name}\n{number}\n"
        assert listening(node) == ports
        assert len(laptop.questions) == asked


def test_what_is_started_lives_until_the_job_ends(work: Work) -> None:
    site = work.site
    work.node_with('[slurm]\nprepare = ["module load cuda/12"]')
    node = work.machine
    # The job's environment, modules included, and a daemon that outlives its login.
    alone = ("-o", "ControlPath=none")
    daemon = "setsid nohup sleep 4711 >/dev/null 2>&1 </dev/null &"
    done = work.ssh("cluster-node", f"echo $CUDA_HOME; umask; {daemon}", options=alone)
    assert done.stdout.split() == ["/opt/cuda/12", "0022"]
    # A network that is lost for a while, and commands that are killed.
    command = work.ssh_command("cluster-node", "cat", options=alone)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        wait_until(lambda: " cat" in work.processes(node))
        with site.without_network():
            print("sent", file=session.stdin, flush=True)
            time.sleep(CUT)
        assert session.stdout.readline() == "sent\n"
        session.kill()
    shell = work.start_lab("shell", "--node", "--", "cat")
    wait_until(lambda: "cat" in work.processes(node))
    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate()
    work.laptop.run_ssh("-O", "exit", "cluster-node")
    wait_until(lambda: "cat" not in work.processes(node))
    wait_until(lambda: "srun" not in work.processes(site.login1))
    assert "sleep 4711" in work.processes(node)
    # A folder that a job has left which was killed, and the job that ends below a session.
    left = "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/lab-node-left/ssh')"
    for one in site.nodes:
        one.run("mkdir", "-m", "700", "/tmp/lab-node-left", user="ada")
        one.run("python3", "-c", left, user="ada")
        one.run("touch", "-d", "2 minutes ago", "/tmp/lab-node-left/ssh", user="ada")
    with subprocess.Popen(work.ssh_command("cluster-node", "sleep 4712", options=alone)) as session:
        wait_until(lambda: "sleep 4712" in work.processes(node))
        assert work.lab("node", "--stop").returncode == 0
        assert session.wait(timeout=LIMIT) == 255
    assert work.processes(node) == ""
    folders = ("sh", "-c", "ls -d /tmp/lab-*")
    assert node.run(*folders) == "/tmp/lab-node-left\n"
    done = work.ssh("cluster-node", "true")
    assert re.search(r"lab: Job \d+ was stopped\. Start another one: lab node\n", done.stderr)
    assert work.queue() == ""
    work.node()
    assert "/tmp/lab-node-left" not in work.machine.run(*folders)


BUSY = """\
import os, sys, time
sys.path.insert(0, sys.argv[1])
from ml_remote.far.login import kernels
root = os.getcwd()
path = kernels.folder(make=True) / kernels.id_of(root, "labs/a")
path.mkdir()
kernels.write_about(path, root=root, lab="labs/a", pid=os.getpid(), python=sys.executable)
(path / "busy").touch()
print("busy", flush=True)
os.close(1), os.close(2)
time.sleep(4711)
"""


def test_job_ends_when_no_kernel_is_busy_and_nobody_is_connected(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.node_with("[slurm.node]\nidle_minutes = 0.5")
    node = work.machine
    work.person.write("busy.py", BUSY)
    far = next((work.person.home / NAME / ".lab" / "far").glob("*")).name
    start = f"cd {NAME}; setsid python3 ../busy.py .lab/far/{far} </dev/null & sleep 1"
    done = work.ssh("cluster-node", start, options=("-o", "ControlPath=none"))
    assert done.stdout == "busy\n", done.stderr
    time.sleep(40)  # longer than nobody may use it
    assert "RUNNING" in work.queue()
    node.run("sh", "-c", "rm /tmp/lab-kernels-*/*/busy", user="ada")
    wait_until(lambda: work.queue() == "")
    assert "because it was unused" in work.ssh("cluster-node", "true").stderr
    done = work.lab("status", "--node")
    assert "cluster-node leads to no compute node. Job" in done.stderr
    assert "\nNext: Get one: lab node; to list yours: lab node --list\n" in done.stderr
    assert "ended: it was unused" in work.lab("node", "--list").stdout


def test_node_whose_own_server_is_the_only_way(work: Work) -> None:
    """Users may run no sshd; first pam_slurm_adopt lets them in, then nothing does."""
    hidden = "cp /usr/sbin/sshd /run/sshd-of-root && chmod 700 /run/sshd-of-root"
    for node in work.site.nodes:
        node.run("sh", "-c", f"{hidden} && mount --bind /run/sshd-of-root /usr/sbin/sshd")
    try:
        said = work.node()
        node = work.machine
        assert f"{node.name} has no sshd that you can run. cluster-node leads to its own" in said
        done = work.ssh("cluster-node", "uname -n; echo $SLURM_JOB_ID")
        assert done.stdout.split() == [node.name, work.queue().split()[0]], done.stderr
        assert work.lab("shell", "--node", "--", "true").returncode == 0
        work.lab("node", "--stop")
        wait_until(lambda: work.queue() == "")
        done = work.ssh("cluster-node", "true", options=("-o", "ControlPath=none"))
        assert "Access denied by pam_slurm_adopt" in done.stderr
        (work.person.home / ".ssh" / "authorized_keys").write_text("")
        done = work.lab("node")
        assert done.returncode == 1
        assert "has no sshd that you can run. Its own SSH server refuses you too" in done.stderr
        assert "pam_slurm_adopt, which lets in users with a job there" in done.stderr
        assert work.queue() == ""
    finally:
        for node in work.site.nodes:
            node.run("umount", "/usr/sbin/sshd")


def test_several_nodes_other_shells_and_taken_aliases(
    site: Site, laptop: Laptop, project: BakedProject
) -> None:
    # Her start-up files print something, Slurm warns of its configuration, and ssh expands `%`.
    work = placed(site, laptop, project, site.nora, name=f"50%d_{NAME}")
    configuration = work.person.home / "slurm.conf"
    configuration.write_text(site.login1.run("cat", "/etc/slurm/slurm.conf") + OLD_OPTION)
    with (work.person.home / ".bashrc").open("a") as start_up:
        start_up.write("export SLURM_CONF=/home/nora/slurm.conf\n")
    process = work.start_lab("node", "--yes", "--partition", "closed", "--name", "big")
    read_until(process, "in the queue of Slurm: the partition is closed")
    done = work.ssh("cluster-big", "true")
    assert re.search(r"lab: Job \d+ is waiting in the queue \(PartitionDown\)", done.stderr)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=LIMIT)
    assert "Stopped waiting. Job" in rest
    assert work.queue().count("PENDING") == 1
    work.node("--time", "20")
    assert work.queue().count("\n") == 2
    entry = laptop.ssh / "ml-remote.d" / "cluster-node.conf"
    before = entry.read_bytes()
    assert not re.search(r"n[0-9]{2}\b", before.decode())  # it names no node
    assert "already exists and was not changed" in work.node("--gpus", "1")
    assert entry.read_bytes() == before
    number = work.queue().split("RUNNING")[0].split()[-1]
    about = rf"job {number}, {work.machine.name}, (1[5-9]|20) min left\n"
    assert re.search(rf"(?m)^cluster-node +{about}", work.lab("node", "--list").stdout)
    for where in ((), ("--node",)):
        assert re.search(rf"\n  Node        node: {about}", work.lab("status", *where).stdout)
    said = work.ssh("cluster-node", "echo $SLURM_JOB_NAME").stdout
    assert said == "Welcome to the cluster\ninteractive\n"
    listed = json.loads(work.lab("node", "--list", "--json").stdout)["nodes"]
    assert [(one["alias"], one["is_ready"]) for one in listed] == [
        ("cluster-big", False),
        ("cluster-node", True),
    ]
    work.lab("node", "--stop", "--name", "big")
    done = work.lab("disconnect", "--alias", "cluster-big", "--yes")
    assert done.returncode == 0, done.stderr
    assert not [*(laptop.ssh / "ml-remote.d").glob("cluster-big*")]
    # tcsh on the way, and an alias that is another's.
    config = laptop.config.read_text()
    laptop.config.write_text(f"{config}Host cluster-taken\n  HostName 127.0.0.1\n")
    for words, said in (
        (("node", "--yes", "--name", "taken"), "cluster-taken is already in"),
        (("node", "--alias", "cluster-node"), "is itself a compute node"),
        (("connect", "--alias", "cluster-node", "ada@login2"), "is a compute node, whose entry"),
        (("node", "--yes", "--name", "Big"), "A node cannot be called"),
        (("run", "--node", "--slurm", "--", "true"), "cannot be combined"),
    ):
        done = work.lab(*words)
        assert done.returncode in (1, 2, 125), words
        assert said in done.stderr, (words, done.stderr)


def numbers_in_queue(work: Work) -> list[str]:
    """Return Slurm's numbers of the jobs that are not over."""
    return re.findall(r"(?m)^(\d+)", work.queue())


def stopped_by_ctrl_c(work: Work, answer: str) -> str:
    """Wait for a node that does not come, press Ctrl-C, and answer; return the screen."""
    words = ("node", "--yes", "--partition", "closed", "--name", "big")
    with terminal_session(
        [sys.executable, "-B", "lab.py", *words],
        answers={r"from the queue\? \[y/N\]:": answer},
        folder=work.project.path,
    ) as session:
        session.wait_for("in the queue of Slurm: the partition is closed")
        session.interrupt()
        assert session.wait() == 0, session.screen
        return session.screen


def test_queue_has_one_job_for_a_node_and_none_that_never_starts(work: Work) -> None:
    # Two commands at the same time, when nothing of the node is there yet.
    both = [work.start_lab("node", "--yes", "--time", "20") for _ in range(2)]
    said = [process.communicate(timeout=LIMIT)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (number,) = numbers_in_queue(work)
    assert all(f"is available as cluster-node: job {number}, " in one for one in said), said
    assert work.ssh("cluster-node", "echo $SLURM_JOB_ID").stdout == f"{number}\n"
    # More time than the partition gives: Slurm takes the job and never starts it.
    done = work.lab("node", "--yes", "--name", "long", "--time", "02:00:00")
    assert done.returncode == 1
    assert re.search(
        r"Job \d+ can never start, so it was removed from the queue\. .* more time than",
        done.stderr,
    )
    assert done.stderr.endswith("or as options: lab node --name long --time TIME\n")
    assert numbers_in_queue(work) == [number]
    # Ctrl-C asks what is to become of the job.
    screen = stopped_by_ctrl_c(work, "n")
    assert re.search(r"Job \d+ was kept\.\nNext: To wait for it: lab node --name big", screen), (
        screen
    )
    assert len(numbers_in_queue(work)) == 2
    screen = stopped_by_ctrl_c(work, "y")
    assert re.search(r"Job \d+ was ended\.\nNext: lab node --name big\n", screen), screen
    assert numbers_in_queue(work) == [number]
    # An entry of the person's own for the login node is not ours to take away.
    done = work.lab("disconnect", "--yes")
    assert (
        "cluster-node is reached through it; to remove that too: lab disconnect --alias"
        in done.stdout
    )
