"""What `lab node` asks for and reads, without a cluster."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ml_remote.context import Context
from ml_remote.errors import ConfigurationError, LabError, NoNodeError, UnreachableError, UsageError
from ml_remote.far.login.node.configuration import session_variables
from ml_remote.machine import Machine
from ml_remote.node_options import NodeOptions, read_node_options
from ml_remote.nodes import starting
from ml_remote.nodes.state import left_in_words, parse_nodes
from ml_remote.scripts import script
from ml_remote.sessions.tunnel import warning_of_end
from ml_remote.slurm_options import read_options
from ml_remote.ssh.client import Client
from ml_remote.ssh.compute_nodes import alias_of
from ml_remote.ssh.explaining import explain
from ml_remote.tables import Tables
from ml_remote.ui.console import Console


def options(slurm: dict[str, object]) -> NodeOptions:
    tables = Tables(project=Path("lab.toml"), shared={"slurm": slurm}, local={})
    return read_node_options(tables, read_options(tables))


def test_what_is_not_said_of_a_node_is_as_for_runs() -> None:
    runs = {"partition": "gpu", "time": "30", "gpus": 2, "options": ["--account=physics"]}
    assert options(runs) == NodeOptions(
        partition="gpu", time="30", gpus=2, options=("--account=physics",), idle_minutes=30
    )
    own = options({**runs, "node": {"gpus": 0, "idle_minutes": 0, "options": [], "cpu": 1}})
    assert (own.gpus, own.idle_minutes, own.options, own.partition) == (0, 0, (), "gpu")
    assert own.ignored[0].startswith("lab.toml: [slurm.node] has no key 'cpu', so it is ignored.")
    assert "#SBATCH --gpus-per-node=2\n#SBATCH --account=physics" in options(runs).lines(name="x")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"time": "4h"}, "time in [slurm.node] is '4h'"),
        ({"gpus": -1}, "gpus in [slurm.node] is -1"),
        ({"idle_minutes": True}, "idle_minutes in [slurm.node] is True"),
        ({"idle_minutes": "30"}, "idle_minutes in [slurm.node] is '30'"),
        ({"idle_minutes": -1}, "it must be a number of minutes"),
        ({"options": ["--time=3"]}, "lab sets --time=3 itself"),
        (3, "node in [slurm] is 3; it must be a table"),
    ],
    ids=str,
)
def test_settings_of_a_node_that_cannot_be_meant_are_named(values: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        options({"node": values})


def test_nodes_are_read_and_lies_about_them_left_out() -> None:
    job = (
        '\t1\tthere\t-\t-\t-\t-\t7 RUNNING None\tjson\t{"format": 2, "kind": "node", "title": "x"}'
    )
    lines = ["now\t100\tlogin", f"job\t1{job}", f"job\t2{job}"]
    lines += [
        "node\tbig\t1\tready\tn1\t1-02:03:04\t-\t-\t-\t/tmp/x",
        "node\tnode\t2\tready\tn1;rm\tUNLIMITED\tx\t1\ty\t\x1b[2J",
        "node\t../x\t1\tready\tn1\t1\t-\t-\t-\t",
        "node\tother\t9\tready\tn1\t1\t-\t-\t-\t",
        "node\tshort\t1",
        "within\t1\t2",
        "within\t1\t9",
        "within\t1",
    ]
    big, node = parse_nodes("\n".join(lines))
    assert (big.name, big.is_ready, big.host, left_in_words(big)) == (
        "big", True, "n1", "26 h 03 min left",
    )  # fmt: skip
    assert (node.host, node.left, node.begins, node.place) == ("", None, None, None)
    assert "\x1b" not in node.said
    assert [[job.id for job in one.within] for one in (big, node)] == [["2"], []]


def test_alias_of_a_node_is_one() -> None:
    assert alias_of("cluster", "big") == "cluster-big"
    for name in ("", "Big", "-x", "a b", "a/b", "x" * 40, "a\n", "keys", "a.new", "host_key"):
        with pytest.raises(UsageError):
            alias_of("cluster", name)


def test_job_gives_its_logins_what_it_has_and_nothing_of_the_login_before(tmp_path: Path) -> None:
    given = {
        "CUDA_VISIBLE_DEVICES": "1", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "lab-node",
        "PATH": "/opt/cuda/bin:/usr/bin", "SPACED": "a b", "QUOTED": 'a"b', "LINES": "a\nb",
        "SSH_CONNECTION": "x", "XDG_RUNTIME_DIR": "/run/user/1", "BASH_FUNC_module%%": "() { :; }",
        "LAB_JOB_FOLDER": "/x/", "HOSTNAME": "login1", "HOME": "/somewhere",
    }  # fmt: skip
    assert session_variables(given, tmp_path) == {
        "CUDA_VISIBLE_DEVICES": "1", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "interactive",
        "PATH": "/opt/cuda/bin:/usr/bin", "SPACED": "a b", "HOME": "/somewhere",
        "LAB_NODE_JOB": str(tmp_path),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("No compute node is running. Start one: lab node", NoNodeError),
        ("Job 7 has ended (TIMEOUT). Start another one: lab node --name big", NoNodeError),
        ("Job 7 was stopped. Start another one: lab node", NoNodeError),
        ("Job 7 ended because it was unused. Start another one: lab node", NoNodeError),
        ("Job 7 is waiting in the queue (Priority). To wait for it: lab node", UnreachableError),
        ("Slurm does not answer on login1. Try again later: lab node", UnreachableError),
    ],
)
def test_what_the_proxy_says_is_an_error_of_its_own(said: str, error: type[LabError]) -> None:
    line = f"Received disconnect from UNKNOWN port 65535:11: lab: {said}\n"
    found = explain(f"{line}Disconnected from UNKNOWN port 65535\n", alias="cluster-node")
    assert type(found) is error
    assert found.message == f"cluster-node leads to no compute node. {said.split('. ')[0]}."


def test_open_session_is_warned_before_the_job_ends(tmp_path: Path) -> None:
    """By the script that watches a session on the node, and the sentence made of its word."""
    watching = script("watch-session").partition("# say_end")[2].partition("until is_over")[0]
    for seconds, said in ((3600, ""), (605, ""), (550, "ending 9\n"), (30, "ending 0\n")):
        (tmp_path / "ends").write_text(f"{int(time.time()) + seconds}\n")
        program = f"LAB_NODE_JOB={shlex.quote(str(tmp_path))}\n# say_end{watching}\nsay_end"
        done = subprocess.run(["sh", "-c", program], capture_output=True, text=True)
        assert done.stdout == said, seconds
    assert "in 10 minutes, and everything in it ends" in warning_of_end("cluster-node", "ending 9")
    assert "in a minute" in warning_of_end("cluster-node", "ending 0")


def test_node_that_is_just_ending_is_waited_for_and_not_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its job is not over yet, but it takes no logins any more."""
    job = '\t1\t{}\t-\t-\t-\t-\t7 {} None\tjson\t{{"format": 2, "kind": "node", "title": "x"}}'
    node = "node\tnode\t1\tidle\tn1\t10:00\t-\t-\t-\t"
    answers = [
        parse_nodes(f"now\t100\tlogin\njob\t1{job.format(*state)}\n{node}")
        for state in (("there", "RUNNING"), ("there", "COMPLETING"), ("gone", "COMPLETED"))
    ]
    assert [one.job.is_over for (one,) in answers] == [False, False, True]
    monkeypatch.setattr(starting, "list_nodes", lambda machine, name: answers.pop(0))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    machine = Machine(client=Client(alias="cluster"), folder="x")
    assert starting.find_in_use(machine, "node", Console()) is None
    assert capsys.readouterr().err == "Job 7 is ending, because it was unused.\n"


