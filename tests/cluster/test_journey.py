"""The journey of somebody whose machine is a cluster that asks for a code at every login."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pytest
from baking import TOOL
from cluster_packages import BOARD, PACKAGE, bring_packages, filled_cache, python_there
from cluster_site import GATEWAY, Factor, Person, Site
from openssh_server import Laptop
from session_kernel import Kernel
from terminal_session import Answers, TerminalSession, terminal_session
from tool_helpers import run_tool, wait_until

from ml_remote.ssh.client import Client

pytestmark = pytest.mark.slow

ALIAS = "cluster"
CUT = 25.0  # seconds that the network is away
TRAIN = f"""\
import os, pathlib, sys, time

import {PACKAGE}

folder = pathlib.Path(os.environ["LAB_OUTPUT_DIR"])
checkpoint = folder / "checkpoint.pt"
epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
print("training from epoch", epoch, "on", os.uname().nodename, flush=True)
print("card", os.environ["CUDA_VISIBLE_DEVICES"], "with", os.environ["CUDA_HOME"], flush=True)
checkpoint.write_text(str(epoch + 1))
print("made epoch", epoch + 1, flush=True)
if epoch < 2:
    time.sleep(600)
"""
WHERE = """\
# %% tags=["parameters"]
size = 1
# %%
import os
import pathlib
node = os.uname().nodename
seen = f"{node}, card {os.environ['CUDA_VISIBLE_DEVICES']}, size {size}"
pathlib.Path(os.environ["LAB_OUTPUT_DIR"], "result.txt").write_text(seen)
"""
SLURM = """
[slurm]
gpus = 1
time = "1"
prepare = ["module load cuda/12"]
"""


@dataclass(frozen=True)
class Traveller:
    """Somebody at their laptop, with a repository of their own."""

    site: Site
    laptop: Laptop
    person: Person
    root: Path

    def at_terminal(self, *words: str) -> AbstractContextManager[TerminalSession]:
        """Run `lab` in a terminal, answering what is asked."""
        answers: Answers = {
            r"host key\? \[y/N\]:": "y",
            r"Continue\? \[Y/n\]:": "",
            r"passphrase.*:": "",
            r"assword:": self.person.password,
            r"Verification code:": self.person.code,
            r"Press Enter to log in:": "",
        }
        command = [sys.executable, "-B", "-m", "ml_remote", *words]
        return terminal_session(
            command, answers=answers, folder=self.root, variables={"PYTHONPATH": str(TOOL)}
        )

    def types(self, *words: str, code: int = 0) -> str:
        """Run `lab` in a terminal to its end; return what is on the screen."""
        with self.at_terminal(*words) as session:
            assert session.wait() == code, session.screen
            assert "Traceback" not in session.screen
            return session.screen

    def lab(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run `lab` without a terminal; return all that it printed."""
        done = run_tool(self.root, *words, **variables)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)

    def log(self, run: str) -> str:
        """Return what a run has printed."""
        return (self.person.home / "leaves" / ".lab" / "jobs" / run / "log").read_text()


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    """Fill the cache before a test is in the laptop's network, which has no internet."""
    filled_cache()


@pytest.fixture
def begun(site: Site, laptop: Laptop, tmp_path: Path) -> Traveller:
    """Return a repository with a training, on a laptop that has never seen the cluster."""
    bring_packages(site.ada)
    return begin(site, laptop, site.ada, tmp_path / "leaves")


def begin(site: Site, laptop: Laptop, person: Person, root: Path) -> Traveller:
    traveller = Traveller(site, laptop, person, root)
    root.mkdir()
    (root / "requirements.txt").write_text(f"{PACKAGE}\n{BOARD}\n")
    (root / "train.py").write_text(TRAIN)
    traveller.git("init", "--quiet", "--initial-branch", "main")
    traveller.lab("init", "--alias", ALIAS, "--yes")
    settings = root / "lab.toml"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith("python =")]
    at = kept.index("[environment]") + 1
    kept.insert(at, f'python = "{python_there()}"')
    settings.write_text("\n".join(kept) + "\n" + SLURM)
    traveller.git("add", ".")
    traveller.git("commit", "--quiet", "--message", "Begin")
    return traveller


