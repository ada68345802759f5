"""`lab push` and `lab pull` killed, on a full disk, and on machines as they are."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import openssh_server
import pytest
from conftest import Bake
from needs import need_program, need_root
from openssh_server import Laptop
from remote_project import RemoteProject, new_remote_project
from tool_helpers import at_terminal, wait_until

pytestmark = pytest.mark.slow

MEBIBYTE = 2**20


@pytest.fixture
def stages(tmp_path: Path) -> Callable[[int], dict[str, str]]:
    """Return variables with which `lab` is killed at its n-th use of a program that changes things.

    Programs of their names come before the real ones. Odd numbers kill the whole process group
    before the program runs, even ones after it.
    """
    folder = tmp_path / "stages"
    folder.mkdir()
    for name in ("git", "ssh", "rsync", "sftp"):
        real = shutil.which(name)
        assert real is not None
        program = folder / name
        asking = 'case " $* " in *" push "*|*" fetch "*|*" merge "*) ;; *) exec {} "$@" ;; esac\n'
        program.write_text(
            "#!/bin/sh\n"
            + (asking.format(real) if name == "git" else "")
            + 'echo x >>"$COUNT"\nnumber=$(($(wc -l <"$COUNT") * 2))\n'
            '[ $((number - 1)) -ne "$KILL_AT" ] || kill -9 0\n'
            f'[ $number -eq "$KILL_AT" ] || exec {real} "$@"\n'
            f'{real} "$@"\nkill -9 0\n'
        )
        program.chmod(0o755)

    def variables(number: int) -> dict[str, str]:
        count = tmp_path / "count"
        count.write_text("")
        return {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "COUNT": str(count),
            "KILL_AT": str(number),
        }

    return variables


def killed_at(remote_project: RemoteProject, variables: dict[str, str], *arguments: str) -> bool:
    """Run `lab` in a session of its own, and tell whether it was killed before it finished."""
    process = subprocess.Popen(
        [sys.executable, "-B", "lab.py", *arguments],
        cwd=remote_project.project.path,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


@pytest.mark.parametrize(
    ("kind", "stages_of_it"), [("first push", 8), ("later push", 4), ("step by step", 6)]
)
def test_push_that_was_killed_is_completed_by_the_next(
    remote_project: RemoteProject,
    stages: Callable[[int], dict[str, str]],
    kind: str,
    stages_of_it: int,
) -> None:
    remote_project.lab("push")
    number, killed = 0, True
    while killed:
        number += 1
        if kind == "first push":
            shutil.rmtree(remote_project.folder)
        elif kind == "step by step":
            shutil.rmtree(remote_project.project.path / ".lab/pushed")
        remote_project.commit(f"file {number}.txt", "new")
        remote_project.commit("README.md", f"text {number}")
        head = remote_project.git("rev-parse", "HEAD")
        killed = killed_at(remote_project, stages(number), "push")
        assert remote_project.git("rev-parse", "HEAD") == head
        assert remote_project.git("status", "--porcelain") == ""
        remote_project.push()
        remote_project.assert_same()
    assert number > stages_of_it  # it was killed at every stage


def test_push_killed_while_files_are_checked_out_there_loses_nothing(
    remote_project: RemoteProject,
) -> None:
    begun, go_on = (remote_project.server.account.home / name for name in ("begun", "go-on"))
    remote_project.commit(".gitattributes", "*.slow filter=slow\n")
    remote_project.commit("notes.txt", "notes\n")
    remote_project.push()
    slow = f"touch {begun}; while [ ! -e {go_on} ]; do sleep 0.05; done; cat"
    remote_project.there("config", "filter.slow.smudge", slow)
    remote_project.commit("first.slow", "new\n")
    process = remote_project.start_lab("push")
    wait_until(begun.exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    remote_project.write_there("notes.txt", "mine\n")
    go_on.touch()
    # What was begun there is completed without the laptop.
    wait_until(lambda: remote_project.there("log", "-1", "--format=%s") == "Change first.slow")
    remote_project.push()
    assert (remote_project.folder / "notes.txt").read_text() == "mine\n"
    remote_project.there("checkout", "notes.txt")
    remote_project.assert_same()


def test_edit_that_git_was_told_to_overlook_there_is_kept(remote_project: RemoteProject) -> None:
    remote_project.commit("notes.txt", "first\nsecond\n")
    remote_project.push()
    remote_project.there("update-index", "--assume-unchanged", "notes.txt")
    remote_project.write_there("notes.txt", "first\n")  # is the beginning of what comes, too
    remote_project.commit("notes.txt", "first\nsecond\nthird\n")
    for _ in range(2):
        done = remote_project.lab("push")
        assert done.returncode == 1
        assert "Your local changes to the following files would be overwritten" in done.stderr
        assert (remote_project.folder / "notes.txt").read_text() == "first\n"
    remote_project.there("checkout", "HEAD", "--", "notes.txt")
    remote_project.there("update-index", "--no-assume-unchanged", "notes.txt")
    remote_project.push()
    remote_project.assert_same()


def test_hook_that_refuses_a_commit_which_is_there_already_is_obeyed(
    remote_project: RemoteProject,
) -> None:
    remote_project.lab("push")
    before = remote_project.there("rev-parse", "HEAD")
    commit = remote_project.commit("new.txt", "new\n")
    # As a push leaves it that was cut between sending and checking out.
    remote_project.project.run(
        "git", "push", "--quiet",
        f"machine:{remote_project.name}", f"{commit}:refs/lab/coming/{commit}",
        GIT_SSH_COMMAND=f"ssh -F {remote_project.client.directory / 'config'}",
    )  # fmt: skip
    hook = remote_project.project.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\necho not this one >&2\nexit 1\n")
    hook.chmod(0o755)
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "not this one" in done.stderr
    assert remote_project.there("rev-parse", "HEAD") == before
    hook.unlink()
    remote_project.push()
    remote_project.assert_same()


def test_script_of_another_user_in_the_repository_there_is_not_run(
    remote_project: RemoteProject,
) -> None:
    remote_project.push()
    (kept,) = (remote_project.folder / ".git").glob("lab-push-*")
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_text(f"touch {remote_project.server.account.home}/run-by-another\n")
    need_root("give a file to another user")
    os.chown(kept, 54321, -1)
    remote_project.commit("new.txt", "new\n")
    remote_project.push()
    remote_project.assert_same()
    assert not (remote_project.server.account.home / "run-by-another").exists()
    assert "run-by-another" not in kept.read_text()  # replaced by our own


def test_pull_that_was_killed_is_completed_by_the_next(
    remote_project: RemoteProject, stages: Callable[[int], dict[str, str]]
) -> None:
    remote_project.lab("push")
    number, killed = 0, True
    while killed:
        number += 1
        remote_project.commit_there(f"file {number}.txt", "there")
        remote_project.write_there(f"outputs/lab/{number}/a.txt", f"{number}")
        killed = killed_at(remote_project, stages(number), "pull")
        done = remote_project.lab("pull")
        assert done.returncode == 0, done.stderr
        remote_project.assert_same()
        assert (
            remote_project.project.path / f"outputs/lab/{number}/a.txt"
        ).read_text() == f"{number}"
    assert number > 8
    assert not list((remote_project.project.path / "outputs").glob(".*"))


def test_pull_killed_in_the_middle_of_a_file_goes_on(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.write_there("outputs/lab/1/weights.pt", "")
    weights = remote_project.folder / "outputs/lab/1/weights.pt"
    weights.write_bytes(os.urandom(100 * MEBIBYTE))
    outputs = remote_project.project.path / "outputs"
    process = remote_project.start_lab("pull")
    while not any(path.stat().st_size > MEBIBYTE for path in outputs.glob(".incoming/*/**/*.pt")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (outputs / "lab/1/weights.pt").exists()
    assert remote_project.lab("pull").returncode == 0
    assert (outputs / "lab/1/weights.pt").read_bytes() == weights.read_bytes()


@contextmanager
def small_disk(remote_project: RemoteProject, size: str) -> Iterator[None]:
    """Put the project's folder on the machine on a disk of its own."""
    need_root("mount a small disk")
    remote_project.folder.mkdir(parents=True, exist_ok=True)
    kept = remote_project.folder.with_name("kept")
    remote_project.folder.rename(kept)
    remote_project.folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", remote_project.folder], check=True
    )
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", remote_project.folder], check=True)
        yield
    finally:
        subprocess.run(["umount", remote_project.folder], check=True)


