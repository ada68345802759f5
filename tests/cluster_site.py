"""A cluster as people have it: a gateway, two login nodes, two compute nodes, one home.

The laptop reaches the gateway only, and no machine the internet. Slurm keeps track of what a job
starts by control groups; a compute node lets in who has a job there (pam_slurm_adopt). The login
nodes or the gateway ask for a second factor where a test says so. Everything runs in namespaces
(see cluster_machine.py) and ends with the tests, however they end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import openssh_server
from cluster_files import ADDRESSES, CODES, Factor, Person, login_files, write_files
from cluster_machine import (
    ClusterMachine,
    cluster_machine,
    network_of_its_own,
)
from filelock import FileLock, Timeout
from needs import need_program
from openssh_server import Laptop
from system_packages import missing_packages
from tool_helpers import wait_until

from ml_remote.ssh.client import Client

__all__ = ["GATEWAY", "Factor", "Person", "Site", "site"]

GATEWAY = "10.79.0.2"
"""The address of the gateway, the only one that the laptop reaches."""
_LAPTOP = "10.79.0.1"
_FIRST_USER = 21001
_NUMBERS = range(1, 10)
_LIMIT = 300.0  # seconds, after which something hangs
_SSHD_PID = "/run/sshd.pid"
_LISTENS = f"until [ -s {_SSHD_PID} ]; do sleep 0.02; done"


@dataclass(frozen=True)
class Site:
    """The cluster, and the people who have an account there."""

    folder: Path
    laptop: int
    """A process in the laptop's network."""
    gateway: ClusterMachine
    login1: ClusterMachine
    login2: ClusterMachine
    """Nobody gets here by the name `login` unless `prefer` says so."""
    nodes: tuple[ClusterMachine, ClusterMachine]
    control: ClusterMachine
    """Where Slurm's controller runs; nobody logs in there."""
    ada: Person
    """Her login shell is bash."""
    tim: Person
    """His login shell is tcsh."""
    nora: Person
    """Her login shell is bash, and her .bashrc says something."""

    @property
    def people(self) -> tuple[Person, ...]:
        """All of them."""
        return self.ada, self.tim, self.nora

    @property
    def machines(self) -> tuple[ClusterMachine, ...]:
        """All machines that people can get to."""
        return self.gateway, self.login1, self.login2, *self.nodes

    def slurm(self, *words: str) -> str:
        """Run one of Slurm's commands as root, and return what it printed."""
        return self.control.run(*words)

    @contextmanager
    def asking(self, factor: Factor, *, at_gateway: bool = False) -> Iterator[None]:
        """Make the login nodes, or the gateway, ask for a second factor within the block.

        Connections that are open stay open.
        """
        machines = (self.gateway,) if at_gateway else (self.login1, self.login2)
        for machine in machines:
            _set_login(machine, factor)
        try:
            yield
        finally:
            for machine in machines:
                _set_login(machine, Factor.NONE)

    def prefer(self, machine: ClusterMachine) -> None:
        """Point the name `login` at this one of the two login nodes."""
        others = [one for one in (self.login1, self.login2) if one != machine]
        hosts = (self.folder / "files/all/etc/hosts").read_text().splitlines()
        kept = [line for line in hosts if not line.endswith(" login")]
        names = [f"{ADDRESSES[one.name]} login" for one in (machine, *others)]
        self.gateway.write("/etc/hosts", "\n".join([*kept, *names, ""]))

    @contextmanager
    def without_network(self) -> Iterator[None]:
        """Lose every packet between the laptop and the gateway within the block."""
        self.gateway.run("ip", "link", "set", "dev", "outside", "down")
        try:
            yield
        finally:
            self.gateway.run("ip", "link", "set", "dev", "outside", "up")

    def known(self, laptop: Laptop, person: Person, alias: str = "cluster") -> Client:
        """Authorize the laptop's key through the gateway, under an alias and `gateway`.

        Both have an entry with a shared connection; the host keys are known.
        """
        key = laptop.ssh / "id_ed25519"
        if not key.exists():
            laptop.make_key(key.name)
        person.authorize(key.with_suffix(".pub").read_text())
        files = self.folder / "files"
        for host, kind in ((GATEWAY, "gateway"), ("login", "login")):
            public = (files / kind / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
            with laptop.known_hosts.open("a") as known:
                known.write(f"{host} {public}")
        shared = f"  ControlMaster auto\n  ControlPersist 1m\n  ControlPath {laptop.ssh}/%C\n"
        laptop.config.write_text(
            f"Host gateway\n  HostName {GATEWAY}\n  User {person.user}\n{shared}"
            f"Host {alias}\n  HostName login\n  User {person.user}\n  ProxyJump gateway\n{shared}"
            + laptop.config.read_text()
        )
        return Client(alias=alias, directory=laptop.ssh)

    def clear(self) -> None:
        """End all jobs and all that people have running, and empty their homes."""
        for person in self.people:
            self.slurm("scancel", f"--user={person.user}")
        self._end_processes()  # Slurm would give those of the jobs time to end by themselves
        wait_until(lambda: not self.slurm("squeue", "--noheader").strip(), limit=_LIMIT)
        self._end_processes()
        for person in self.people:
            for machine in self.machines:  # a job that is killed does not clear up after itself
                machine.run("find", "/tmp", "-mindepth", "1", "-user", person.user, "-delete")
            _make_home(person)
            person.new_secret()

    def _end_processes(self) -> None:
        for person in self.people:
            for machine in self.machines:
                machine.end_processes_of(person.user)


@contextmanager
def site(numbers: Sequence[int] = _NUMBERS) -> Iterator[Site]:
    """Yield a running cluster; it takes a few seconds to start.

    It has the first of these numbers that no other cluster on this computer has.
    """
    assert not (missing := missing_packages()), f"not installed: {' '.join(missing)}"
    with _number(numbers) as number, ExitStack() as stack:
        folder = Path(tempfile.gettempdir()) / f"lab-cluster-{number}"
        names = [f"n{number}{node}" for node in (1, 2)]
        _clean(folder, names)
        stack.callback(_clean, folder, names)
        nodes = {name: f"10.80.0.{20 + at}" for at, name in enumerate(names, start=1)}
        people = _people(folder / "homes")
        write_files(folder / "files", people, nodes)
        laptop = stack.enter_context(network_of_its_own())
        made = {name: stack.enter_context(_machine(folder, name)) for name in (*ADDRESSES, *nodes)}
        _join(laptop, made, ADDRESSES | nodes)
        ready = Site(
            folder=folder,
            laptop=laptop,
            gateway=made["gateway"],
            login1=made["login1"],
            login2=made["login2"],
            nodes=(made[names[0]], made[names[1]]),
            control=made["control"],
            **{person.user: person for person in people},
        )
        _start(ready)
        yield ready


@contextmanager
def _number(numbers: Sequence[int]) -> Iterator[int]:
    """Yield a number that no other cluster on this computer has, for its control groups."""
    with ExitStack() as stack:
        for number in numbers:
            lock = FileLock(Path(tempfile.gettempdir()) / f"lab-cluster-{number}.lock")
            with suppress(Timeout):
                stack.enter_context(lock.acquire(timeout=0))
                yield number
                return
        raise AssertionError(f"{len(numbers)} clusters run on this computer already")


def _clean(folder: Path, nodes: list[str]) -> None:
    """Remove what a cluster of this number has left, as one does that was killed."""
    for node in nodes:
        for group in (
            f"/sys/fs/cgroup/freezer/slurm_{node}",
            f"/sys/fs/cgroup/system.slice/{node}_slurmstepd.scope",
        ):
            for below, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):  # a process that is being killed is still in it
                    Path(below).rmdir()
    if folder.exists():
        shutil.rmtree(folder)