@contextmanager
def until_requeued(traveller: Traveller, number: str) -> Iterator[None]:
    """Put a job back into the queue after the block; its owner lets it start."""
    yield
    wait_until(lambda: "PENDING" in state(traveller, number), limit=120)
    time.sleep(2)  # a node takes nothing granted in the second in which it ended the job
    sooner = ("scontrol", "update", f"jobid={number}", "starttime=now")
    traveller.site.login1.run(*sooner, user=traveller.person.user)


def state(traveller: Traveller, number: str) -> str:
    return traveller.site.slurm("squeue", "-h", "--states=all", "-j", number, "-o", "%T")


def test_from_the_first_login_to_the_results(begun: Traveller) -> None:
    ada, site = begun, begun.site
    with site.asking(Factor.AFTER_PASSWORD):
        ada.types("connect", "--alias", "gateway", f"ada@{GATEWAY}")
        screen = ada.types("connect", "--jump", "gateway", "ada@login")
        assert "accepts no key before that" in screen
        assert screen.count("Verification code:") == 1
        # From here on nobody is at the terminal, and nothing is asked.
        ada.lab("up", "--no-code", "--yes")
        assert "All checks passed" in ada.lab("doctor")
        job, number = start_training(ada)
        with_jupyter(ada)
        # Meanwhile the run came to its limit, and was requeued.
        with until_requeued(ada, number):
            wait_until(lambda: "the run is requeued" in ada.log(job), limit=120)
        wait_until(lambda: "made epoch 2" in ada.log(job), limit=120)
        with until_requeued(ada, number):  # its second limit, sent early
            site.login1.run("scancel", "--batch", "--signal=USR1", number, user="ada")
        said = ada.lab("attach", job)
        assert "training from epoch 2" in said
        results = ada.root / "outputs" / "train" / job
        assert (results / "checkpoint.pt").read_text() == "3"
        rows = [line for line in ada.lab("runs").splitlines() if line.startswith(job)]
        assert len(rows) == 1
        assert f"{job}  done " in rows[0]
        on_a_node(ada)


def start_training(ada: Traveller) -> tuple[str, str]:
    """Start a run that lasts over two time limits; return it and its number in Slurm."""
    words = ("run", "--slurm", "--until-done", "--detach", "--", "python", "train.py")
    ada.lab(*words)
    (folder,) = (ada.person.home / "leaves" / ".lab" / "jobs").glob("*/slurm")
    job = folder.parent.name
    wait_until(lambda: "made epoch 1" in ada.log(job), limit=120)
    assert "card 0 with /opt/cuda/12" in ada.log(job)
    return job, folder.read_text().strip()


def with_jupyter(ada: Traveller) -> None:
    """Work in a notebook through a lost network, and a shared connection that has ended."""
    with ada.at_terminal("jupyter", "--no-browser") as session:
        page = session.wait_for(r"open file://(\S+)")
        session.wait_for("Next:")
        kernel = Kernel(Path(unquote(page[1])))
        kernel.run("kept = 4711")
        asked = session.screen.count("Verification code:")
        with ada.site.without_network():
            time.sleep(CUT)
        assert "4711" in kernel.run("print(kept)", until="4711")
        assert session.screen.count("Verification code:") == asked
        Client(alias=ALIAS, directory=ada.laptop.ssh).close()
        session.wait_for("Verification code:", times=asked + 1)
        session.wait_for("Connected to .* again")
        assert "4711" in kernel.run("print(kept)", until="4711")
        session.interrupt()
        assert session.wait() == 0, session.screen
    ada.lab("jupyter", "--stop")