def check_full_disk(remote_project: RemoteProject, *, kept: str) -> None:
    """Check that pushing fails, however often, and leaves README.md there as it was."""
    for _ in range(2):
        done = remote_project.lab("push")
        assert done.returncode == 1
        assert "disk" in done.stderr
        assert (remote_project.folder / "README.md").read_text() == kept
        assert remote_project.there("status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize("free", [50, 600], ids=["for the objects", "for the files"])
def test_push_onto_a_full_disk_loses_nothing(remote_project: RemoteProject, free: int) -> None:
    remote_project.commit("README.md", "old\n")
    remote_project.lab("push")
    # 100 kB of objects, because the text packs well, and 900 kB of files.
    (remote_project.project.path / "README.md").write_text("new\n" * 100_000)
    (remote_project.project.path / "noise.bin").write_bytes(os.urandom(100_000))
    remote_project.commit("zeros.txt", "0\n" * 200_000)
    with small_disk(remote_project, "4m"):
        filler = remote_project.folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(remote_project.folder).free - free * 1000))
        check_full_disk(remote_project, kept="old\n")
        filler.unlink()
        remote_project.push()
        remote_project.assert_same()


def test_full_disk_while_uncommitted_work_is_taken_back_loses_nothing(
    remote_project: RemoteProject,
) -> None:
    remote_project.commit("README.md", "committed\n" * 40_000)
    remote_project.lab("push")
    (remote_project.project.path / "README.md").write_text("not committed\n")
    assert remote_project.lab("push", "--dirty").returncode == 0
    (remote_project.project.path / "README.md").write_text("committed\n" * 40_000)
    with small_disk(remote_project, "4m"):
        filler = remote_project.folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(remote_project.folder).free - 100_000))
        check_full_disk(remote_project, kept="not committed\n")
        filler.unlink()
        remote_project.push()
        remote_project.assert_same()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "csh", "tcsh"])
