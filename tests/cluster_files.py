"""What the machines of a cluster have of their own: accounts, PAM, sshd, Slurm, cards."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from needs import need_program
from openssh_server import Laptop, run
from second_factor import STEP, code_of

__all__ = ["ADDRESSES", "CODES", "Factor", "Person", "hashed", "login_files", "write_files"]

ADDRESSES = {
    "gateway": "10.80.0.1",
    "control": "10.80.0.9",
    "login1": "10.80.0.11",
    "login2": "10.80.0.12",
}
"""Machines by their addresses inside; those of the compute nodes depend on their names."""
CODES = "codes"
"""The folder below the homes that only root reads: the secrets of the second factor."""

_AWAY = 6  # by so many periods a code may be early or late, and twice as many until it is typed
_PAM_ACCOUNT = "account required pam_unix.so"
_PAM_SESSION = """\
session required pam_limits.so
session required pam_env.so
session required pam_unix.so
"""
_ASKS_FOR_PASSWORD = "auth required pam_unix.so nodelay"
_ASKS_FOR_CODE = (
    f"auth required pam_google_authenticator.so secret=/home/{CODES}/${{USER}} user=root"
)
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
PrintMotd no
UseDNS no
MaxStartups 100
LogLevel VERBOSE
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""
_SLURM = """\
ClusterName=cluster
SlurmctldHost=control
SlurmUser=root
AuthInfo=cred_expire=900
StateSaveLocation=/run/slurm/state
SlurmdSpoolDir=/run/slurm/spool
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
ProctrackType=proctrack/cgroup
PrologFlags=Contain
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
"""
# A stand-in: no registry has nvidia-smi without a driver. Two cards that nobody uses.
_NVIDIA_SMI = """\
#!/bin/sh
for card in 0 1; do
    uuid=GPU-$(uname -n)-$card
    case "$*" in
    -L) echo "GPU $card: NVIDIA H200 (UUID: $uuid)" ;;
    *--query-gpu=uuid,*) echo "$uuid, $card, NVIDIA H200, 0, 4, 143771" ;;
    *--query-gpu=uuid*) echo "$uuid" ;;
    *--query-gpu=name*) echo "NVIDIA H200" ;;
    esac
done
"""
# What sites have as environment modules: one module here, which sets a variable.
_MODULES = """\
module() {
    case "$*" in
    "load cuda/12") CUDA_HOME=/opt/cuda/12 && export CUDA_HOME ;;
    *) echo "Lmod has detected the following error: The following module(s) are unknown: $*" >&2
       return 1 ;;
    esac
}
"""


class Factor(Enum):
    """What a machine asks who logs in."""

    NONE = "a key, or the password"
    AFTER_PASSWORD = "the password and a code; no key counts"
    AFTER_KEY = "a key, then a code"


@dataclass
class Person:
    """Somebody with an account on the cluster."""

    user: str
    number: int
    shell: str
    homes: Path
    """Where /home is on this computer."""
    password: str = field(default_factory=lambda: os.urandom(6).hex())
    _used: set[int] = field(default_factory=set)
    _secret: bytes = b""

    @property
    def home(self) -> Path:
        """The home directory, as this computer sees it."""
        return self.homes / self.user

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write a file into the home directory, belonging to the person."""
        path = self.home / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        for part in (path, *path.relative_to(self.home).parents[:-1]):
            os.chown(self.home / part, self.number, self.number)
        return path

    def authorize(self, public_key: str) -> None:
        """Authorize this key and no other, where keys count."""
        self.write(".ssh/authorized_keys", f"{public_key.strip()}\n", 0o600)

    def code(self) -> str:
        """Return a code of the second factor. Each is good for one login, within a few minutes.

        Of one moment there are a dozen; each half minute, and each test, brings others.
        """
        now = int(time.time()) // STEP
        near = sorted(range(now - _AWAY, now + _AWAY), key=lambda period: abs(period - now))
        left = next(period for period in near if period not in self._used)
        self._used.add(left)
        return code_of(self._secret, left)

    def answers(self, laptop: Laptop) -> dict[str, str]:
        """Return variables with which ssh is told the password and a code, good for one login."""
        variables = laptop.askpass("")
        program = Path(variables["SSH_ASKPASS"])
        answer = f'case "$1" in *assword*) echo {self.password} ;; *) echo {self.code()} ;; esac'
        program.write_text(f'#!/bin/sh\necho "$1" >>"{laptop.home}/asked"\n{answer}\n')
        return variables

    def new_secret(self) -> None:
        """Accept other codes from now on."""
        self._secret = os.urandom(20)
        self._used.clear()
        path = self.homes / CODES / self.user
        text = base64.b32encode(self._secret).decode()
        path.write_text(f'{text}\n" WINDOW_SIZE {4 * _AWAY}\n" DISALLOW_REUSE\n" TOTP_AUTH\n')
        path.chmod(0o600)