def test_claim_is_given_back_where_the_connection_is_lost(tmp_path: Path) -> None:
    (tmp_path / ".lab" / "nodes").mkdir(parents=True)
    program = f"""about='{{"title": "big"}}' id=1 job=.lab/jobs/1
{script("node-claim")}
echo claimed
while :; do sleep 0.01; done"""
    with subprocess.Popen(
        ["sh", "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        # sh cannot take a signal that was ignored when it began, as below nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as claiming:
        assert claiming.stdout is not None
        assert claiming.stdout.readline() == b"claimed\n"
        assert (tmp_path / ".lab" / "nodes" / "big.claim").is_dir()
        claiming.send_signal(signal.SIGHUP)
        claiming.wait(timeout=60)
    assert [one.name for one in (tmp_path / ".lab" / "nodes").iterdir()] == ["big"]


def test_ctrl_c_while_a_job_is_submitted_asks_what_is_to_become_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    asked = []
    for name in ("login_node", "_wanted", "ensure_far", "absolute_folder", "ensure_alias"):
        monkeypatch.setattr(starting, name, lambda *_, **__: None)
    monkeypatch.setattr(starting, "find_in_use", lambda *_: None)
    monkeypatch.setattr(starting, "_submit", interrupted)
    monkeypatch.setattr(starting, "_leave_queue", lambda *given: asked.append(given[-1]))
    starting.start_node(
        Context(project=None), alias=None, name="big", time_limit=None, gpus=None, partition=None
    )
    assert asked == ["big"]
