"""A real Slurm of the test's own on loopback: one controller, and two nodes that are this machine.

Only root can start jobs for others, which is what Slurm's daemons are for; and only root can give
them a munge of their own. They are in the foreground, so that they end with the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import openssh_server
from baking import TOOL
from needs import need_program
from openssh_server import Account, run
from tool_helpers import ReadyProject, at_terminal, known_machine, wait_until

from ml_remote import jobs
from ml_remote.jobs.job import Job
from ml_remote.machine import Machine
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

__all__ = [
    "CLOSED",
    "Cluster",
    "ClusterProject",
    "OrdinaryProject",
    "number_of",
    "ordinary_project",
    "slurm_cluster",
]

CLOSED = "closed"
"""A partition that takes jobs and starts none."""

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_NODES = 2


@dataclass(frozen=True)
class Cluster:
    """A running Slurm; every node has all processors of this machine."""

    folder: Path

    @property
    def configuration(self) -> Path:
        """What SLURM_CONF names."""
        return self.folder / "slurm.conf"

    def command(self, *words: str) -> str:
        """Run one of Slurm's commands, which must succeed, and return what it printed."""
        return run(*words, SLURM_CONF=str(self.configuration))

    @contextmanager
    def without_controller(self) -> Iterator[None]:
        """Make Slurm unreachable during the block: its controller is stopped."""
        controller = int((self.folder / "slurmctld.pid").read_text())
        os.kill(controller, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(controller, signal.SIGCONT)

    def end_jobs(self, user: str = "root") -> None:
        """Cancel every job of a user, and wait until nothing is left of any."""
        self.command("scancel", f"--user={user}")
        wait_until(lambda: not self.command("squeue", "--noheader", f"--user={user}").strip())

    def state(self, number: str) -> str:
        """Return Slurm's word for the state of a job."""
        return self.command(
            "squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T"
        ).strip()


@dataclass(frozen=True)
class ClusterProject:
    """A project on the laptop, the same on the login node, and the cluster behind it."""

    here: ReadyProject
    cluster: Cluster

    def only_run(self) -> Job:
        """Return the run; it is the only one."""
        (job,) = jobs.list_jobs(self.here.machine, console=Console(), kind="run")
        return job

    def ask_for(self, text: str) -> None:
        """Write the table [slurm] of lab.toml here."""
        path = self.here.project.path / "lab.toml"
        rest, _, _ = path.read_text().partition("\n[slurm]\n")
        path.write_text(f"{rest}\n[slurm]\n{text}\n")


@dataclass(frozen=True)
class OrdinaryProject:
    """A small project on the laptop and on the login node, where its account is nobody special."""

    cluster: Cluster
    here: Path
    there: Path
    account: Account
    client: Client

    def ask_for(self, text: str) -> None:
        """Write what lab.toml says besides [remote]."""
        remote = f'[remote]\nalias = "machine"\nfolder = "{self.there}"\n'
        (self.here / "lab.toml").write_text(f"format = 2\n{remote}{text}\n")

    def lab(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the `lab` command with nobody at the terminal."""
        return subprocess.run(
            [sys.executable, "-B", "-m", "ml_remote", *arguments],
            cwd=self.here,
            env={**os.environ, **self._variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def at_terminal(self, *arguments: str, answers: Mapping[str, str]) -> tuple[int, str]:
        """Run the `lab` command at a terminal, and answer; return its exit code and the screen."""
        command = [sys.executable, "-B", "-m", "ml_remote", *arguments]
        return at_terminal(command, answers=answers, folder=self.here, variables=self._variables)

    @property
    def _variables(self) -> dict[str, str]:
        return {"LAB_SSH_DIR": str(self.client.directory), "PYTHONPATH": str(TOOL)}

    def write(self, name: str, text: str) -> None:
        """Write a file of the project on the login node."""
        self.account.write(f"{self.there.name}/{name}", text)

    def runs(self) -> list[Job]:
        """Return the runs of the project, the oldest first."""
        return jobs.list_jobs(self.machine, console=Console(), kind="run")

    @property
    def machine(self) -> Machine:
        """The login node, with the project's folder there."""
        return Machine(client=self.client, folder=str(self.there))


def number_of(job: Job) -> str:
    """Return Slurm's number of a job."""
    assert job.slurm is not None
    return job.slurm.id


@contextmanager
def ordinary_project(cluster: Cluster, folder: Path) -> Iterator[OrdinaryProject]:
    """Yield a project of an ordinary account, with an interpreter and no packages."""
    with ExitStack() as stack:
        laptop = openssh_server.laptop(
            # Not below pytest's own folder: that path is too long for shared connections.
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="laptop-")))
        )
        account = stack.enter_context(openssh_server.account(shell="/bin/bash"))
        start = openssh_server.openssh_server(account, SetEnv=f"SLURM_CONF={cluster.configuration}")
        client = known_machine(laptop, stack.enter_context(start))
        there = account.home / "project"
        project = OrdinaryProject(cluster, folder, there, account, client)
        project.ask_for("")
        project.write("lab.toml", (folder / "lab.toml").read_text())
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
        client.run(
            "ln", "-s", python, f"{account.write('project/.venv/bin/.keep', '').parent}/python"
        )
        yield project
        cluster.end_jobs(account.user)
        client.close()


