"""Sweeps on several machines: with a disk of their own, and with one that they share."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openssh_server
import pytest
from needs import need_root
from openssh_server import Account, Laptop, OpenSSHServer
from remote_project import RemoteProject
from started import read_until
from tool_helpers import wait_until

PYTHON = '#!/bin/sh\nexec python3 "$@"\n'
# Says which machine it runs on, and waits where it is told to.
PROGRAM = """\
import os, pathlib, socket, sys, time
folder = pathlib.Path(os.environ["LAB_OUTPUT_DIR"])
with open(folder / "ran.txt", "a") as file:
    file.write(socket.gethostname() + "\\n")
while (folder / "../.." / f"hold-{sys.argv[1]}").exists():
    time.sleep(0.05)
"""
COMMAND = ("--", "python3", "train.py", "{seed}")


@contextmanager
def machine_called(name: str, account: Account) -> Iterator[OpenSSHServer]:
    """Yield a machine with a host name and processes of its own."""
    need_root("make a machine with another host name")
    own = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
    prefix = (*own, "sh", "-c", f'hostname {name} && exec "$@"', "sh")
    with openssh_server.openssh_server(account, prefix) as server:
        yield server


def introduce(
    remote_project: RemoteProject, laptop: Laptop, alias: str, server: OpenSSHServer
) -> None:
    """Authorize the laptop on a further machine, and send it the project."""
    laptop.connect_to(server, alias=alias)
    remote_project.push("--alias", alias)
    server.account.write(f"{remote_project.name}/.venv/bin/python", PYTHON, mode=0o755)


@pytest.fixture
def first(remote_project: RemoteProject) -> RemoteProject:
    remote_project.commit("train.py", PROGRAM)
    remote_project.push()
    remote_project.have_environment()
    return remote_project


def ended(*folders: Path, sweep: str) -> dict[int, str]:
    """Return the sets that have ended, and the folder of the project where that is noted."""
    found: dict[int, str] = {}
    for folder in folders:
        for path in (folder / ".lab/sweeps" / sweep / "done").glob("[0-9]*"):
            one = json.loads(path.read_text())
            assert one["exit_code"] == 0
            assert one["set"] not in found
            found[one["set"]] = str(folder)
    return found


def ran_on(remote_project: RemoteProject, sweep: str) -> dict[int, list[str]]:
    """Return where each set has begun, as its results tell that came home."""
    paths = (remote_project.project.path / "outputs/train").glob(f"{sweep}-*/ran.txt")
    return {int(one.parent.name.rpartition("-")[2]): one.read_text().split() for one in paths}


@dataclass(frozen=True)
class Spread:
    """A sweep on `machine` and on `two`, whose fourth set waits; `three` could help."""

    first: RemoteProject
    laptop: Laptop
    two: OpenSSHServer
    three: OpenSSHServer
    id: str

    @property
    def folders(self) -> tuple[Path, Path, Path]:
        """The project's folder on each of the machines."""
        return (
            self.first.folder,
            self.two.account.home / self.first.name,
            self.three.account.home / self.first.name,
        )


@pytest.fixture
def spread(first: RemoteProject, laptop: Laptop) -> Iterator[Spread]:
    with (
        openssh_server.account() as second_account,
        openssh_server.account() as third_account,
        machine_called("two", second_account) as two,
        machine_called("three", third_account) as three,
    ):
        introduce(first, laptop, "two", two)
        introduce(first, laptop, "three", three)
        second_account.write(f"{first.name}/outputs/hold-4", "")
        machines = ("--spread", "machine,two", "--at-once", "1")
        begun = first.lab("run", "--detach", "--sweep", "seed=1..6", *machines, *COMMAND)
        assert begun.returncode == 0, begun.stderr
        assert "6 runs: python3 train.py '{seed}'\n" in begun.stderr
        assert "  machine: 3 runs, 1 at once\n  two: 3 runs, 1 at once\n" in begun.stderr
        (sweep,) = (path.name for path in (first.folder / ".lab/sweeps").iterdir())
        yield Spread(first, laptop, two, three, sweep)


@pytest.mark.slow
def test_what_a_lost_machine_held_is_given_to_the_others(spread: Spread) -> None:
    check_one_line(spread)
    way = spread.laptop.config.read_text()
    closed = way.replace(f"Port {spread.two.port}", f"Port {openssh_server.free_port()}")
    spread.laptop.config.write_text(closed)
    spread.laptop.run_ssh("-O", "exit", "two")
    hosts = check_lost_machine(spread)
    spread.laptop.config.write_text(way)
    check_machine_found_again(spread, hosts)
    check_added_sets(spread)


