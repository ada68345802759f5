"""`lab doctor`: each check of the machine, and of this computer, fails once for its own reason.

One server and one project serve all rows. What is not real is marked as a stand-in.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import accounts
import openssh_server
import pytest
from needs import need_program, need_root
from openssh_server import Account, OpenSSHServer
from tool_helpers import machine_of_its_own

from ml_remote import processes
from ml_remote.doctor import local_checks, machine_checks
from ml_remote.doctor.findings import Finding, State
from ml_remote.package_lists.local import digest_here
from ml_remote.project import Project
from ml_remote.ssh.client import Client

_COMMIT = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty")


@dataclass(frozen=True)
class Machine:
    """A machine with the project and an environment, which a row breaks."""

    server: OpenSSHServer
    client: Client
    project: Project

    @property
    def account(self) -> Account:
        """Who logs in there."""
        return self.server.account

    @property
    def folder(self) -> Path:
        """The project's folder there."""
        return self.account.home / "lab"

    def run(self, command: str) -> None:
        """Run a shell command as the account, in its home directory."""
        self.client.run("sh", "-c", command)

    def make(self) -> None:
        """Make the project there, with an environment that is only a link to a Python."""
        made = (
            "mkdir -p lab/.lab/envs/one/bin && cd lab && git init -q && ln -s .lab/envs/one .venv"
        )
        python = "ln -s $(command -v python3) .venv/bin/python && touch .venv/lab-environment.json"
        fetch = f"git fetch -q {self.project.root}/bundle main && git reset -q --hard FETCH_HEAD"
        self.run(f"{made} && {python} && {fetch}")

    def findings(self) -> dict[str, Finding]:
        """Return what the checks of the machine find."""
        found = machine_checks.examine_machine(self.client, self.project)
        return {finding.name: finding for finding in found}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Yield the machine, and the project here."""
    need_root("make an account")
    with machine_of_its_own() as (laptop, server, client):
        laptop.home.chmod(0o755)
        settings = '[remote]\nalias = "machine"\nfolder = "lab"\n'
        (laptop.home / "lab.toml").write_text(settings)
        for words in (("init", "-q"), (*_COMMIT, "-m", "Start"), ("branch", "-M", "main")):
            subprocess.run(["git", *words], cwd=laptop.home, check=True)
        subprocess.run(["git", "bundle", "create", "-q", "bundle", "main"], cwd=laptop.home)
        yield Machine(server, client, Project(root=laptop.home))
        client.close()


@contextmanager
def shell(machine: Machine, command: str) -> Iterator[None]:
    """Break the machine by a shell command."""
    machine.run(command)
    yield


def doing(command: str) -> Callable[[Machine], AbstractContextManager[None]]:
    """Return what breaks the machine by a shell command."""
    return lambda machine: shell(machine, command)


@contextmanager
def mounted(machine: Machine, options: str) -> Iterator[None]:
    """Put the project's folder on a disk of its own."""
    command = ["mount", "-t", "tmpfs", "-o", f"{options},mode=777", "tmpfs", str(machine.folder)]
    subprocess.run(command, check=True)
    try:
        shutil.chown(machine.folder, machine.account.user)
        if "size" in options:
            machine.client.run("sh", "-c", "cat /dev/zero >lab/zeros", check=False)
        yield
    finally:
        subprocess.run(["umount", str(machine.folder)], check=True)


@contextmanager
def of_another_user(machine: Machine) -> Iterator[None]:
    """Give the folder to somebody else during the block."""
    shutil.chown(machine.folder, "nobody")
    yield


@contextmanager
def running_outside(machine: Machine) -> Iterator[None]:
    """Run a Python program in the folder that lab did not start."""
    words = "cd lab && exec .venv/bin/python -c 'import time; print(1, flush=True); time.sleep(99)'"
    with processes.running(machine.client.command("sh", "-c", words)) as program:
        assert next(program.lines()) == "1"
        yield
    accounts.end_processes_of(machine.account.home)


@contextmanager
def without_sftp(machine: Machine) -> Iterator[None]:
    """Start a server without sftp."""
    machine.client.close()
    machine.server.stop()
    machine.server.start(Subsystem="none /bin/false")
    try:
        yield
    finally:
        machine.client.close()
        machine.server.stop()
        machine.server.start(Subsystem="sftp internal-sftp")


@contextmanager
def given(machine: Machine, **variables: str) -> Iterator[None]:
    """Start sessions with these variables."""
    machine.client.close()
    machine.server.stop()
    machine.server.start(SetEnv=" ".join(f'"{name}={value}"' for name, value in variables.items()))
    try:
        yield
    finally:
        machine.client.close()
        machine.server.stop()
        del machine.server.options["SetEnv"]
        machine.server.start()


@contextmanager
def only_programs(machine: Machine, *names: str, busybox: bool = False) -> Iterator[None]:
    """Yield a machine with these programs, and with all of busybox on request, its sh included."""
    folder = machine.account.write("programs/mark", "").parent
    folder.chmod(0o755)
    if busybox:
        program = need_program("busybox")
        for name in openssh_server.run(program, "--list").split():
            (folder / name).symlink_to(program)
    for name in names:
        (folder / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "/missing")
    try:
        with given(machine, PATH=str(folder)):
            yield
    finally:
        shutil.rmtree(folder)


def few_tools(machine: Machine) -> AbstractContextManager[None]:
    """Return a PATH that has been lost."""
    return only_programs(machine, "sh", "cat", "date")


def busybox(machine: Machine) -> AbstractContextManager[None]:
    """Return a machine as a small container has it."""
    return only_programs(machine, "git", "python3", busybox=True)


