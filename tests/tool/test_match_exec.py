"""Reading a configuration runs none of the commands in it: by a quiet shell, or by a copy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ssh_tree import entry, lay_out, meaning

from ml_remote.ssh import config_query, ssh_config
from ml_remote.ssh.client import Client
from ml_remote.ssh.config_query import write_copy
from ml_remote.ssh.shared_connection import is_open

# Each would run `touch ran`, did ssh see the line: in one file, in another, and in disguise.
RISKY: dict[str, dict[str, str | bytes]] = {
    "in the configuration": {"config": 'Match exec "touch ~ssh/ran"\n  User u\nHost a\n  Port 7\n'},
    "in disguise": {"config": '= Match ex"ec" "touch ~ssh/ran"\n  User u\nHost a\n  Port 7\n'},
    "deep in included files": {
        "config": 'Include "~ssh/x y"\n',
        "x y": "Host a\n  Include ~ssh/*.inc\n  Port 7\n",
        "z.inc": 'Match exec "touch ~ssh/ran"\n  Port 8\n',
    },
    "in a file that only ssh finds": {
        "config": "Include '~ssh/x'\nInc\"lude\" ~ssh/x\nHost a\n  Port 7\n",
        "x": 'Match exec "touch ~ssh/ran"\n  Port 8\n',
    },
    "in files that include further ones": {
        "config": "Host a\n  Port 7\n  Include ~ssh/x\n",
        "x": 'Include ~ssh/y\nMatch exec "touch ~ssh/ran"\n',
        "y": "Match host a\n  User u\n",
    },
}


@pytest.mark.parametrize("place", RISKY)
def test_a_copy_for_windows_has_every_included_file_and_no_command(
    place: str, tmp_path: Path
) -> None:
    directory, copy = tmp_path / "ssh", tmp_path / "copy"
    lay_out(directory, RISKY[place])
    plan = ssh_config.plan_connect(entry(), directory=directory)
    write_copy(plan.after, copy, is_whole=True)
    meant = {alias: meaning(alias, directory=copy) for alias in ("gpu", "a")}  # by the real ssh
    assert not (directory / "ran").exists()
    assert meant["gpu"]["hostname"] == "gpu.example.com"
    assert meant["a"]["port"] == "7"
    assert str(directory) not in "".join(path.read_text() for path in copy.rglob("included-*"))


@pytest.mark.parametrize("has_quiet_shell", [True, False], ids=["by its shell", "by a copy"])
@pytest.mark.parametrize("place", RISKY)
def test_reading_the_configuration_runs_no_command_of_it(
    place: str, has_quiet_shell: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "ssh"
    lay_out(directory, RISKY[place])
    if not has_quiet_shell:  # as on Windows
        monkeypatch.setattr(config_query, "quiet_shell", dict)
    machine = Client(alias="a", directory=directory, options=(f"ControlPath={tmp_path}/socket",))
    resolved = machine.resolve()
    assert resolved["port"] == ["7"]
    assert resolved["userknownhostsfile"][0].split()[0] == str(directory / "known_hosts")
    with socket.socket(socket.AF_UNIX) as hung:  # a shared connection that nobody answers
        hung.bind(str(tmp_path / "socket"))
        assert not is_open(machine)
        machine.close()
    assert not (directory / "ran").exists()