def _people(homes: Path) -> list[Person]:
    (homes / CODES).mkdir(parents=True)
    (homes / CODES).chmod(0o700)
    shells = {"ada": "bash", "tim": "tcsh", "nora": "bash"}
    people = [
        Person(user, number, need_program(shell), homes)
        for number, (user, shell) in enumerate(shells.items(), start=_FIRST_USER)
    ]
    for person in people:
        _make_home(person)
        person.new_secret()
    return people


def _make_home(person: Person) -> None:
    """Give a person an empty home directory."""
    person.home.mkdir(mode=0o700, exist_ok=True)
    for path in person.home.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    os.chown(person.home, person.number, person.number)
    if person.user == "nora":
        person.write(".bashrc", 'echo "Welcome to the cluster"; echo "Quota: 93 %" >&2\n')


def _machine(folder: Path, name: str) -> AbstractContextManager[ClusterMachine]:
    kind = name.rstrip("0123456789")
    own = folder / "files" / ("node" if kind == "n" else kind)
    own.mkdir(exist_ok=True)
    files = [folder / "files" / "all", own]
    return cluster_machine(name, folder=folder, files=files, homes=folder / "homes")


def _join(laptop: int, machines: dict[str, ClusterMachine], addresses: dict[str, str]) -> None:
    """Connect the laptop to the gateway, and all machines to a bridge in the gateway."""
    gateway = machines["gateway"]

    def at_laptop(*words: str) -> None:
        openssh_server.run("nsenter", f"--target={laptop}", "--net", "ip", *words)

    at_laptop("link", "add", "name", "eth0", "type", "veth",
              "peer", "name", "outside", "netns", str(gateway.process))  # fmt: skip
    at_laptop("address", "add", f"{_LAPTOP}/24", "dev", "eth0")
    at_laptop("link", "set", "dev", "eth0", "up")
    lines = [
        f"address add {GATEWAY}/24 dev outside",
        "link set dev outside up",
        "link add name inside type bridge",
        f"address add {addresses['gateway']}/24 dev inside",
        "link set dev inside up",
    ]
    for name, machine in machines.items():
        if machine != gateway:
            lines += [
                f"link add name {name} type veth peer name eth0 netns {machine.process}",
                f"link set dev {name} master inside up",
            ]
    # By the numbers of processes that this computer knows, so in the gateway's network alone.
    batch = "\n".join(lines)
    openssh_server.run(
        "nsenter", f"--target={gateway.process}", "--net",
        "sh", "-c", 'printf "%s\\n" "$1" | ip -batch -', "sh", batch,
    )  # fmt: skip
    gateway.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    for name, machine in machines.items():
        if machine != gateway:
            batch = f"address add {addresses[name]}/24 dev eth0\nlink set dev eth0 up\n"
            machine.run("sh", "-c", 'printf "%s" "$1" | ip -batch -', "sh", batch)


