"""`lab run --hosts` on two hosts with OpenSSH servers and addresses of their own."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from environment import LabEnvironment
from network_of_hosts import Network

pytestmark = pytest.mark.slow

BOTH = ("--hosts", "anna,bert")


def listeners(network: Network, alias: str) -> list[tuple[str, int]]:
    """Return the addresses and ports on which torch's processes of a host listen."""
    lines = network.hosts[alias].run("ss", "-Hltnp").splitlines()
    places = [line.split()[3].rsplit(":", 1) for line in lines if '"python"' in line]
    return [(address, int(port)) for address, port in places]


def test_two_hosts_train_as_well_as_one(hosts: Network, environment: LabEnvironment) -> None:
    mnist = (Path(os.environ.get("LAB_DATA_DIR", "")) / "MNIST").is_dir()
    chosen = (
        "-p",
        "dataset",
        "mnist" if mnist else "digits",
        "-p",
        "epochs",
        "1" if mnist else "10",
    )
    accuracy = {}
    for where in ("bert", "anna,bert"):
        code, output = hosts.lab("run", "mnistlab", *chosen, "--hosts", where)
        assert code == 0, output
        results = hosts.results()[-1]
        metrics = json.loads((results / "metrics.json").read_text())
        accuracy[where] = metrics["accuracy"]
        assert (results / "confusion-matrix.png").is_file()
    assert accuracy["anna,bert"] >= accuracy["bert"] - 0.002
    # Rank 0 is the host whose address comes first; the other one draws nothing.
    (left,) = (hosts.hosts["bert"].folder / "outputs" / "mnistlab").glob(results.name)
    assert [path.name for path in left.iterdir()] == ["checkpoint.pt"]


def test_interrupted_run_on_hosts_goes_on_is_listed_and_ends_everywhere(hosts: Network) -> None:
    command = hosts.start_lab("run", "counting", *BOTH, "-p", "epochs", "1000")
    command.wait_for("epoch 2")
    os.killpg(command.process.pid, signal.SIGINT)
    code, output = command.finish()
    assert code == 1
    (run,) = re.findall(r"Run (\S+) started on anna, bert", output)
    assert f"The run continues on anna, bert. To end it: lab stop {run}" in output
    assert all(host.processes() for host in hosts.hosts.values())

    again = hosts.start_lab("run", "counting", *BOTH, "-p", "epochs", "1000")
    again.wait_for("This run is already in progress")
    again.wait_for("epoch 4")  # followed from its first line
    # lab.toml names anna: that bert has runs of its own is only known from having sent it one.
    code, other = hosts.lab(
        "run", "counting", "--hosts", "bert", "--nproc-per-node", "2", "--detach",
        "-p", "epochs", "1000",
    )  # fmt: skip
    assert code == 0, other
    (detached,) = re.findall(r"Run (\S+) started on bert", other)
    checkout = hosts.hosts["bert"].folder / ".lab" / "code" / detached
    assert (checkout / "labs" / "counting.py").is_file()
    code, listed = hosts.lab("runs")
    rows = [line for line in listed.splitlines() if "  running  " in line]
    assert len(rows) == 2, listed
    assert rows[0].startswith(f"{run}  ")
    assert rows[0].endswith("labs/counting.py -p epochs 1000 --hosts anna,bert")
    assert rows[1].endswith("-p epochs 1000 --hosts bert --nproc-per-node 2")

    code, stopped = hosts.lab("stop", "--all")
    assert code == 0, stopped
    assert stopped.count("was stopped, with every process it had started") == 2
    assert [host.processes() for host in hosts.hosts.values()] == [[], []]
    code, output = again.finish()
    assert code == 1
    assert f"Error: Run {run} was stopped." in output


def test_what_listens_during_a_run_is_on_the_chosen_address(hosts: Network) -> None:
    chosen = ("-p", "dataset", "digits", "-p", "epochs", "10000")
    command = hosts.start_lab("run", "mnistlab", *BOTH, *chosen)
    command.wait_for("epoch  2 of")
    for alias, host in hosts.hosts.items():
        assert {address for address, _ in listeners(hosts, alias)} == {host.address}
    code, output = hosts.lab("stop")
    assert code == 0, output
    assert (listeners(hosts, "anna"), listeners(hosts, "bert")) == ([], [])
    command.finish()


FORGED = """
import base64, os, pickle
from ml_remote.far.env.launch import SignedBackend
from torch.distributed import HashStore
from torch.distributed.elastic.rendezvous import RendezvousError

class Canary:
    def __reduce__(self):
        return (print, ("the canary sang",))

store = HashStore()
ours = SignedBackend(store, "lab", secret=b"ours")
state, token, written = ours.set_state(b"state")
assert (state, written) == (b"state", True)
assert SignedBackend(store, "lab", secret=b"ours").get_state() == (state, token)
for forged in (pickle.dumps(Canary()), bytes(32) + pickle.dumps(Canary()), b""):
    store.set("torch.rendezvous.lab", base64.b64encode(forged).decode())
    for read in (ours.get_state, lambda: ours.set_state(b"other", token)):
        try:
            read()
        except RendezvousError as error:
            print(error)
"""


def test_rendezvous_takes_nothing_that_is_not_signed(environment: LabEnvironment) -> None:
    done = environment.project.run(environment.python, "-c", FORGED)
    assert done.stdout.splitlines() == ["someone else wrote to it"] * 6


def test_failing_host_is_named_and_its_last_lines_are_shown(hosts: Network) -> None:
    code, output = hosts.lab("run", "counting", *BOTH, "--max-restarts", "0", "-p", "fail", "1")
    assert code == 1
    shown = output[output.index("The last output of bert:") :]
    assert "ValueError: this one cannot count" in shown
    assert re.search(r"Error: Run \S+ failed on .*bert \(exit code 1\)", shown)
    assert "checkpoint.pt" in output  # what rank 0 had by then was fetched
    assert [host.processes() for host in hosts.hosts.values()] == [[], []]

    (again,) = re.findall(r"To continue from its last checkpoint: lab (run .*)", output)
    assert again.startswith("run labs/counting.py -p fail 1 --hosts anna,bert --resume ")
    run = again.split()[-1]
    code, output = hosts.lab("run", "counting", *BOTH, "--resume", run)
    assert code == 0, output
    assert "2 processes begin after epoch 1\n" in output


def test_hosts_that_do_not_reach_each_other_are_told_before_anything_starts(
    hosts: Network,
) -> None:
    code, output = hosts.lab("run", "counting", *BOTH, "--network", "192.168.0.0/24")
    assert code == 1
    assert "anna has no IPv4 address in 192.168.0.0/24" in output
    bert = hosts.hosts["bert"]
    for rule in (["-s", "10.77.0.1", "-j", "ACCEPT"], ["-p", "tcp", "-j", "DROP"]):
        bert.run("iptables", "-A", "INPUT", "-i", "eth0", *rule)
    code, output = hosts.lab("run", "counting", *BOTH)
    assert code == 1
    assert re.search(r"Error: (anna|bert) cannot connect to (anna|bert) at 10\.77\.0\.", output)
    assert "a firewall between them" in output
    code, output = hosts.lab("runs")
    assert "No lab has been run on anna yet." in output
    bert.run("iptables", "-F")

    code, output = hosts.lab("run", "counting", "--hosts", "anna,nowhere")
    assert code == 1
    assert "nowhere could not be looked up" in output  # there is no name server here
    assert "started" not in output
