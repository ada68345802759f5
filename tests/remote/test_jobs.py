"""Long commands on the remote machine, over real connections that break."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import openssh_server
import pytest
from baking import TOOL
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer, run
from place import Place
from remote_fixtures import alter_scripts, at, wait_until

from ml_remote import jobs, scripts
from ml_remote.errors import LabError, MissingFolderError, RemoteCommandError, UnreachableError
from ml_remote.far import login
from ml_remote.far.installed import install
from ml_remote.far.login.environment.processes import users_of
from ml_remote.installing import ensure_far
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.outage import Outage
from ml_remote.sessions import tunnel
from ml_remote.sessions.port import KeptPort
from ml_remote.sessions.tunnel import Forward, Route, keep_open
from ml_remote.ssh.client import Client
from ml_remote.transfer.outputs import list_outputs
from ml_remote.ui.console import Console

ABOUT = About(kind="run", title="labs/a b.py", run=Run(lab="labs/a b.py"))
FOLDER = "Projekte/mein Labor ü"
SCRIPTS = sorted(path.stem for path in Path(login.__file__).parent.glob("*.sh"))
GIVEN = {"slurm-command": "node=''\n", "take-checkpoint": "from=''\n"}
"""What stands before a script on the machine."""
NEEDED_TOOLS = "awk cat cut date df grep mkdir mv nohup rm sed sh sleep tail uname"


@pytest.fixture
def folder(account: Account) -> str:
    """The project's folder on the machine, relative to the home directory."""
    account.write(f"{FOLDER}/lab.toml", "")
    return FOLDER


FOLLOWING = """
import sys
from pathlib import Path
from ml_remote.machine import Machine
from ml_remote import jobs
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

directory, folder, job = sys.argv[1:]
machine = Machine(client=Client(alias="machine", directory=Path(directory)), folder=folder)
say = lambda line: print(line, flush=True)
jobs.follow(machine, job, console=Console(), on_line=say, again="lab attach")
"""


def started(client: Client, command: str, *, folder: str = FOLDER) -> jobs.Job:
    return jobs.start(at(client, folder), ABOUT, command)


def follow(
    client: Client,
    folder: str,
    job_id: str,
    *,
    on_line: Callable[[str], None],
    patience: float = 60,
) -> jobs.Job:
    return jobs.follow(
        at(client, folder),
        job_id,
        console=Console(),
        on_line=on_line,
        again="lab attach",
        patience=patience,
    )


def wait_for(client: Client, condition: str) -> None:
    """Wait until a shell condition holds in the project's folder on the machine."""
    client.run_script(f'cd "$1"; until {condition}; do sleep 0.1; done', FOLDER)


def scripts_in(folder: Path, *, but: int) -> list[str]:
    """Return the processes that work in `folder`, leaving out the session `but`."""
    found = []
    for line in openssh_server.run(need_program("ps"), "-A", "-o", "pid=,sid=").splitlines():
        process, session = line.split()
        with suppress(OSError):  # it has ended
            if Path(f"/proc/{process}/cwd").readlink() == folder and int(session) != but:
                found.append(process)
    return found


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    """Send a signal to all of these that are still there."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def is_alive(process: str) -> bool:
    """Tell whether a process is there, and not only waiting for its parent to notice its end."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def make_silent(job: Path) -> None:
    """Let ten minutes pass since the job's last sign of life."""
    os.utime(job / "sign", (time.time() - 600, time.time() - 600))


class Follower(threading.Thread):
    """Somebody who follows a job; `lines` is what they have seen."""

    def __init__(self, client: Client, job: jobs.Job) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.ended: jobs.Job | None = None
        self.error: LabError | None = None
        self._client, self._job = client, job
        self._seen = threading.Condition()
        self.start()

    def run(self) -> None:
        try:
            self.ended = follow(self._client, FOLDER, self._job.id, on_line=self._on_line)
        except LabError as error:
            self.error = error

    def _on_line(self, line: str) -> None:
        with self._seen:
            self.lines.append(line)
            self._seen.notify()

    def wait_for(self, line: str) -> None:
        with self._seen:
            self._seen.wait_for(lambda: line in self.lines)