def check_one_line(spread: Spread) -> None:
    """Check the list of runs, one line; the second machine waits in its second set."""
    first, sweep, there = spread.first, spread.id, spread.folders[1]
    assert [path.name for path in (there / ".lab/sweeps").iterdir()] == [sweep]

    wait_until(lambda: len(ended(first.folder, sweep=sweep)) == 3)
    wait_until(lambda: (there / f"outputs/train/{sweep}-4/ran.txt").exists())
    listed = [line for line in first.lab("runs").stdout.splitlines() if sweep in line]
    assert len(listed) == 2  # the other one is what is next
    assert f"{sweep}  running" in listed[0]
    assert "4 of 6 done, 1 running" in listed[0]
    opened = first.lab("runs", sweep).stdout
    assert "On machine, two." in opened
    assert f"{sweep}-4  running" in opened
    following = first.start_lab("attach", sweep)
    read_until(following, "4 of 6 done")
    following.send_signal(signal.SIGINT)  # Ctrl-C ends the following at once, and nothing else
    said, _ = following.communicate(timeout=300)
    assert following.returncode == 125, said
    pulled = first.lab("pull", sweep)
    assert pulled.returncode == 0, pulled.stderr
    assert set(ran_on(first, sweep)) == {1, 2, 3, 4, 5}


def check_lost_machine(spread: Spread) -> dict[int, list[str]]:
    """Check that a second machine that cannot be reached continues to wait.

    Return where each set has run, as their results tell that came home.
    """
    first, sweep = spread.first, spread.id
    lost = first.lab("runs", sweep)
    assert "3 of 6 done, 3 unknown on two" in lost.stdout
    assert f"give them to others: lab run --resume {sweep} --spread machine" in lost.stderr
    assert f"{sweep}-6  unknown" in lost.stdout
    refused = first.lab("run", "--resume", sweep, "--spread", "machine,two")
    assert "No answer from two, so no sets can continue there." in refused.stderr
    given = first.lab("run", "--resume", sweep, "--spread", "machine,three")
    assert given.returncode == 0, given.stderr
    assert f"{sweep} continues on machine, three, with 2 runs of two." in given.stderr
    # What was fetched from the lost machine is done; each set is done once.
    third = spread.folders[2]
    assert set(ended(first.folder, third, sweep=sweep)) == {*range(1, 7)}
    own = Path("/proc/sys/kernel/hostname").read_text().strip()
    hosts = ran_on(first, sweep)
    assert {hosts[number][-1] for number in (1, 3, 5)} == {own}
    assert (hosts[2], hosts[4], hosts[6]) == (["two"], [own], ["three"])
    aside = first.project.path / f"outputs/train/.{sweep}-lost/{sweep}-4/ran.txt"
    assert aside.read_text() == "two\n"
    return hosts


def check_machine_found_again(spread: Spread, hosts: dict[int, list[str]]) -> None:
    """Check that the second machine is found again, and others have its sets now."""
    first, sweep = spread.first, spread.id
    found = first.lab("runs", sweep)
    assert "6 of 6 done: " in found.stdout
    assert "Sets that other machines took over still run on two." in found.stderr
    ending = first.lab("attach", sweep)
    assert ending.returncode == 0, ending.stderr
    assert ("Ended sets on two that other machines have taken over.") in ending.stderr
    assert list(spread.folders[1].glob(".lab/jobs/*/stopped"))
    assert ran_on(first, sweep) == hosts
    assert (
        "were already given to other machines"
        in first.lab("run", "--resume", sweep, "--spread", "machine,two").stderr
    )
    compared = first.lab("runs", "--compare", sweep, "--json")
    assert len(json.loads(compared.stdout)["runs"]) == 6, compared.stderr


def check_added_sets(spread: Spread) -> None:
    """Check that added sets are divided, too, and that `lab stop` reaches all machines."""
    first, sweep = spread.first, spread.id
    for account in (first.server.account, spread.three.account):
        for number in (7, 8):
            account.write(f"{first.name}/outputs/hold-{number}", "")
    added = ("--sweep", "seed=7,8", "--at-once", "1")
    grown = first.lab("run", "--detach", "--resume", sweep, *added)
    assert "continues: 2 new runs." in grown.stderr, grown.stderr
    wait_until(
        lambda: all(
            [*folder.glob(f"outputs/train/{sweep}-[78]/ran.txt")]
            for folder in (first.folder, spread.folders[2])
        )
    )
    stopped = first.lab("stop", sweep)
    assert "was stopped, with every process it had started: 6 of 8 done." in stopped.stdout
    assert f"{sweep}  stopped" in first.lab("runs").stdout
    removed = first.lab("runs", "--remove", sweep, "--yes")
    assert removed.returncode == 0, removed.stderr
    for folder in (*spread.folders, first.project.path):
        assert not [*folder.glob(f"outputs/train/{sweep}*"), *folder.glob(".lab/sweeps/*")]