def on_a_node(ada: Traveller) -> None:
    """Work in a notebook on a compute node with a card, until the job is ended below it."""
    said = ada.lab("node", "--gpus", "1", "--time", "9", "--yes")
    assert " is available as cluster-node: job " in said
    use_the_node(ada)
    with ada.at_terminal("jupyter", "--node", "--no-browser") as session:
        page = session.wait_for(r"open file://(\S+)")
        kernel = Kernel(Path(unquote(page[1])))
        looking = "import os; print(os.uname().nodename, os.environ['CUDA_VISIBLE_DEVICES'])"
        nodes = "|".join(node.name for node in ada.site.nodes)
        assert re.fullmatch(rf"({nodes}) 0\n", kernel.run(looking, until="\n"))
        session.wait_for("The job behind cluster-node reaches its time limit in [2-9] minutes")
        ada.lab("run", "--node", "--detach", "--", "sleep", "600")
        ended = ada.lab("node", "--stop")
        assert re.search(
            r"everything that ran in it: \S+ \(JupyterLab\), \S+ \(-- sleep 600\)", ended
        ), ended
        session.wait_for(r"leads to no compute node\. Job \d+ was stopped")
        assert session.wait() == 1
    assert "No JupyterLab session runs" in ada.lab("jupyter", "--stop")


def use_the_node(ada: Traveller) -> None:
    """Send code, run it, get results, and reach programs: all by the node's own alias."""
    node = ada.lab("shell", "--node", "--", "uname", "-n").strip()
    (ada.root / "where.py").write_text(WHERE)
    ada.git("add", "where.py")
    ada.git("commit", "--quiet", "--message", "Say where it runs")
    assert "Pushed 1 commit to cluster-node" in ada.lab("push", "--alias", "cluster-node")
    assert "ran on cluster-node" in ada.lab("run", "--node", "where.py", "-p", "size", "3")
    (result,) = (ada.root / "outputs" / "where").glob("*/result.txt")
    assert result.read_text() == f"{node}, card 0, size 3"
    words = ("python", "-c", "import os; print(os.uname().nodename)")
    assert f"{node}\n" in ada.lab("run", "--node", "--", *words)
    with_plain_programs(ada, node)
    with_an_editor(ada)
    with ada.at_terminal("tensorboard", "--node", "--no-browser") as session:
        page = session.wait_for(r"open file://(\S+)")
        session.wait_for("Next:")
        assert "<title>TensorBoard" in page_behind(Path(unquote(page[1])))
        session.interrupt()
        assert session.wait() == 0, session.screen
    ada.lab("tensorboard", "--node", "--stop")


