"""What is lost when things go wrong at random moments: runs, connections, transfers, two people.

Run: python benchmarks/endurance.py [--quick] [--seed N]. Against a real OpenSSH server on this
computer, with git, rsync and sftp. Prints what was tried and what was lost: nothing; the exit code
is 1 otherwise. `--quick` does a twentieth of each, but none of the environment: `make test` has 25
sequences of those events.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(os.environ.get("PYTHONPATH", "").split(os.pathsep)[0] or TEMPLATE_ROOT / "src")
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(SOURCE)]

import openssh_server  # noqa: E402
from baking import environment_variables, isolated_variables  # noqa: E402
from environment_events import Computer, run_sequence  # noqa: E402
from openssh_server import OpenSSHServer  # noqa: E402
from programs import path_without  # noqa: E402
from remote_fixtures import known_machine, wait_until  # noqa: E402

from ml_remote import jobs  # noqa: E402
from ml_remote.jobs.about import About, Run  # noqa: E402
from ml_remote.machine import Machine  # noqa: E402
from ml_remote.ssh.client import Client  # noqa: E402
from ml_remote.ui.console import Console  # noqa: E402

RUNS, RESTARTS, AT_ONCE, CUTS, SEQUENCES = 50, 10, 40, 25, 200
EVENTS = 6
ENVIRONMENTS = "random sequences of what happens to an environment"
BOTH, PULLED, PUSHED = range(3)  # who commits what collides
LIMIT = 120.0  # seconds for one command
LINES = 200
IGNORED = "/outputs\n/data\n/.lab\n/.venv\n*.log\n/lab.local.toml\n"
NAMES = (
    "a.py",
    "notes.txt",
    "odd ü'name",
    'li"ne\nbreak',
    "folder/b.py",
    "run.log",
    "data/set.csv",
)
WORDS = (("push",), ("pull",), ("push", "--dirty"), ("pull", "--overwrite"))
RESULTS = ("outputs/lab/1/weights.pt", "outputs/lab/1/mistakes.csv", "outputs/lab/2/deep/plot.png")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A project on both sides of a connection."""

    here: Path
    there: Path
    client: Client
    server: OpenSSHServer

    @property
    def machine(self) -> Machine:
        """The machine, with the project's folder there."""
        return Machine(client=self.client, folder=str(self.there))

    def start_lab(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command in the project, with nobody at the terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "ml_remote", *arguments],
            cwd=self.here,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def lab(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run a command; return exit code and output."""
        with self.start_lab(*arguments, **variables) as command:
            said = command.communicate(timeout=LIMIT)[0]
        return command.returncode, said


def main() -> int:
    """Do everything, and say what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of each")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments and sequences")
    parser.add_argument("--only", choices=[name for name, _, _ in PARTS], help="one part")
    options = parser.parse_args()
    lost: list[str] = []
    with connection() as pair:
        for name, part, count in PARTS:
            if options.only not in (None, name) or (options.quick and name == ENVIRONMENTS):
                continue
            times = -(-count // 20) if options.quick else count
            began = time.monotonic()
            found = part(pair, times, random.Random(options.seed))
            print(
                f"{times:4} {name}: {time.monotonic() - began:.0f} s, {len(found)} lost", flush=True
            )
            lost += found
    print("Lost: " + ("\n  ".join(["", *lost]) if lost else "nothing"))
    return 1 if lost else 0


@contextmanager
def connection() -> Iterator[Pair]:
    """A laptop, and a machine that it can reach; both sides have an empty project."""
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as temporary,
        openssh_server.account(own=True) as account,
        openssh_server.openssh_server(account, SetEnv=f'"HOME={account.home}"') as server,
    ):
        laptop = openssh_server.laptop(Path(temporary))
        isolated = {**isolated_variables(laptop.home), "SSH_AUTH_SOCK": None}
        with environment_variables({**isolated, "LAB_SSH_DIR": str(laptop.ssh)}):
            pair = Pair(
                here=laptop.home / "project",
                there=account.home / "project",
                client=known_machine(laptop, server),
                server=server,
            )
            new_project(pair)
            try:
                yield pair
            finally:
                pair.client.close()