@pytest.mark.slow
def test_scripts_are_clean_posix_shell(tmp_path: Path) -> None:
    for name in SCRIPTS:
        (tmp_path / f"{name}.sh").write_text(GIVEN.get(name, "") + scripts.script(name))
    files = sorted(tmp_path.iterdir())
    assert files
    # Each is put together from several files, whose functions it need not all use. Remarks on style
    # are `make lint`'s, which checks every file.
    command = ["shellcheck", "--shell=sh", "--severity=warning", "--exclude=SC2120"]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_job_is_followed_to_its_end(machine: Client, folder: str) -> None:
    job = started(machine, "pwd; printf 'one\\rtwo\\r\\nthrée'; echo oops >&2; exit 7")
    lines: list[str] = []
    ended = follow(machine, folder, job.id, on_line=lines.append)
    assert lines[0].endswith(FOLDER)
    assert lines[1:] == ["one", "two", "thréeoops"]
    assert (ended.state, ended.exit_code, ended.title) == ("failed", 7, "labs/a b.py")
    assert ended.ended is not None
    assert jobs.list_jobs(at(machine, folder), console=Console()) == [ended]
    assert jobs.list_jobs(at(machine, folder), console=Console(), kind="setup") == []


@pytest.mark.slow
def test_what_a_job_keeps_is_private_and_known_to_it(machine: Client, folder: str) -> None:
    job = started(machine, 'stat -c %a "$LAB_JOB_FOLDER"; echo "$LAB_JOB"')
    lines: list[str] = []
    assert follow(machine, folder, job.id, on_line=lines.append).state == "done"
    assert lines == ["700", job.id]


@pytest.mark.slow
def test_stopping_ends_every_process_of_the_job(machine: Client, folder: str) -> None:
    # A child that left the job's session, whose parent is gone, and that ignores polite signals.
    stubborn = "trap '' TERM; echo $$ >orphan; while :; do sleep 1; done"
    job = started(machine, f'(setsid sh -c "{stubborn}" &) ; sleep 600')
    wait_for(machine, "[ -s orphan ]")
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    orphan = machine.run("cat", f"{folder}/orphan").stdout.strip()
    ended = jobs.stop(at(machine, folder), job.id, grace=1)
    assert ended.state == "stopped"
    assert not is_alive(orphan)
    assert jobs.stop(at(machine, folder), job.id) == ended
    polite = started(machine, "trap 'exit 0' TERM; echo >ready; while :; do sleep 0.1; done")
    wait_for(machine, "[ -e ready ]")
    ended = jobs.stop(at(machine, folder), polite.id)
    assert (ended.state, ended.exit_code) == ("stopped", 0)


@pytest.mark.slow
def test_stopping_leaves_the_other_project_alone(machine: Client, account: Account) -> None:
    folders = ["one", "the other"]
    for folder in folders:
        account.write(f"{folder}/lab.toml", "")
    first, second = (started(machine, "sleep 600", folder=folder) for folder in folders)
    assert jobs.stop(at(machine, "one"), first.id).state == "stopped"
    assert jobs.find_job(at(machine, "the other"), second.id).state == "running"
    assert jobs.stop(at(machine, "the other"), second.id).state == "stopped"