@contextmanager
def slurm_cluster() -> Iterator[Cluster]:
    """Yield a running Slurm. It and everything that it runs end with the block."""
    # Not below pytest's own folder: that path is too long for munge's socket.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, ExitStack() as daemons:
        cluster = Cluster(Path(folder))
        cluster.folder.chmod(0o755)  # everybody reads its configuration, and finds munge
        _write_configuration(cluster)

        def start(program: str, *arguments: str, until: Callable[[], bool]) -> None:
            log = daemons.enter_context((cluster.folder / f"{program}.log").open("ab"))
            process = subprocess.Popen(
                [need_program(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SLURM_CONF": str(cluster.configuration)},
            )
            daemons.callback(process.wait)
            daemons.callback(process.terminate)
            while not until():
                assert process.poll() is None, (cluster.folder / f"{program}.log").read_text()
                time.sleep(0.05)

        start("munged", *_munge_arguments(cluster), until=(cluster.folder / "munge").exists)
        start("slurmctld", "-D", "-c", until=lambda: _answers(cluster, "scontrol", "ping"))
        for node in _names():
            start("slurmd", "-D", "-N", node, until=partial(_is_idle, cluster, node))
        try:
            yield cluster
        finally:
            cluster.end_jobs()


def _names() -> list[str]:
    return [f"n{number}" for number in range(1, _NODES + 1)]


def _munge_arguments(cluster: Cluster) -> list[str]:
    key = cluster.folder / "munge-key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    return [
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={cluster.folder / 'munge'}",
        f"--pid-file={cluster.folder / 'munge-pid'}",
        f"--log-file={cluster.folder / 'munge-log'}",
        f"--seed-file={cluster.folder / 'munge-seed'}",
    ]


def _write_configuration(cluster: Cluster) -> None:
    folder, host = cluster.folder, socket.gethostname().partition(".")[0]
    controller, *ports = _free_ports(1 + _NODES)
    (folder / "state").mkdir()
    nodes = [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
        f"CPUs={os.cpu_count()} RealMemory=1000"
        for node, port in zip(_names(), ports, strict=True)
    ]
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        "SlurmUser=root",
        f"AuthInfo=socket={folder / 'munge'}",
        f"StateSaveLocation={folder / 'state'}",
        f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        "SwitchType=switch/none",
        "MpiDefault=none",
        "ReturnToService=2",
        "KillWait=2",
        "MaxArraySize=4",
        "SlurmdParameters=config_overrides",
        "SchedulerParameters=sched_interval=2,batch_sched_delay=0",
        *nodes,
        "PartitionName=main Nodes=ALL Default=YES MaxTime=60",
        f"PartitionName={CLOSED} Nodes=ALL State=DOWN",
    ]
    cluster.configuration.write_text("".join(f"{line}\n" for line in lines))


def _answers(cluster: Cluster, *words: str) -> bool:
    done = subprocess.run(
        words,
        env={**os.environ, "SLURM_CONF": str(cluster.configuration)},
        capture_output=True,
        text=True,
    )
    return done.returncode == 0


def _is_idle(cluster: Cluster, node: str) -> bool:
    said = cluster.command("sinfo", "--noheader", f"--nodes={node}", "--format=%t").split()
    return set(said) == {"idle"}


def _free_ports(number: int) -> list[int]:
    found: set[int] = set()
    while len(found) < number:
        found.add(openssh_server.free_port())
    return [*found]