def _start(site: Site) -> None:
    """Start sshd and Slurm, and wait until they answer."""
    munge = ("--key-file=/etc/munge/munge.key", "--log-file=/run/munge/log",
             "--seed-file=/run/munge/seed", "--pid-file=/run/munge/pid", "--force")  # fmt: skip
    for machine in (*site.machines, site.control):
        machine.run("munged", *munge)
    site.control.run("slurmctld", "-c")
    for machine in site.machines:
        machine.run("/usr/sbin/sshd", "-E", "/var/log/sshd.log")
    for node in site.nodes:
        node.run("slurmd")
    for machine in site.machines:
        machine.run("sh", "-c", _LISTENS)
    try:
        wait_until(lambda: _nodes(site) == {"idle"}, limit=_LIMIT)
    except AssertionError as error:
        logs = [one.run("sh", "-c", "tail -n 30 /var/log/slurm*.log", check=False)
                for one in (site.control, *site.nodes)]  # fmt: skip
        raise AssertionError(f"the nodes are {_nodes(site)}\n" + "\n".join(logs)) from error


def _nodes(site: Site) -> set[str]:
    """Return in which states the nodes are."""
    words = ("sinfo", "--noheader", "--partition=gpu", "--format=%t")
    return set(site.control.run(*words, check=False).split())


def _set_login(machine: ClusterMachine, factor: Factor) -> None:
    for path, text in login_files(factor).items():
        machine.write(f"/{path}", text)
    listener = machine.run("cat", _SSHD_PID).strip()
    machine.run("rm", _SSHD_PID)  # it writes it again once it listens
    machine.run("kill", "-HUP", listener)
    machine.run("sh", "-c", _LISTENS)
