"""`lab connect --offline`: with a few modules, in the interpreter that cookiecutter runs in."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import wait_until

import ml_remote
from ml_remote import cli
from ml_remote.ssh import ssh_config
from ml_remote.ssh.address import Destination
from ml_remote.ssh.entry import Entry
from ml_remote.ssh.ssh_directory import known_hosts_path

SOURCE = Path(ml_remote.__file__).parents[1]
MINIMAL = '[remote]\nalias = "gpu"\nfolder = "work/lab"\n'
ADDRESS = "ada@gpu.example.com:2222"
CONNECT = ["connect", "--offline", "--yes", ADDRESS]

# Nothing may be imported but the standard library, click (colorama belongs to it), rich and what
# rich needs.
PROGRAM = """
import sys

ALLOWED = {*sys.stdlib_module_names, "ml_remote", "click", "colorama",
           "rich", "pygments", "markdown_it", "mdurl"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Block())
from ml_remote.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a repository with the least that is a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "lab.toml").write_text(MINIMAL)
    return folder


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to the project's folder."""
    monkeypatch.chdir(project)


def connect(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `project`, which finds the tool's source and nothing else of ours."""
    return subprocess.run(
        [*command, *CONNECT],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )


def is_written(laptop: Laptop) -> bool:
    """Return whether ssh finds the entry."""
    resolved = laptop.run_ssh("-G", "gpu").stdout.splitlines()
    return {"hostname gpu.example.com", "user ada", "port 2222"} <= {*resolved}


def test_an_entry_needs_no_other_package_than_click_and_rich(project: Path, laptop: Laptop) -> None:
    done = connect(project, sys.executable, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert is_written(laptop)
    assert done.stdout.splitlines()[-1] == "Next: lab connect"


@pytest.mark.slow
def test_an_entry_is_written_by_the_interpreter_of_the_oldest_cookiecutter(
    project: Path, laptop: Laptop, tmp_path: Path
) -> None:
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", "-p", sys.executable, tmp_path / "bare"], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", str(python), "cookiecutter==2.3.*"]
    subprocess.run(install, check=True)
    done = connect(project, str(python), "-m", "ml_remote")
    assert done.returncode == 0, done.stderr
    assert is_written(laptop)


@pytest.mark.slow
@pytest.mark.usefixtures("inside")
def test_a_repository_with_nothing_but_two_settings_is_connected(
    laptop: Laptop,
    server: OpenSSHServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.account.authorize(laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
    assert cli.main(["connect", server.address, "--yes"]) == 0
    said = capsys.readouterr().out
    assert "`ssh gpu` now logs in without a password." in said
    assert f"vscode://vscode-remote/ssh-remote+gpu{server.account.home}" in said
    assert laptop.run_ssh("gpu", "true").returncode == 0
    assert cli.main(["disconnect", "--yes"]) == 0


@pytest.mark.usefixtures("inside")
def test_alias_that_leads_somewhere_is_an_answer_too(
    laptop: Laptop,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By an entry of ours it stays as it is; by one of the person's own it is used."""
    offline = ["connect", "--offline", "--yes"]
    assert cli.main([*offline, ADDRESS]) == 0
    assert cli.main([*offline, "gpu"]) == 0
    assert is_written(laptop)
    assert cli.main(["disconnect", "--yes"]) == 0
    laptop.config.write_text("Host gpu\n  HostName own.example\n" + laptop.config.read_text())
    assert cli.main([*offline, "gpu"]) == 0
    assert "your own SSH configuration" in capsys.readouterr().out


@pytest.mark.usefixtures("inside")
def test_compute_nodes_go_with_the_login_node_that_leads_to_them(
    laptop: Laptop,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["connect", "--offline", "--yes", ADDRESS]) == 0
    for alias, way in (
        ("gpu-node", {"proxy": "ssh -T -- gpu sh /home/ada/.lab/node-proxy node"}),
        ("gpu-big", {"jump": (Destination(host="gpu"),)}),
        ("other-node", {"proxy": "ssh -T -- other sh /home/ada/.lab/node-proxy node"}),
    ):
        known = known_hosts_path(alias, laptop.ssh)
        known.write_text("")
        node = Entry(alias=alias, destination=Destination(host="n1"), known_hosts=known, **way)
        ssh_config.apply(ssh_config.plan_connect(node, directory=laptop.ssh))
    capsys.readouterr()
    assert cli.main(["disconnect", "--dry-run"]) == 0
    assert "Compute nodes behind gpu, also removed: gpu-big, gpu-node" in capsys.readouterr().out
    assert is_written(laptop)
    assert cli.main(["disconnect", "--yes"]) == 0
    left = sorted(path.name for path in laptop.ssh.joinpath("ml-remote.d").glob("*[fs]"))
    assert [name for name in left if name.startswith("gpu")] == []
    assert "other-node.conf" in left


DAMAGES = {
    "an unknown option": (b"ForwardAgent no", b"ForwardAgnt no"),
    "an impossible port": (b"Port 1\n", b"Port 99999\n"),
    "a byte-order mark": (b"# Written", b"\xef\xbb\xbf# Written"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["disconnect", "connect"])
@pytest.mark.usefixtures("inside")
def test_entry_that_ssh_cannot_read_is_removed_and_written_again(
    laptop: Laptop, command: str, damage: str
) -> None:
    address = "ada@127.0.0.1:1"
    assert cli.main(["connect", "--offline", "--yes", address]) == 0
    entry = laptop.ssh / "ml-remote.d" / "gpu.conf"
    entry.write_bytes(entry.read_bytes().replace(*DAMAGES[damage]))
    assert laptop.run_ssh("-G", "gpu").returncode != 0
    if command == "disconnect":
        assert cli.main(["disconnect", "--yes"]) == 0
        assert not entry.exists()
    else:
        assert cli.main(["connect", "--yes", address]) == 1  # nothing listens on port 1
        assert "hostname 127.0.0.1" in laptop.run_ssh("-G", "gpu").stdout
    assert laptop.run_ssh("-G", "other").returncode == 0


@pytest.mark.usefixtures("inside")
def test_entry_goes_although_ssh_cannot_read_the_persons_own_lines(
    laptop: Laptop,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(CONNECT) == 0
    laptop.config.write_text(laptop.config.read_text() + "Nonsense 1\n")
    assert cli.main(["disconnect", "--yes"]) == 0
    assert not laptop.ssh.joinpath("ml-remote.d", "gpu.conf").exists()
    assert f"Next: Open {laptop.config} and fix line " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "text", "user"),
    [
        ("config", "Host mine\n  IdentityFile ~ssh/ml-remote.d/gpu.key\n", "mine"),
        ("config", "Host *\n  IdentityFile ~ssh/ml-remote.d/gpu.key.pub\n", "~ssh/config"),
        ("config", "Host my\n  IdentityFile ~ssh/ml-remote.d/%n.key\n", "my"),
        ("ml-remote.d/two.conf", "Host a b\n  IdentityFile ~ssh/ml-remote.d/gpu.key\n", "a b"),
        ("config", "Host a\n  IdentityFile ~ssh/gpu.key\n  IdentityFile ~nosuch/%h\n", ""),
    ],
    ids=["a host", "all hosts", "a token", "an entry that was changed", "nobody"],
)
@pytest.mark.usefixtures("inside")
def test_key_that_somebody_uses_is_kept(
    laptop: Laptop,
    capsys: pytest.CaptureFixture[str],
    file: str,
    text: str,
    user: str,
) -> None:
    assert cli.main(CONNECT) == 0
    key = laptop.make_key("ml-remote.d/gpu.key")
    with (laptop.ssh / file).open("a") as config:
        config.write(text.replace("~ssh", str(laptop.ssh)))
    assert cli.main(["disconnect", "--yes", "--remove-key"]) == 0
    assert key.exists() is bool(user)
    said = f"is kept: it is also used by {user.replace('~ssh', str(laptop.ssh))}."
    assert (said in capsys.readouterr().err) is bool(user)


@pytest.mark.usefixtures("inside")
def test_host_key_is_not_pinned_for_an_alias_that_is_taken(
    laptop: Laptop,
    server: OpenSSHServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    laptop.config.write_text("Host gpu\n  HostName own.example\n" + laptop.config.read_text())
    assert cli.main(["connect", server.address, "--yes"]) == 1
    assert "gpu is already in" in capsys.readouterr().err
    assert not laptop.known_hosts.exists() or laptop.known_hosts.read_text() == ""
    assert server.logins == 0


@pytest.mark.slow
def test_killed_command_leaves_no_copy_of_the_configuration(
    project: Path, laptop: Laptop, tmp_path: Path
) -> None:
    laptop.config.write_text("Host secret\n  HostName secret.example.com\n")
    copies = tmp_path / "temporary"
    programs = tmp_path / "programs"
    for folder in (copies, programs):
        folder.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/started\nexec sleep 20\n")
    ssh.chmod(0o755)
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(copies)}
    with subprocess.Popen(
        [sys.executable, "-m", "ml_remote", *CONNECT],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        wait_until(lambda: list(copies.glob("lab-ssh-*/*/config")))
        command.kill()
    for process in (tmp_path / "started").read_text().split():
        os.kill(int(process), signal.SIGKILL)
    wait_until(lambda: not list(copies.glob("lab-ssh-*")))


@pytest.mark.usefixtures("inside")
def test_directory_on_a_file_system_without_locks_is_written(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert cli.main(CONNECT) == 0
    assert is_written(laptop)