@pytest.mark.slow
def test_machines_that_share_their_disk_work_on_one_list(
    first: RemoteProject, laptop: Laptop
) -> None:
    with machine_called("two", first.server.account) as two:
        introduce(first, laptop, "two", two)
        for number in (1, 2):
            first.write_there(f"outputs/hold-{number}", "")
        spread = ("--spread", "machine,two", "--at-once", "1")
        # Without a repository, sets that write into folders of [outputs] would use the same ones.
        settings = first.project.path / "lab.local.toml"
        settings.write_text('[outputs]\nfolders = ["figures"]\n')
        (first.folder / ".git").rename(first.folder / "git")
        mixed = first.lab("run", "--detach", "--sweep", "seed=1..6", *spread, *COMMAND)
        assert "two shares its disk with machine" in mixed.stderr
        assert not list((first.folder / ".lab/sweeps").iterdir())
        (first.folder / "git").rename(first.folder / ".git")
        settings.unlink()
        begun = first.lab("run", "--detach", "--sweep", "seed=1..6", *spread, *COMMAND)
        assert begun.returncode == 0, begun.stderr
        (folder,) = (first.folder / ".lab/sweeps").iterdir()
        results = first.folder / "outputs/train"
        wait_until(lambda: len(list(results.glob("*/ran.txt"))) == 2)
        listed = first.lab("runs", "--json")
        (sweep,) = json.loads(listed.stdout)["sweeps"]
        assert (sweep["total"], sweep["running"], sweep["state"]) == (6, 2, "running")
        assert sweep["aliases"] == ["machine", "two"]
        claims = {path: json.loads(path.read_text()) for path in (folder / "claims").glob("[12].0")}
        (lost,) = (path for path, claim in claims.items() if claim["host"] == "two")

        # The other machine cannot see its processes, and waits until it has been silent for long.
        two.stop()
        os.utime(lost, (time.time() - 999, time.time() - 999))
        for number in (1, 2):
            (first.folder / f"outputs/hold-{number}").unlink()
        followed = first.lab("attach", folder.name)
        assert followed.returncode == 0, followed.stderr
        assert set(ended(first.folder, sweep=folder.name)) == {*range(1, 7)}
        begun_on = ran_on(first, folder.name)
        own = Path("/proc/sys/kernel/hostname").read_text().strip()
        again = int(lost.name.partition(".")[0])
        assert begun_on.pop(again) == ["two", own]
        assert all(hosts == [own] for hosts in begun_on.values())


@pytest.mark.slow
def test_sweeps_of_two_accounts_on_one_machine_do_not_meddle(
    first: RemoteProject, laptop: Laptop
) -> None:
    need_root("make a second account")
    with (
        openssh_server.account() as ben,
        openssh_server.openssh_server(ben) as server,
    ):
        introduce(first, laptop, "ben", server)
        there = ben.home / first.name
        for account in (first.server.account, ben):
            account.write(f"{first.name}/outputs/hold-2", "")
        words = ("run", "--detach", "--at-once", "1", "--sweep", "seed=1..3")
        for more in ((), ("--alias", "ben")):
            begun = first.lab(*words, *more, *COMMAND)
            assert begun.returncode == 0, begun.stderr
        sweeps = {
            folder: next((folder / ".lab/sweeps").iterdir()).name
            for folder in (first.folder, there)
        }
        waiting = [folder / f"outputs/train/{own}-2/ran.txt" for folder, own in sweeps.items()]
        wait_until(lambda: all(path.exists() for path in waiting))
        # One worker is killed, and runs its set again: what it ends before is its own account's.
        claim = json.loads((there / f".lab/sweeps/{sweeps[there]}/claims/2.0").read_text())
        os.kill(claim["pid"], signal.SIGKILL)
        wait_until(lambda: len(waiting[1].read_text().split()) == 2)
        assert len(waiting[0].read_text().split()) == 1
        for folder in sweeps:
            (folder / "outputs/hold-2").unlink()
        for folder, own in sweeps.items():
            assert first.lab("runs", "--wait", own).returncode == 0
            assert set(ended(folder, sweep=own)) == {1, 2, 3}
        listed = first.lab("runs").stdout
        assert all(f"{own}  done" in listed for own in sweeps.values())