@pytest.mark.slow
def test_two_users_of_one_server_do_not_meet(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    need_root("make an account for somebody else")
    with openssh_server.account() as somebody_else:
        somebody_else.write(f"{folder}/lab.toml", "")
        somebody_else.authorize(server.account.authorized_keys.read_text())
        server.stop()
        server.start(AuthorizedKeysFile=".ssh/authorized_keys")
        other = machine.with_options(f"User={somebody_else.user}")
        first, second = (started(client, "sleep 600") for client in (machine, other))
        assert [job.id for job in jobs.list_jobs(at(other, folder), console=Console())] == [
            second.id
        ]
        assert jobs.stop(at(machine, folder), first.id).state == "stopped"
        assert jobs.find_job(at(other, folder), second.id).state == "running"
        assert jobs.stop(at(other, folder), second.id).state == "stopped"
        other.close()


@pytest.mark.slow
def test_two_jobs_of_one_second_are_two(machine: Client, folder: str) -> None:
    made = [started(machine, "exit 0").id for _ in range(4)]
    assert len(set(made)) == 4
    assert {job.id for job in jobs.list_jobs(at(machine, folder), console=Console())} == set(made)


def test_missing_folder_and_missing_job_are_told(machine: Client, folder: str) -> None:
    with pytest.raises(MissingFolderError, match="no folder elsewhere on machine"):
        jobs.list_jobs(at(machine, "elsewhere"), console=Console())
    with pytest.raises(LabError, match="no job 2001"):
        follow(machine, folder, "2001", on_line=print)
    with pytest.raises(LabError, match="no job 2001"):
        jobs.stop(at(machine, folder), "2001")


@pytest.mark.slow
def test_no_line_is_lost_or_repeated_when_the_server_is_killed(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(
        machine,
        "for i in $(seq 1000); do echo first $i; done; printf 'half a '\n"
        "until [ -e go ]; do sleep 0.1; done\n"
        "echo line; for i in $(seq 1000); do echo second $i; done",
    )
    follower = Follower(machine, job)
    follower.wait_for("first 1000")
    server.stop()
    server.account.write(f"{folder}/go", "")
    server.start()
    follower.join()
    assert follower.ended is not None
    assert follower.ended.state == "done"
    expected = [f"first {i}" for i in range(1, 1001)]
    expected += ["half a line"] + [f"second {i}" for i in range(1, 1001)]
    assert follower.lines == expected


@pytest.mark.slow
def test_connection_that_falls_silent_is_given_up_for_another(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    follower = Follower(machine, job)
    follower.wait_for("one")
    stopped = server.connections()
    send(signal.SIGSTOP, stopped)
    try:
        server.account.write(f"{folder}/go", "")
        follower.join()
    finally:
        send(signal.SIGCONT, stopped)
    assert follower.lines == ["one", "two"]


@pytest.mark.slow
def test_nobody_is_left_following_when_the_laptop_is_gone(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; until [ -e go ]; do sleep 0.1; done")
    follower = subprocess.Popen(
        [sys.executable, "-c", FOLLOWING, str(machine.directory), folder, job.id],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "one\n"
    place = server.account.home / folder
    runner = int((place / ".lab" / "jobs" / job.id / "pid").read_text().split()[0])
    assert scripts_in(place, but=runner)
    os.killpg(follower.pid, signal.SIGKILL)
    follower.communicate()
    # Its ssh is gone; the script there that wrote to it notices that by itself.
    while scripts_in(place, but=runner):
        time.sleep(0.1)
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"


@pytest.mark.slow
def test_killed_job_is_lost_and_what_it_left_can_be_stopped(machine: Client, folder: str) -> None:
    job = started(machine, "sleep 600 & echo $! >child; wait")
    wait_for(machine, "[ -s child ]")
    machine.run_script('cd "$1/.lab/jobs/$2"; read -r p rest <pid; kill -9 "$p"', folder, job.id)
    lines: list[str] = []
    ended = follow(machine, folder, job.id, on_line=lines.append)
    assert (ended.state, ended.exit_code) == ("lost", None)
    child = machine.run("cat", f"{folder}/child").stdout.strip()
    assert is_alive(child)
    jobs.stop(at(machine, folder), job.id)
    assert not is_alive(child)


@pytest.mark.slow
def test_process_that_got_the_number_of_a_dead_runner_is_not_it(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "sleep 600")
    kept = account.home / folder / ".lab" / "jobs" / job.id / "pid"
    number, host, began = kept.read_text().split()
    jobs.stop(at(machine, folder), job.id)
    other = started(machine, "sleep 600")
    again = account.home / folder / ".lab" / "jobs" / other.id / "pid"
    boot = again.with_name("boot")
    before, noted = again.read_text(), boot.read_text()
    dead = f"{before.split()[0]} {host} {int(began) - 1}"
    again.write_text(f"{dead}\n")
    boot.write_text(noted.replace(before.strip(), dead))
    assert jobs.find_job(at(machine, folder), other.id).state == "lost"
    boot.write_text(noted)
    again.write_text(f"{number} another-host {began}\n")
    with pytest.raises(LabError, match="runs on another-host, and machine leads to"):
        jobs.stop(at(machine, folder), other.id)
    again.write_text(before)
    assert jobs.stop(at(machine, folder), other.id).state == "stopped"


DAMAGE = {
    "empty": b"",
    "zeros": b"\0" * 512,
    "bytes": b"\xff\xfe\t\x1b[31m\n",
    "text": b"what is this\tand that\n",
    "number": b"9" * 400 + b"\n",
    "sh": b"1|//;s/.*/$(touch hacked)/e\n",
    "huge": b"a" * 3_000_000,
    "a folder": None,
    "a link": "nowhere",
    "no end": "/dev/zero",
    "a pipe": None,
}


@pytest.mark.slow
def test_damaged_jobs_are_named_and_skipped(
    machine: Client, folder: str, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = account.home / folder / ".lab" / "jobs"
    damaged: list[tuple[str, str, str]] = []
    for name in ("about", "about.json", "started", "exit", "pid", "slurm"):
        for kind, content in DAMAGE.items():
            job = kept / f"2026-01-01_10-00-00_{len(damaged)}"
            job.mkdir(parents=True)
            if name != "about":
                (job / "about.json").write_text(ABOUT.to_json())
                (job / "started").write_text("1767261600\n")
            path = job / name
            path.unlink(missing_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif kind == "a pipe":
                os.mkfifo(path, 0o666)
            elif content is None:
                path.mkdir()
            else:
                path.symlink_to(content)
            damaged.append((job.name, name, kind))
    closed = kept / "2026-01-03_10-00-00"
    closed.mkdir(mode=0o000)
    for odd in ("with a\ttab", "with a\nline", "-rf", "..."):
        (kept / odd).mkdir()
        (kept / odd / "about.json").write_text(ABOUT.to_json())
    whole = kept / "2026-02-02_10-00-00"
    whole.mkdir()
    (whole / "about.json").write_text(ABOUT.to_json())
    (whole / "started").write_text("1770026400\n")
    found = {job.id for job in jobs.list_jobs(at(machine, folder), console=Console())}
    said = capsys.readouterr().err
    assert whole.name in found
    for name, file, kind in damaged:
        is_skipped = f"Job {name} on machine is skipped" in said
        assert (name in found) != is_skipped, (file, kind)
        if file.startswith(("about", "started")):
            assert is_skipped, (file, kind)
    assert "Job with?a?tab on machine is skipped" in said
    if account.password is not None:  # root reads everything
        assert f"Job {closed.name} on machine is skipped: its folder cannot be read" in said
    closed.chmod(0o700)
    # Neither what is kept of old versions, nor what uses an environment, waits for such a file.
    run("chown", "-Rh", account.user, str(kept.parent))
    install(kept.parent / "far")
    list(users_of(account.home / "none", account.home / folder))
    there = at(machine, folder)
    ensure_far(there)
    list_outputs(there)
    assert started(machine, "exit 0").id not in found
    assert not (account.home / folder / "hacked").exists()
    with pytest.raises(LabError, match="cannot be read"):
        jobs.find_job(at(machine, folder), damaged[0][0])
    with pytest.raises(LabError, match="cannot be read"):
        jobs.stop(at(machine, folder), damaged[1][0])


@pytest.mark.slow
def test_session_that_takes_no_connections_is_given_up(
    machine: Client, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_OPEN_PATIENCE", 0.5)
    job = started(machine, "sleep 600")
    there = at(machine, folder)
    with KeptPort(0) as port:
        route = Route(
            machine=there,
            forwards=(Forward(port=port, to="/tmp/none/socket"),),
            script=scripts.script("watch-session"),
            arguments=(there.folder, job.id, "/tmp/none", "2"),
            job_id=job.id,
        )
        with pytest.raises(LabError, match="without taking connections"):
            keep_open(route, console=Console(), opened=pytest.fail)
    jobs.stop(there, job.id)


@pytest.mark.slow
def test_machine_that_changed_its_name_still_knows_its_jobs(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "sleep 600")
    kept = account.home / folder / ".lab" / "jobs" / job.id
    for file in (kept / "pid", kept / "boot"):
        file.write_text(file.read_text().replace(job.host, "name-of-yesterday"))
    assert jobs.find_job(at(machine, folder), job.id).state == "running"
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"
    other = started(machine, "sleep 600")
    pid = account.home / folder / ".lab" / "jobs" / other.id / "pid"
    number, host, began = pid.read_text().split()
    # Two containers may have one name and one home directory; process numbers differ.
    boot, sign = pid.with_name("boot"), pid.with_name("sign")
    noted = boot.read_text()
    pid.write_text(f"1 {host} {began}\n")
    boot.write_text(f"1 {host} {began} {noted.split()[3]} pid:[1]\n")
    wait_until(sign.exists)
    assert jobs.find_job(at(machine, folder), other.id).state == "running"
    with pytest.raises(LabError, match=f"nor one in another container called {host}"):
        jobs.stop(at(machine, folder), other.id)
    signed = sign.stat().st_mtime
    os.utime(sign, (signed - 300, signed - 300))  # or the machine was restarted since
    assert jobs.find_job(at(machine, folder), other.id).state == "lost"
    boot.write_text(noted)
    pid.write_text(f"{number} name-of-yesterday {int(began) - 1}\n")
    pid.with_name("boot").unlink()  # as of a version that kept neither, nor gave signs
    with pytest.raises(LabError, match="runs on name-of-yesterday") as raised:
        jobs.stop(at(machine, folder), other.id)
    assert f"lab stop --forget {other.id}" in str(raised.value.hint)
    assert jobs.forget(at(machine, folder), other.id).state == "stopped"
    pid.write_text(f"{number} {host} {began}\n")
    assert jobs.stop(at(machine, folder), other.id).state == "stopped"


@pytest.mark.slow
def test_two_containers_with_one_name_and_one_home_tell_their_jobs_apart(
    machine: Client, folder: str, account: Account, laptop: Laptop
) -> None:
    need_root("make a PID namespace")
    prefix = (need_program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")
    command = "sleep 600 & echo $! >child-$LAB_JOB; wait"
    kept = account.home / folder / ".lab" / "jobs"
    with openssh_server.openssh_server(account, prefix) as inner:
        laptop.pin_host_key(inner)
        container = machine.with_options(f"Port={inner.port}")
        ours, theirs = started(machine, command), started(container, command)
        child = account.home / folder / f"child-{ours.id}"
        wait_until(lambda: child.exists() and child.read_text() != "")
        assert ours.host == theirs.host
        spaces = {(kept / one.id / "boot").read_text().split()[-1] for one in (ours, theirs)}
        assert len(spaces) == 2
        for client, own, other in ((machine, ours, theirs), (container, theirs, ours)):
            there = at(client, folder)
            found = {job.id: job for job in jobs.list_jobs(there, console=Console())}
            assert {job.state for job in found.values()} == {"running"}
            assert all(job.silent_since is None for job in found.values())
            with pytest.raises(LabError, match="nor one in another container called"):
                jobs.stop(there, other.id)
            assert jobs.find_job(there, other.id).state == "running"
            with pytest.raises(LabError, match="is not forgotten"):
                jobs.forget(there, own.id)
        # A runner that is killed is lost where it can be seen, and elsewhere after two minutes.
        third = started(container, command)
        kill = 'read -r runner rest <"$1/.lab/jobs/$2/pid"; kill -9 "$runner"'
        container.run_script(kill, folder, third.id)
        assert jobs.find_job(at(container, folder), third.id).state == "lost"
        assert jobs.find_job(at(machine, folder), third.id).state == "running"
        make_silent(kept / third.id)
        assert jobs.find_job(at(machine, folder), third.id).state == "lost"
        # Forgotten in the other container, it ends in its own.
        assert jobs.forget(at(container, folder), ours.id).state == "stopped"
        wait_until(lambda: not is_alive(child.read_text().strip()), limit=60)
        assert jobs.find_job(at(machine, folder), ours.id).state == "stopped"
        container.close()
    # The container is gone, and comes back under its name: what ran in it is lost.
    make_silent(kept / theirs.id)
    assert jobs.find_job(at(machine, folder), theirs.id).state == "lost"


@pytest.mark.slow
def test_job_is_forgotten_by_command(place: Place) -> None:
    assert place.lab("push").returncode == 0
    there = at(place.client, place.name)
    session = About(kind="tensorboard", title="TensorBoard")
    for about in (ABOUT, session):
        job = jobs.start(there, about, "sleep 600")
        refused = place.lab("stop", "--forget", job.id)
        assert refused.returncode == 1
        assert f"{job.id} runs on machine, so it is not forgotten" in refused.stderr
        pid = place.folder / ".lab" / "jobs" / job.id / "pid"
        number, host, began = pid.read_text().split()
        pid.write_text(f"{number} name-of-yesterday {began}\n")
        kept = pid.with_name("boot").read_text()
        pid.with_name("boot").unlink()
        done = place.lab("stop", "--forget", job.id)
        assert done.returncode == 0, done.stderr
        assert "counts as over. If it still runs on name-of-yesterday, it ends" in done.stdout
        assert jobs.find_job(there, job.id).state == "stopped"
        pid.write_text(f"{number} {host} {began}\n")
        pid.with_name("boot").write_text(kept)
        jobs.stop(there, job.id)
    unnamed = place.lab("stop", "--forget")
    assert unnamed.returncode == 2
    assert "`--forget` needs the job" in unnamed.stderr


@pytest.mark.slow
def test_job_of_another_host_is_judged_by_its_signs(
    machine: Client, folder: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started(machine, "trap '' TERM; sleep 600 & echo $! >child; wait; wait")
    wait_for(machine, "[ -s child ]")
    there = at(machine, folder)
    with pytest.raises(LabError, match="is not forgotten"):
        jobs.forget(there, job.id)
    kept = account.home / folder / ".lab" / "jobs" / job.id
    number, _, began = (kept / "pid").read_text().split()
    (kept / "pid").write_text(f"{number} another-host {began}\n")
    assert jobs.find_job(there, job.id).silent_since is None
    listed = openssh_server.run(need_program("ps"), "-A", "-o", "pid=,sid=").splitlines()
    its_own = [int(line.split()[0]) for line in listed if line.split()[1] == number]
    send(signal.SIGSTOP, its_own)
    try:
        make_silent(kept)
        silent = jobs.find_job(there, job.id)
    finally:
        send(signal.SIGCONT, its_own)
    assert silent.silent_since is not None
    assert not silent.is_over
    assert jobs.no_sign(silent).startswith("no sign since ")
    with pytest.raises(LabError, match=r"no sign since .*nothing was started") as raised:
        jobs.replaces(there, silent, console=Console())
    assert raised.value.hint == f"If another-host is gone: lab stop --forget {job.id}"
    wait_until(lambda: jobs.find_job(there, job.id).silent_since is None, limit=60)
    # At a terminal the person decides; of a job that gives signs nothing is asked.
    asked: list[str] = []
    answers = [False, True]
    monkeypatch.setattr(Console, "has_terminal", lambda _: True)

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(click, "confirm", confirm)
    assert not jobs.replaces(there, jobs.find_job(there, job.id), console=Console())
    assert not asked
    assert not jobs.replaces(there, silent, console=Console())
    assert jobs.find_job(there, job.id).state == "running"
    assert jobs.replaces(there, silent, console=Console())
    assert "has given no sign since" in asked[0]
    assert "Should it still run there, it is ended" in asked[0]
    assert jobs.find_job(there, job.id).state == "stopped"
    # The runner finds that its place is taken, and ends what it runs.
    wait_until(lambda: not is_alive(number), limit=60)
    assert not is_alive((account.home / folder / "child").read_text().strip())
    assert jobs.find_job(there, job.id).state == "stopped"


@pytest.mark.slow
def test_folder_that_is_removed_ends_following_in_words(
    machine: Client, folder: str, account: Account
) -> None:
    job = started(machine, "echo one; sleep 600")
    pid = (account.home / folder / ".lab" / "jobs" / job.id / "pid").read_text().split()[0]
    follower = Follower(machine, job)
    follower.wait_for("one")
    shutil.rmtree(account.home / folder)
    follower.join()
    machine.run("kill", pid, check=False)
    machine.run_script('kill -- "-$1"', pid, check=False)
    assert isinstance(follower.error, MissingFolderError)
    assert follower.error.hint == "Send the project there: lab up"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of one megabyte."""
    need_root("mount a small disk")
    options = f"size=1m,mode=777,nr_inodes=100,uid={folder.stat().st_uid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_full_disk_keeps_a_job_from_starting_but_not_from_noting_its_end(
    machine: Client, folder: str, account: Account
) -> None:
    with small_disk(account.home / folder):
        fill = "dd if=/dev/zero of=filler bs=64k 2>/dev/null"
        job = started(machine, f"{fill}; echo lost words; exit 3")
        ended = follow(machine, folder, job.id, on_line=print)
        assert (ended.state, ended.exit_code) == ("failed", 3)
        with pytest.raises(RemoteCommandError, match=r"Nothing can be written.*: 0 MiB") as raised:
            started(machine, "exit 0")
        assert "lab status" in str(raised.value.hint)
        assert [one.id for one in jobs.list_jobs(at(machine, folder), console=Console())] == [
            job.id
        ]


@pytest.mark.slow
def test_nobody_tries_to_reach_the_machine_for_somebody_who_is_gone(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; sleep 600")
    following = (sys.executable, "-c", FOLLOWING, str(machine.directory), folder, job.id)
    # As a shell that a person has started it from, and whose window is closed.
    shell = subprocess.Popen(
        ["sh", "-c", '"$@" & echo $!; wait', "sh", *following],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    follower = shell.stdout.readline().strip()
    assert shell.stdout.readline() == "one\n"
    shell.kill()
    shell.wait()
    assert is_alive(follower)  # as long as the machine can be reached, it follows the job
    server.stop()
    wait_until(lambda: not is_alive(follower), limit=60)
    shell.stdout.close()
    server.start()
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"


def test_time_in_which_this_computer_sleeps_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lost = UnreachableError("The connection to gpu was lost.")
    outage = Outage("gpu", again="lab attach 14-05", patience=600)

    def attempts(*seconds: float) -> None:
        nonlocal now
        for passed in seconds:
            now += passed
            outage.wait(lost)

    attempts(0, 30, 9000, 30)
    assert outage.lasts
    with pytest.raises(UnreachableError) as raised:
        attempts(*[30] * 20)
    assert raised.value.message == (
        "gpu could not be reached for 10 minutes: The connection to gpu was lost. Work on gpu "
        "continues."
    )
    assert raised.value.hint == "When it is back, follow the work again: lab attach 14-05"


def test_machine_that_takes_connections_and_drops_them_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lost = UnreachableError("The connection to gpu was lost.")
    outage = Outage("gpu", again="lab attach 14-05", patience=600)

    def try_again(*, times: int, progress: int) -> None:
        for _ in range(times):
            seen = iter((0, progress))
            with outage.proof(lambda seen=seen: next(seen)):  # type: ignore[misc]
                pass
            outage.wait(lost)
            outage.end()

    try_again(times=100, progress=1)
    with pytest.raises(UnreachableError, match="gpu could not be reached"):
        try_again(times=100, progress=0)


def test_unreachable_machine_is_told_at_once(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "exit 0")
    machine.close()
    server.stop()
    for attempt in (
        lambda: started(machine, "exit 0"),
        lambda: jobs.list_jobs(at(machine, folder), console=Console()),
        lambda: follow(machine, folder, job.id, on_line=print),
        lambda: jobs.stop(at(machine, folder), job.id),
    ):
        with pytest.raises(UnreachableError, match="nothing listens on its port"):
            attempt()


@pytest.mark.slow
def test_machine_that_does_not_come_back_is_given_up(
    machine: Client, folder: str, server: OpenSSHServer
) -> None:
    job = started(machine, "echo one; sleep 600")

    def lose_it(line: str) -> None:
        server.stop()

    with pytest.raises(
        UnreachableError, match=r"could not be reached: .* Work on machine continues"
    ):
        follow(machine, folder, job.id, on_line=lose_it, patience=0)
    server.start()
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"


def _whole_life(client: Client) -> None:
    """Start, follow, list and stop jobs."""
    job = started(client, "echo 'it''s done'")
    lines: list[str] = []
    assert follow(client, FOLDER, job.id, on_line=lines.append).state == "done"
    assert lines == ["its done"]
    job = started(client, "trap '' TERM; while :; do sleep 1; done")
    assert jobs.find_job(at(client, FOLDER), job.id).state == "running"
    assert jobs.stop(at(client, FOLDER), job.id, grace=1).state == "stopped"
    assert [job.state for job in jobs.list_jobs(at(client, FOLDER), console=Console())] == [
        "done",
        "stopped",
    ]


@pytest.mark.slow
def test_jobs_live_in_every_login_shell(other_shell: Client) -> None:
    other_shell.run("mkdir", "-p", FOLDER)
    _whole_life(other_shell)


def _few_tools(folder: Path) -> None:
    for name in NEEDED_TOOLS.split():
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)


def _busybox(folder: Path) -> None:
    busybox = need_program("busybox")
    for name in openssh_server.run(busybox, "--list").split():
        (folder / name).symlink_to(busybox)


@pytest.mark.slow
@pytest.mark.parametrize("tools", [_few_tools, _busybox], ids=["few tools", "busybox"])
def test_jobs_need_little_of_the_machine(
    machine: Client, folder: str, server: OpenSSHServer, tools: Callable[[Path], None]
) -> None:
    path = server.account.write("tools/mark", "").parent
    path.chmod(0o755)
    tools(path)
    server.stop()
    server.start(SetEnv=f'"PATH={path}"')
    assert machine.run("sh", "-c", "command -v python3 git ps", check=False).returncode != 0
    _whole_life(machine)


@pytest.mark.slow
def test_jobs_need_no_proc_where_there_is_ps(
    machine: Client, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter_scripts(monkeypatch, lambda text: text.replace("/proc/self/stat", "/nowhere"))
    _whole_life(machine)
    job = started(machine, "(sleep 600; true) & echo $! >child; wait")
    wait_for(machine, "[ -s child ]")
    child = machine.run("cat", f"{folder}/child").stdout.strip()
    assert jobs.stop(at(machine, folder), job.id).state == "stopped"
    assert not is_alive(child)


@pytest.mark.slow
def test_startup_file_that_prints_changes_nothing(machine: Client, folder: str) -> None:
    noise = "echo 'Welcome!'; echo 'now\t1\tfake'; printf 'no line end'"
    machine.run_script('printf "%s\\n" "$1" >.bashrc; printf "%s\\n" "$1" >.zshenv', noise)
    user = machine.resolve()["user"][0]
    need_root("give an account another login shell")
    openssh_server.run("usermod", "--shell", "/bin/bash", user)
    machine.close()  # the shared connection still knows the other shell
    assert machine.run("true").stdout.startswith("Welcome!")
    _whole_life(machine)