@contextmanager
def temporary_noexec(machine: Machine) -> Iterator[None]:
    """Yield a disk for temporary files from which no program starts."""
    folder = machine.account.write("temporary/mark", "").parent
    command = ["mount", "-t", "tmpfs", "-o", "noexec,mode=1777", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        with given(machine, TMPDIR=str(folder)):
            yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


ANOTHER = (
    "rm -rf lab && mkdir lab && cd lab && git init -q && "
    "git -c user.name=b -c user.email=b@example.com commit -q --allow-empty -m Other"
)
THERE: dict[str, tuple[Callable[[Machine], AbstractContextManager[None]], str, State, str]] = {
    "folder missing": (doing("rm -rf lab"), "folder", "failed", "there is no lab on the machine"),
    "folder foreign": (of_another_user, "folder", "failed", "belongs to another user"),
    "folder closed": (doing("chmod 0 lab"), "folder", "failed", "you may not enter it"),
    "another project": (doing(ANOTHER), "folder", "failed", "another project"),
    "repository damaged": (doing("rm -rf lab/.git/*"), "folder", "unknown", "cannot read"),
    "no environment": (doing("rm lab/.venv"), "environment", "failed", "there is no .venv"),
    "environment gone": (doing("rm -r lab/.lab/envs"), "environment", "failed", "that is gone"),
    "no python": (doing("rm lab/.venv/bin/python"), "environment", "failed", "has no Python"),
    "python broken": (
        doing("ln -sf /bin/false lab/.venv/bin/python"), "environment", "failed", "does not start",
    ),
    "interrupted": (
        doing("touch lab/.lab/environment.incomplete"), "environment", "failed", "interrupted",
    ),
    "lists newer": (
        doing("touch -d '+1 hour' lab/pyproject.toml"), "environment", "warning", "were changed",
    ),
    "data gone": (doing("ln -s /nowhere/at lab/data"), "data", "failed", "a folder that is gone"),
    "program": (running_outside, "programs", "failed", "that lab did not start"),
    "disk full": (lambda there: mounted(there, "size=64k"), "writing", "failed", "is full"),
    "noexec": (lambda there: mounted(there, "noexec"), "writing", "failed", "noexec"),
    "no sftp": (without_sftp, "sftp", "failed", "offers no sftp"),
    "few tools": (few_tools, "tools", "failed", "lacks awk, chmod, cmp"),
    "no rsync": (busybox, "rsync", "warning", "none on the machine; 3.0 or newer is needed"),
    "temporary missing": (
        lambda there: given(there, TMPDIR="/nowhere"), "temporary", "failed", "does not exist",
    ),
    "temporary noexec": (temporary_noexec, "temporary", "warning", "mounted with noexec"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "name", "state", "words"), THERE.values(), ids=THERE)
def test_fault_of_the_machine_is_found(
    machine: Machine,
    broken: Callable[[Machine], AbstractContextManager[None]],
    name: str,
    state: State,
    words: str,
) -> None:
    machine.make()
    try:
        with broken(machine):
            found = machine.findings()
        assert (found[name].state, words in found[name].detail) == (state, True), found[name]
        assert found[name].remedy
    finally:
        shutil.rmtree(machine.folder, ignore_errors=True)


@pytest.mark.slow
def test_lists_that_were_only_written_again_make_no_environment_old(machine: Machine) -> None:
    machine.make()
    record = machine.folder / ".venv" / "lab-environment.json"
    here = machine.project.root / "pyproject.toml"
    here.write_text('[project]\nname = "lab"\nversion = "1"\ndependencies = ["torch"]\n')
    record.write_text(json.dumps({"lists": digest_here(machine.project.root)}, indent=1))
    with doing("touch -d '+1 hour' lab/pyproject.toml")(machine):
        same = machine.findings()["environment"]
        here.write_text(here.read_text().replace("torch", "timm"))
        other = machine.findings()["environment"]
    here.unlink()
    shutil.rmtree(machine.folder)
    assert (same.state, other.state) == ("ok", "warning"), same


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["usual", "busybox"])
def test_machine_in_order_has_no_fault(machine: Machine, kind: str) -> None:
    machine.make()
    with busybox(machine) if kind == "busybox" else nullcontext():
        found = machine.findings()
    shutil.rmtree(machine.folder)
    faults = {name for name, one in found.items() if one.state not in ("ok", "skipped")}
    assert faults == ({"rsync"} if kind == "busybox" else set()), found
    assert found["environment"].state == found["programs"].state == found["folder"].state == "ok"


@pytest.mark.slow
def test_full_disk_here_is_told(tmp_path: Path) -> None:
    need_root("mount a disk")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    subprocess.run(["mount", *options], check=True)
    try:
        assert "MiB are free" in local_checks.check_disk_here(tmp_path).detail
        subprocess.run(["sh", "-c", f"cat /dev/zero >{tmp_path}/zeros"], stderr=subprocess.DEVNULL)
        finding = local_checks.check_disk_here(tmp_path)
        assert finding.state == "failed"
        assert "No space left" in finding.detail
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.slow
def test_shared_connection_that_does_not_answer_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_checks, "SECONDS", 0.5)
    path = Path(tempfile.mkdtemp(prefix="laptop-")) / "socket"
    resolved = {"controlpath": [str(path)]}
    client = machine.client.with_options(f"ControlPath={path}")
    assert local_checks.check_shared_connection(client, resolved).state == "skipped"
    with ExitStack() as stack:
        # One that nobody answers any more, then one that takes connections and says nothing.
        hung = stack.enter_context(socket.socket(socket.AF_UNIX))
        hung.bind(str(path))
        assert local_checks.check_shared_connection(client, resolved).state == "failed"
        hung.listen()
        finding = local_checks.check_shared_connection(client, resolved)
        assert (finding.state, finding.remedy) == ("failed", f"rm {path}")
    shutil.rmtree(path.parent)
