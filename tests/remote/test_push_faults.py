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
from place import Place, new_place
from remote_fixtures import at_terminal

pytestmark = pytest.mark.slow

MEBIBYTE = 2**20


@pytest.fixture
def stages(tmp_path: Path) -> Callable[[int], dict[str, str]]:
    """Return variables with which `lab` is killed at its n-th use of a program that changes things.

    Programs of their names stand before the real ones. Odd numbers kill the whole process group
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


def killed_at(place: Place, variables: dict[str, str], *arguments: str) -> bool:
    """Run `lab` in a session of its own, and tell whether it was killed before its end."""
    process = subprocess.Popen(
        [sys.executable, "-B", "lab.py", *arguments],
        cwd=place.project.path,
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


@pytest.mark.parametrize("first", [True, False], ids=["first push", "later push"])
def test_push_that_was_killed_is_completed_by_the_next(
    place: Place, stages: Callable[[int], dict[str, str]], first: bool
) -> None:
    place.lab("push")
    number, killed = 0, True
    while killed:
        number += 1
        if first:
            shutil.rmtree(place.folder)
        place.commit(f"file {number}.txt", "new")
        place.commit("README.md", f"text {number}")
        head = place.git("rev-parse", "HEAD")
        killed = killed_at(place, stages(number), "push")
        assert place.git("rev-parse", "HEAD") == head
        assert place.git("status", "--porcelain") == ""
        done = place.lab("push")
        assert done.returncode == 0, done.stderr
        place.assert_same()
    assert number > 6  # it was killed at every stage


def test_pull_that_was_killed_is_completed_by_the_next(
    place: Place, stages: Callable[[int], dict[str, str]]
) -> None:
    place.lab("push")
    number, killed = 0, True
    while killed:
        number += 1
        place.commit_there(f"file {number}.txt", "there")
        place.write_there(f"outputs/lab/{number}/a.txt", f"{number}")
        killed = killed_at(place, stages(number), "pull")
        done = place.lab("pull")
        assert done.returncode == 0, done.stderr
        place.assert_same()
        assert (place.project.path / f"outputs/lab/{number}/a.txt").read_text() == f"{number}"
    assert number > 8
    assert not list((place.project.path / "outputs").glob(".*"))


def test_pull_killed_in_the_middle_of_a_file_goes_on(place: Place) -> None:
    place.lab("push")
    place.write_there("outputs/lab/1/weights.pt", "")
    weights = place.folder / "outputs/lab/1/weights.pt"
    weights.write_bytes(os.urandom(100 * MEBIBYTE))
    outputs = place.project.path / "outputs"
    process = place.start_lab("pull")
    while not any(path.stat().st_size > MEBIBYTE for path in outputs.glob(".incoming/*/**/*.pt")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (outputs / "lab/1/weights.pt").exists()
    assert place.lab("pull").returncode == 0
    assert (outputs / "lab/1/weights.pt").read_bytes() == weights.read_bytes()


@contextmanager
def small_disk(place: Place, size: str) -> Iterator[None]:
    """Put the project's folder on the machine on a disk of its own."""
    need_root("mount a small disk")
    place.folder.mkdir(parents=True, exist_ok=True)
    kept = place.folder.with_name("kept")
    place.folder.rename(kept)
    place.folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place.folder], check=True
    )
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", place.folder], check=True)
        yield
    finally:
        subprocess.run(["umount", place.folder], check=True)


@pytest.mark.parametrize("free", [50, 600], ids=["for the objects", "for the files"])
def test_push_onto_a_full_disk_loses_nothing(place: Place, free: int) -> None:
    place.commit("README.md", "old\n")
    place.lab("push")
    # 100 kB of objects, because the text packs well, and 900 kB of files.
    (place.project.path / "README.md").write_text("new\n" * 100_000)
    (place.project.path / "noise.bin").write_bytes(os.urandom(100_000))
    place.commit("zeros.txt", "0\n" * 200_000)
    with small_disk(place, "4m"):
        filler = place.folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(place.folder).free - free * 1000))
        for _ in range(2):
            done = place.lab("push")
            assert done.returncode == 1
            assert "disk" in done.stderr
            assert (place.folder / "README.md").read_text() == "old\n"
            assert place.there("status", "--porcelain", "--untracked-files=no") == ""
        filler.unlink()
        done = place.lab("push")
        assert done.returncode == 0, done.stderr
        place.assert_same()