def new_project(pair: Pair) -> None:
    """Begin both sides anew, with one commit that the machine has."""
    for folder in (pair.here, pair.there):
        shutil.rmtree(folder, ignore_errors=True)
    pair.here.mkdir()
    settings = f'[remote]\nalias = "machine"\nfolder = "{pair.there}"\n'
    (pair.here / "lab.toml").write_text(settings)
    (pair.here / ".gitignore").write_text(IGNORED)
    git(pair.here, "init", "--quiet", "--initial-branch=main")
    commit(pair.here)
    code, said = pair.lab("push")
    assert code == 0, said


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git as the person."""
    identity = ("-c", "user.name=Tess", "-c", "user.email=tess@example.com")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True)


def commit(folder: Path) -> None:
    """Commit everything that is not ignored."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Some work")


def killed_runs(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Kill a run's command or its runner; what it has printed and saved must be there after."""
    lost = []
    run = Run(lab="labs/a.py")
    command = (
        f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); "
        'echo "line $i"; echo $i >>"$LAB_JOB_FOLDER"all; sleep 0.01; done'
    )
    for _ in range(times):
        about = About(kind="run", title="labs/a.py", run=run)
        job = jobs.start(pair.machine, about, command)
        folder = pair.there / ".lab" / "jobs" / job.id
        runner = int((folder / "pid").read_text().split()[0])
        time.sleep(chance.random() * 3)
        whole_group = chance.random() < 0.5
        with suppress(ProcessLookupError):  # it was faster
            (os.killpg if whole_group else os.kill)(runner, signal.SIGKILL)
        ended = jobs.stop(pair.machine, job.id)
        lines: list[str] = []
        jobs.follow(pair.machine, job.id, console=Console(), on_line=lines.append, again="")
        saved = (folder / "all").read_text().split() if (folder / "all").exists() else []
        if not ended.is_over or [*lines[: len(saved)]] != [f"line {one}" for one in saved]:
            lost.append(f"run {job.id} ({ended.state}): {len(lines)} lines of {len(saved)}")
    return lost