def with_plain_programs(ada: Traveller, node: str) -> None:
    """Use the alias with git, rsync, scp and a browser."""
    ssh = f"ssh -F {ada.laptop.config}"
    copies = ada.root.parent
    for words in (
        ("git", "push", "--quiet", "cluster-node:leaves", "HEAD:refs/heads/mine"),
        ("git", "clone", "--quiet", "--branch", "mine", "cluster-node:leaves", f"{copies}/clone"),
        ("rsync", "-a", "-e", ssh, "cluster-node:leaves/where.py", f"{copies}/rsync.py"),
        (
            "scp",
            "-q",
            "-F",
            str(ada.laptop.config),
            "cluster-node:leaves/where.py",
            f"{copies}/scp.py",
        ),
    ):
        variables = {**os.environ, "GIT_SSH_COMMAND": ssh}
        done = subprocess.run(
            words, cwd=ada.root, env=variables, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (words, done.stderr)
    for copy in ("clone/where.py", "rsync.py", "scp.py"):
        assert (copies / copy).read_text() == WHERE
    # Something that listens on the node alone.
    serving = "cd leaves && exec python3 -m http.server --bind 127.0.0.1 7861"
    with subprocess.Popen([*ssh.split(), "-T", "cluster-node", serving], stderr=-1) as server:
        with ada.at_terminal("forward", "--node", "7861") as session:
            session.wait_for("7861")
            wait_until(lambda: page_at("http://127.0.0.1:7861/where.py") == WHERE)
            session.interrupt()
            assert session.wait() == 0, session.screen
        server.kill()


def with_an_editor(ada: Traveller) -> None:
    """Open the folder on the node, in a stand-in for VS Code that writes down how it was called."""
    programs = ada.root.parent / "programs"
    programs.mkdir()
    editor = programs / "code"
    editor.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{programs}/calls\n')
    editor.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    said = ada.lab("code", "--node", "--editor", "code", PATH=path)
    assert "opens cluster-node:/home/ada/leaves" in said
    assert f"{ada.root}/cluster-node.code-workspace" in (programs / "calls").read_text()


def page_behind(login: Path) -> str:
    """Log in as the page does that is opened in the browser; return what comes then."""
    text = html.unescape(login.read_text())
    (address,) = re.findall(r'action="([^"]+)"', text)
    (token,) = re.findall(r'name="token" value="(\w+)"', text)
    browser = build_opener(HTTPCookieProcessor())
    with browser.open(address, f"token={token}".encode(), timeout=60) as answer:
        return str(answer.read().decode())


def page_at(address: str) -> str:
    """Return what is there; nothing while nobody answers."""
    try:
        with urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.mark.parametrize("user", ["tim", "nora"])
def test_other_shells_have_the_same(user: str, site: Site, laptop: Laptop, tmp_path: Path) -> None:
    """tcsh, and a .bashrc that says something; here a code is asked for after the key."""
    person = getattr(site, user)
    traveller = begin(site, laptop, person, tmp_path / "leaves")
    site.known(laptop, person, alias="unused")  # the gateway, too
    with site.asking(Factor.AFTER_KEY):
        screen = traveller.types("connect", "--jump", "gateway", f"{user}@login")
        assert screen.count("Verification code:") == 1
        assert "assword:" not in screen
        if user == "nora":
            said = traveller.lab("push", code=1)
            assert "a file such as ~/.bashrc prints 'Welcome to the cluster'" in said
            (line,) = re.findall(r"put above that line: (.*)", said)
            person.write(".bashrc", f"{line}\n{(person.home / '.bashrc').read_text()}")
            person.write(".bash_profile", "echo Welcome\n. ~/.bashrc\n")
        traveller.lab("push")
        python = person.write("leaves/.lab/envs/one/bin/python", '#!/bin/sh\nexec python3 "$@"\n')
        python.chmod(0o755)
        (person.home / "leaves/.venv").symlink_to(".lab/envs/one")
        said = traveller.lab("run", "--slurm", "--", "sh", "-c", "echo with $CUDA_HOME")
        assert "with /opt/cuda/12" in said
        assert "Welcome" not in said


def test_gateway_asks_and_a_node_lets_nobody_in_without_a_job(
    site: Site, laptop: Laptop, tmp_path: Path
) -> None:
    ada = begin(site, laptop, site.ada, tmp_path / "leaves")
    (node, _) = site.nodes
    with site.asking(Factor.AFTER_PASSWORD, at_gateway=True):
        screen = ada.types("connect", "--alias", "gateway", f"ada@{GATEWAY}")
        assert screen.count("Verification code:") == 1
        screen = ada.types("connect", "--jump", "gateway", "ada@login")
        assert "Verification code:" not in screen
        assert "Key copied to cluster" in screen
        ada.lab("push")
        # The gateway's connection has ended: in a terminal it asks, without one it is named.
        Client(alias=ALIAS, directory=laptop.ssh).close()
        Client(alias="gateway", directory=laptop.ssh).close()
        said = ada.lab("push", code=1)
        assert "lab connect" in said
        assert "--alias gateway" in said
        assert "Verification code:" in ada.types("push")
        # The key is let in by the home that all machines share, and not by the node.
        key = laptop.make_key("id_ed25519").with_suffix(".pub").read_text()
        known = (site.ada.home / ".ssh" / "authorized_keys").read_text()
        site.ada.authorize(f"{known}{key}")
        said = ada.types("connect", "--alias", "node", "--jump", ALIAS, f"ada@{node.name}", code=1)
        assert "lets you in only while you have a job there (pam_slurm_adopt)." in said