def login_files(factor: Factor, *, only_with_a_job: bool = False) -> dict[str, str]:
    """Return the files of a machine that asks so; the text of each by its path."""
    asked = {
        Factor.NONE: [_ASKS_FOR_PASSWORD],
        Factor.AFTER_PASSWORD: [_ASKS_FOR_PASSWORD, _ASKS_FOR_CODE],
        Factor.AFTER_KEY: [_ASKS_FOR_CODE],
    }[factor]
    adopt = ["account required pam_slurm_adopt.so"] if only_with_a_job else []
    methods = {
        Factor.NONE: "PasswordAuthentication yes\nKbdInteractiveAuthentication no\n",
        Factor.AFTER_PASSWORD: "PasswordAuthentication no\nKbdInteractiveAuthentication yes\n"
        "AuthenticationMethods keyboard-interactive\n",
        Factor.AFTER_KEY: "PasswordAuthentication no\nKbdInteractiveAuthentication yes\n"
        "AuthenticationMethods publickey,keyboard-interactive\n",
    }[factor]
    return {
        "etc/pam.d/sshd": "\n".join([*asked, _PAM_ACCOUNT, *adopt, _PAM_SESSION]),
        "etc/ssh/sshd_config": _SSHD + methods,
    }


def write_files(folder: Path, people: list[Person], nodes: dict[str, str]) -> None:
    """Write what all machines have into `all`, and what one kind of them has into another folder.

    `nodes` are the compute nodes and their addresses.
    """
    _write_common(folder / "all", people, ADDRESSES | nodes)
    names = list(nodes)
    _write(folder / "all", "etc/slurm/slurm.conf", _slurm(names))
    _write(folder / "all", "etc/slurm/cgroup.conf", _cgroup())
    _write(folder / "all", "etc/slurm/gres.conf",
           f"NodeName={','.join(names)} Name=gpu File=/dev/nvidia[0-1]\n")  # fmt: skip
    for kind, only_with_a_job in (("gateway", False), ("login", False), ("node", True)):
        layer = folder / kind
        for path, text in login_files(Factor.NONE, only_with_a_job=only_with_a_job).items():
            _write(layer, path, text)
        # The login nodes are one machine to those who log in.
        key = layer / "etc/ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", kind, "-f", str(key))
    _write(folder / "node", "usr/local/bin/nvidia-smi", _NVIDIA_SMI, 0o755)
    known = {
        "gateway": ["gateway", ADDRESSES["gateway"]],
        "login": ["login", "login1", "login2", ADDRESSES["login1"], ADDRESSES["login2"]],
        "node": [*nodes, *nodes.values()],
    }
    lines = [
        f"{','.join(hosts)} {(folder / kind / 'etc/ssh/ssh_host_ed25519_key.pub').read_text()}"
        for kind, hosts in known.items()
    ]
    _write(folder / "all", "etc/ssh/ssh_known_hosts", "".join(lines))


def _write_common(layer: Path, people: list[Person], addresses: dict[str, str]) -> None:
    def with_people(path: str, line: str) -> str:
        more = (
            line.format(user=person.user, number=person.number, shell=person.shell,
                        password=hashed(person.password))
            for person in people
        )  # fmt: skip
        return Path(path).read_text().rstrip("\n") + "".join(f"\n{one}" for one in more) + "\n"

    hosts = ["127.0.0.1 localhost", *(f"{at} {name}" for name, at in addresses.items())]
    hosts += [f"{addresses[name]} login" for name in ("login1", "login2")]
    for path, text, mode in (
        (
            "etc/passwd",
            with_people("/etc/passwd", "{user}:x:{number}:{number}::/home/{user}:{shell}"),
            0o644,
        ),
        ("etc/group", with_people("/etc/group", "{user}:x:{number}:"), 0o644),
        ("etc/shadow", with_people("/etc/shadow", "{user}:{password}:19000:0:99999:7:::"), 0o600),
        ("etc/hosts", "\n".join([*hosts, ""]), 0o644),
        ("etc/resolv.conf", "", 0o644),
        ("etc/environment", "", 0o644),
        ("etc/munge/munge.key", os.urandom(64).hex(), 0o600),
        ("etc/profile.d/modules.sh", _MODULES, 0o644),
    ):
        _write(layer, path, text, mode)
    (layer / "etc/munge").chmod(0o700)


def _write(layer: Path, path: str, text: str, mode: int = 0o644) -> None:
    (layer / path).parent.mkdir(parents=True, exist_ok=True)
    (layer / path).write_text(text)
    (layer / path).chmod(mode)


def hashed(password: str) -> str:
    """Return a password as /etc/shadow has it."""
    return run(need_program("openssl"), "passwd", "-6", password).strip()


def _slurm(nodes: list[str]) -> str:
    first, last = nodes[0], nodes[-1]
    every = f"{first[:-1]}[{first[-1]}-{last[-1]}]"
    return _SLURM + (
        f"NodeName={every} CPUs=4 RealMemory=2000 Gres=gpu:2\n"
        f"PartitionName=gpu Nodes={every} Default=YES MaxTime=60 DefaultTime=10\n"
        f"PartitionName=closed Nodes={every} State=DOWN\n"
    )


def _cgroup() -> str:
    """Return the settings for the control groups that this computer has."""
    if Path("/sys/fs/cgroup/freezer/release_agent").exists():
        return "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
    return "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