def restarts(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Restart the server while somebody follows a job: no line is lost or repeated."""
    about = About(kind="run", title="labs/a.py", run=Run(lab="labs/a.py"))
    script = (
        'i=0; until [ -e "$LAB_JOB_FOLDER"go ]; do i=$((i+1)); echo "line $i"; sleep 0.01; done'
    )
    job = jobs.start(pair.machine, about, f"{script}; echo end")
    seen: list[str] = []

    def follow() -> None:
        jobs.follow(
            pair.machine, job.id, console=Console(), on_line=seen.append, again="", patience=LIMIT
        )

    follower = threading.Thread(target=follow)
    follower.start()
    for _ in range(times):
        known = len(seen)
        wait_until(lambda known=known: len(seen) > known + 10, limit=LIMIT)  # type: ignore[misc]
        time.sleep(chance.random())
        pair.server.stop()
        time.sleep(chance.random())
        pair.server.start()
    (pair.there / ".lab" / "jobs" / job.id / "go").touch()
    follower.join(LIMIT)
    expected = [*(f"line {i}" for i in range(1, len(seen))), "end"]
    return [] if seen == expected else [f"lines of {job.id}: {len(seen)} seen"]


def at_once(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Start many commands in one moment: each succeeds or says why not, and no commit is lost."""
    new_project(pair)
    (pair.here / "work.py").write_text("work = 1\n")
    commit(pair.here)
    choices = (("push",), ("pull",), ("runs",), ("status",), ("push", "--dirty"))
    commands = [pair.start_lab(*chance.choice(choices)) for _ in range(times)]
    lost = []
    for command in commands:
        with command:
            said = command.communicate(timeout=LIMIT * 3)[0]
        if "Traceback" in said or "did not expect" in said or command.returncode not in (0, 1):
            lost.append(f"{command.args!r}: {said[-500:]}")
    code, said = pair.lab("push")
    if code != 0 or (pair.there / "work.py").read_text() != "work = 1\n":
        lost.append(f"work.py did not reach the machine: {said}")
    return lost


def cut_transfers(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Kill a transfer by rsync, by sftp and by git at random moments, then repeat it."""
    lost = []
    with tempfile.TemporaryDirectory(prefix="lab-programs-") as folder:
        without_rsync = path_without(Path(folder), "rsync")
        for program, variables in (("rsync", {}), ("sftp", {"PATH": without_rsync}), ("git", {})):
            for _ in range(times):
                new_project(pair)
                lost += cut(pair, program, variables, chance)
    return lost


def cut(pair: Pair, program: str, variables: dict[str, str], chance: random.Random) -> list[str]:
    """Cut one transfer, repeat it, and compare."""
    names = RESULTS if program != "git" else ("weights.bin", "folder/more.bin")
    source, goal = (pair.here, pair.there) if program == "git" else (pair.there, pair.here)
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(4_000_000)))
    own = goal / "outputs" / "lab" / "1" / "mine.csv"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("mine\n")
    word = "pull"
    if program == "git":
        commit(pair.here)
        word = "push"
    with pair.start_lab(word, **variables) as command:
        time.sleep(chance.random() * 2)
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
    code, said = pair.lab(word, **variables)
    lost = [f"{program}: {said[-500:]}"] if code != 0 else []
    lost += [
        f"{program}: {name}"
        for name in names
        if not (goal / name).is_file() or digest(goal / name) != digest(source / name)
    ]
    return lost if own.read_text() == "mine\n" else [*lost, f"{program}: {own}"]


def digest(path: Path) -> str:
    """Return what tells the content of a file, or where a link leads."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def precious(folder: Path, written: set[str]) -> dict[str, str]:
    """Return what is only on the disk: files and links that no commit holds as they are.

    `written` is what somebody on this side has written. A copy of the other side's file, which
    nobody has changed here, may be replaced when that one changes.
    """
    listed = git(folder, "ls-files", "-z", "--cached").stdout.split(b"\0")
    changed = git(folder, "ls-files", "-z", "--modified").stdout.split(b"\0")
    clean = {os.fsdecode(name) for name in set(listed) - set(changed) if name}
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".lab")]
        for name in [*files, *(one for one in folders if (Path(root) / one).is_symlink())]:
            path = Path(root) / name
            relative = os.path.relpath(path, folder)
            if relative not in clean and digest(path) in written:
                found[relative] = digest(path)
    return found


def change(folder: Path, chance: random.Random, written: set[str]) -> None:
    """Let the person on this side do something: write, link, ignore, or commit."""
    what = chance.choice(("write", "write", "result", "link", "track", "commit", "commit"))
    text = f"{chance.random()}\n"
    if what == "commit":
        commit(folder)
    elif what == "track":
        git(folder, "add", "--force", chance.choice(("data", "run.log", "outputs")))
        commit(folder)
    elif what == "link":
        path = folder / chance.choice(("outputs", "data", "folder", "a.py"))
        if not path.is_symlink() and not path.exists():
            path.symlink_to("/nonexistent/scratch")
            written.add(digest(path))
    else:
        path = folder / chance.choice(NAMES if what == "write" else RESULTS)
        blocked = any(part.is_symlink() or part.is_file() for part in [path, *path.parents][1:])
        if not blocked and not path.is_symlink() and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            written.add(digest(path))