def test_push_and_pull_work_with_every_login_shell(bake: Bake, laptop: Laptop, shell: str) -> None:
    path = need_program(shell)
    need_root("make an account with another login shell")
    with ExitStack() as stack:
        account = stack.enter_context(openssh_server.account(shell=path))
        server = stack.enter_context(openssh_server.openssh_server(account))
        remote_project = new_remote_project(
            bake, laptop, server, folder="Projekte/mein Labör's (1)"
        )
        remote_project.git("checkout", "--quiet", "-b", "größe!#1")
        remote_project.push()
        (remembered,) = (remote_project.project.path / ".lab/pushed").iterdir()
        time = remembered.stat().st_mtime_ns
        remote_project.commit("README.md", "changed")
        remote_project.push()
        assert remembered.stat().st_mtime_ns == time  # else it went step by step
        remote_project.assert_same()
        remote_project.commit_there("there.txt", "there")
        remote_project.write_there("outputs/lab/1/größe.txt", "1")
        done = remote_project.lab("pull")
        assert done.returncode == 0, done.stderr
        assert (remote_project.project.path / "outputs/lab/1/größe.txt").read_text() == "1"
        remote_project.client.close()


def test_two_projects_and_two_people_do_not_meet(
    bake: Bake, tmp_path: Path, laptop: Laptop
) -> None:
    need_root("make accounts")
    with ExitStack() as stack:
        places = []
        for person in ("ada", "bob"):
            account = stack.enter_context(openssh_server.account())
            server = stack.enter_context(openssh_server.openssh_server(account))
            for folder in ("one", "two"):
                places.append(
                    new_remote_project(
                        bake, laptop, server, folder=folder, alias=f"{person}-{folder}",
                        destination=tmp_path / person / folder,
                    )
                )  # fmt: skip
        for number, remote_project in enumerate(places):
            remote_project.commit("README.md", f"text {number}")
            remote_project.push()
        for remote_project in places:
            remote_project.assert_same()
            remote_project.client.close()


def test_machine_without_git_is_told(remote_project: RemoteProject) -> None:
    # The account's own PATH, where the machine's sh and the rest are, but no git.
    programs = remote_project.server.account.write("programs/README", "").parent
    programs.chmod(0o755)
    for name in ("sh", "mkdir", "printf", "cat", "rsync", "sed", "find", "stat", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    remote_project.client.close()
    remote_project.server.stop()
    remote_project.server.start(SetEnv=f'"PATH={programs}"')
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "git is not installed on machine" in done.stderr
    assert "conda install git" in done.stderr
    # Outputs come all the same.
    remote_project.write_there("outputs/lab/1/a.txt", "a")
    done = remote_project.lab("pull")
    assert done.returncode == 0, done.stderr
    assert (remote_project.project.path / "outputs/lab/1/a.txt").read_text() == "a"


def test_shell_that_prints_at_every_login_is_told(remote_project: RemoteProject) -> None:
    need_root("make an account with another login shell")
    noisy = '#!/bin/sh\necho Welcome to the cluster\nexec /bin/sh "$@"\n'
    shell = remote_project.server.account.write("noisy", noisy, mode=0o755)
    openssh_server.run("usermod", "--shell", str(shell), remote_project.server.account.user)
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "Welcome to the cluster" in done.stderr
    assert "case $-" in done.stderr
    remote_project.server.account.write("noisy", noisy.replace("echo", ": "), mode=0o755)
    remote_project.push()
    remote_project.assert_same()


def test_socket_of_a_connection_that_was_killed_is_no_obstacle(
    remote_project: RemoteProject, laptop: Laptop
) -> None:
    remote_project.client.run("true")
    said = laptop.run_ssh("-O", "check", "machine").stderr
    (process,) = re.findall(r"pid=(\d+)", said)
    os.kill(int(process), signal.SIGKILL)
    assert [path for path in laptop.ssh.iterdir() if path.is_socket()]
    for command in (["push"], ["pull"]):
        done = remote_project.lab(*command)
        assert done.returncode == 0, done.stderr
    remote_project.assert_same()


def test_progress_is_shown_at_a_terminal(remote_project: RemoteProject) -> None:
    (remote_project.project.path / "noise.bin").write_bytes(os.urandom(30 * MEBIBYTE))
    remote_project.commit("README.md", "changed")
    command = [sys.executable, "-B", "lab.py"]
    code, screen = at_terminal([*command, "push"], answers={}, folder=remote_project.project.path)
    assert code == 0, screen
    assert re.search(r"(?:Counting|Compressing|Writing) objects: +\d+%", screen)
    remote_project.write_there("outputs/lab/1/weights.pt", "")
    (remote_project.folder / "outputs/lab/1/weights.pt").write_bytes(os.urandom(30 * MEBIBYTE))
    code, screen = at_terminal([*command, "pull"], answers={}, folder=remote_project.project.path)
    assert code == 0, screen
    assert re.search(r"outputs/ .*/31\.5 MB", screen)