def test_full_disk_while_uncommitted_work_is_taken_back_loses_nothing(place: Place) -> None:
    place.commit("README.md", "committed\n" * 40_000)
    place.lab("push")
    (place.project.path / "README.md").write_text("not committed\n")
    assert place.lab("push", "--dirty").returncode == 0
    (place.project.path / "README.md").write_text("committed\n" * 40_000)
    with small_disk(place, "4m"):
        filler = place.folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(place.folder).free - 100_000))
        for _ in range(2):
            done = place.lab("push")
            assert done.returncode == 1
            assert "disk" in done.stderr
            assert (place.folder / "README.md").read_text() == "not committed\n"
            assert place.there("status", "--porcelain", "--untracked-files=no") == ""
        filler.unlink()
        assert place.lab("push").returncode == 0
        place.assert_same()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "csh", "tcsh"])
def test_push_and_pull_work_with_every_login_shell(bake: Bake, laptop: Laptop, shell: str) -> None:
    path = need_program(shell)
    need_root("make an account with another login shell")
    with ExitStack() as stack:
        account = stack.enter_context(openssh_server.account(shell=path))
        server = stack.enter_context(openssh_server.openssh_server(account))
        place = new_place(bake, laptop, server, folder="Projekte/mein Labör's (1)")
        assert place.lab("push").returncode == 0
        place.commit("README.md", "changed")
        assert place.lab("push").returncode == 0
        place.assert_same()
        place.commit_there("there.txt", "there")
        place.write_there("outputs/lab/1/größe.txt", "1")
        done = place.lab("pull")
        assert done.returncode == 0, done.stderr
        assert (place.project.path / "outputs/lab/1/größe.txt").read_text() == "1"
        place.client.close()


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
                    new_place(
                        bake, laptop, server, folder=folder, alias=f"{person}-{folder}",
                        destination=tmp_path / person / folder,
                    )
                )  # fmt: skip
        for number, place in enumerate(places):
            place.commit("README.md", f"text {number}")
            assert place.lab("push").returncode == 0
        for place in places:
            place.assert_same()
            place.client.close()


def test_machine_without_git_is_told(place: Place) -> None:
    # The account's own PATH, where the machine's sh and the rest are, but no git.
    programs = place.server.account.write("programs/README", "").parent
    programs.chmod(0o755)
    for name in ("sh", "mkdir", "printf", "cat", "rsync", "sed", "find", "stat", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    place.client.close()
    place.server.stop()
    place.server.start(SetEnv=f'"PATH={programs}"')
    done = place.lab("push")
    assert done.returncode == 1
    assert "git is not installed on machine" in done.stderr
    assert "conda install git" in done.stderr
    # Outputs come all the same.
    place.write_there("outputs/lab/1/a.txt", "a")
    done = place.lab("pull")
    assert done.returncode == 0, done.stderr
    assert (place.project.path / "outputs/lab/1/a.txt").read_text() == "a"


def test_shell_that_prints_at_every_login_is_told(place: Place) -> None:
    need_root("make an account with another login shell")
    noisy = '#!/bin/sh\necho Welcome to the cluster\nexec /bin/sh "$@"\n'
    shell = place.server.account.write("noisy", noisy, mode=0o755)
    openssh_server.run("usermod", "--shell", str(shell), place.server.account.user)
    done = place.lab("push")
    assert done.returncode == 1
    assert "Welcome to the cluster" in done.stderr
    assert "case $-" in done.stderr
    place.server.account.write("noisy", noisy.replace("echo", ": "), mode=0o755)
    assert place.lab("push").returncode == 0
    place.assert_same()


def test_socket_of_a_connection_that_was_killed_is_no_obstacle(
    place: Place, laptop: Laptop
) -> None:
    place.client.run("true")
    said = laptop.run_ssh("-O", "check", "machine").stderr
    (process,) = re.findall(r"pid=(\d+)", said)
    os.kill(int(process), signal.SIGKILL)
    assert [path for path in laptop.ssh.iterdir() if path.is_socket()]
    for command in (["push"], ["pull"]):
        done = place.lab(*command)
        assert done.returncode == 0, done.stderr
    place.assert_same()


def test_progress_is_shown_at_a_terminal(place: Place) -> None:
    (place.project.path / "noise.bin").write_bytes(os.urandom(30 * MEBIBYTE))
    place.commit("README.md", "changed")
    command = [sys.executable, "-B", "lab.py"]
    code, screen = at_terminal([*command, "push"], answers={}, folder=place.project.path)
    assert code == 0, screen
    assert re.search(r"(?:Counting|Compressing|Writing) objects: +\d+%", screen)
    place.write_there("outputs/lab/1/weights.pt", "")
    (place.folder / "outputs/lab/1/weights.pt").write_bytes(os.urandom(30 * MEBIBYTE))
    code, screen = at_terminal([*command, "pull"], answers={}, folder=place.project.path)
    assert code == 0, screen
    assert re.search(r"outputs/ .*/31\.5 MB", screen)
