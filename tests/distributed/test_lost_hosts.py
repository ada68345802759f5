"""What becomes of a run on several hosts when one of them, or a process, is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from network_of_hosts import Network
from tool_helpers import wait_until

pytestmark = pytest.mark.slow

BOTH = ("--hosts", "anna,bert")
OUTAGE = 20.0  # seconds
SOON = 60.0  # seconds within which a host that is gone for good is told


def test_run_survives_a_killed_process_and_a_cut_network(hosts: Network) -> None:
    command = hosts.start_lab("run", "counting", *BOTH, "-p", "epochs", "40")
    command.wait_for("epoch 2\n")
    for process in hosts.hosts["bert"].find("counting.py"):
        if Path(f"/proc/{process}/environ").read_bytes().count(b"\0LOCAL_RANK="):
            os.kill(process, signal.SIGKILL)
    command.wait_for("2 processes begin after epoch", times=2)
    # The network is cut once they have come further: the next attempt begins from there.
    wait_until(lambda: "\nepoch " in command.output.rpartition("begin after")[2])
    hosts.hosts["bert"].cut_off()
    time.sleep(OUTAGE)  # this long an outage is what is survived
    hosts.hosts["bert"].come_back()
    code, output = command.finish()
    assert code == 0, output
    begun = [int(epoch) for epoch in re.findall(r"begin after epoch (\d+)", output)]
    assert begun == sorted(set(begun))  # each time from where it was
    assert len(begun) == 3
    (results,) = hosts.results()
    assert (results / "counted.txt").read_text() == "40 epochs, 2 processes"


@pytest.mark.parametrize("lost", ["anna", "bert"])
def test_host_that_is_gone_for_good_is_told_within_a_minute(hosts: Network, lost: str) -> None:
    command = hosts.start_lab("run", "counting", *BOTH, "-p", "epochs", "1000")
    command.wait_for("epoch 2\n")
    hosts.hosts[lost].cut_off()
    code, output = command.finish(limit=SOON)
    assert code == 1
    said = f"has failed: {lost} can no longer be reached, and the other hosts waited too long"
    assert said in output
    assert "Traceback" not in output[output.index("Error: Run") :]
    (left,) = [host for alias, host in hosts.hosts.items() if alias != lost]
    assert left.processes() == []
    hosts.hosts[lost].come_back()
    (run,) = re.findall(r"Run (\S+) started", output)
    code, output = hosts.lab("stop", run)
    assert code == 0, output
    assert hosts.hosts[lost].processes() == []
