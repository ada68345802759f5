"""Jobs need little of the machine: any login shell, few programs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import openssh_server
import pytest
from needs import need_program, need_root
from openssh_server import OpenSSHServer
from tool.jobs.following import FOLDER, follow, is_alive, started, wait_for
from tool_helpers import alter_scripts, at

from ml_remote import jobs, scripts
from ml_remote.far import login
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

SCRIPTS = sorted(path.stem for path in Path(login.__file__).parent.glob("*.sh"))
GIVEN = {"slurm-command": "node=''\n", "sweep": "sweep=''\n", "take-checkpoint": "from=''\n"}
"""What comes before a script on the machine."""
NEEDED_TOOLS = "awk cat cut date df grep mkdir mv nohup rm sed sh sleep tail uname"


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