def collide(
    pair: Pair, chance: random.Random, written: dict[Path, set[str]], *, way: int
) -> tuple[str, ...]:
    """Let one side commit what the other is working on, and ignores; return what to run then.

    In a true merge or rebase git itself does not look at such files.
    """
    working, committing = (pair.there, pair.here) if way == PUSHED else (pair.here, pair.there)
    for name in (*RESULTS, "data/set.csv"):
        path = working / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{chance.random()}\n")
        written[working].add(digest(path))
    if chance.random() < 0.5:
        (committing / "outputs").symlink_to("/nonexistent/scratch")
        git(committing, "add", "--force", "outputs")
    else:
        (committing / "data").mkdir()
        (committing / "data" / "set.csv").write_text("from the other side\n")
        git(committing, "add", "--force", "data")
    commit(committing)
    if way == BOTH:
        (working / "mine.py").write_text("mine = 1\n")
        commit(working)
    return ("push",) if way == PUSHED else ("pull",)


def obey(pair: Pair, said: str) -> None:
    """Run the commands that were proposed: they must be as safe as those that `lab` runs."""
    for command in re.findall(r"Put yours on top: git (.*?);", said):
        if git(pair.here, *shlex.split(command)).returncode != 0:
            git(pair.here, "rebase", "--abort")
    for commands in re.findall(r"put them on main: (git checkout .*)", said):
        for command in commands.split(" && "):
            if git(pair.there, *shlex.split(command)[1:]).returncode != 0:
                git(pair.there, "cherry-pick", "--abort")
                break


def sequences(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Let two people work on both sides, push and pull in between, and do what is proposed."""
    lost = []
    for number in range(times):
        new_project(pair)
        history = []
        written: dict[Path, set[str]] = {pair.here: set(), pair.there: set()}
        for event in range(EVENTS):
            words: tuple[str, ...] = chance.choice(WORDS)
            if event == 0 and number % 2:
                words = collide(pair, chance, written, way=(number // 2) % 3)
            else:
                for folder in (pair.here, pair.there):
                    for _ in range(chance.randrange(4)):
                        change(folder, chance, written[folder])
            before = {folder: precious(folder, written[folder]) for folder in written}
            code, said = pair.lab(*words)
            obey(pair, said)
            history.append(f"{' '.join(words)}: {code}")
            if "Traceback" in said or "did not expect" in said:
                lost.append(f"sequence {number}, {history}: {said[-500:]}")
            for folder, contents in before.items():
                lost += [
                    f"sequence {number}, {history}: {name!r} in {folder.name} ({folder})\n{said}"
                    for name, was in contents.items()
                    if not is_kept(folder, name, was)
                ]
    return lost


def is_kept(folder: Path, name: str, was: str) -> bool:
    """Return whether a file is still as it was: in its place, or beside it."""
    path = folder / name
    with suppress(OSError):
        if digest(path) == was:
            return True
    return any(digest(other) == was for other in folder.rglob(f"*{path.stem}*") if other.is_file())


def environments(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Let managers come and go, disks fill, lists change and setups be killed: one always works."""
    lost = []
    with tempfile.TemporaryDirectory(prefix="lab-environments-") as folder:
        computer = Computer.new(Path(folder))
        for seed in (chance.randrange(10**6) for _ in range(times)):
            try:
                run_sequence(computer, seed)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                lost.append(f"environment, seed {seed}: {error}")
    return lost


Part = Callable[[Pair, int, random.Random], list[str]]
PARTS: tuple[tuple[str, Part, int], ...] = (
    ("killed runs", killed_runs, RUNS),
    ("restarts of the server under a run that is followed", restarts, RESTARTS),
    ("commands at once", at_once, AT_ONCE),
    ("cut transfers by each of rsync, sftp and git", cut_transfers, CUTS),
    ("random sequences of two people", sequences, SEQUENCES),
    (ENVIRONMENTS, environments, SEQUENCES),
)


if __name__ == "__main__":
    sys.exit(main())
