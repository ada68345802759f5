"""`lab doctor`: each check with a situation in which it fails, and what its report gives away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import openssh_server
import pytest
from baking import BakedProject
from needs import IS_ROOT, need_program, need_root
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import Lab, that_sends

from ml_remote.context import Context
from ml_remote.doctor import checks
from ml_remote.doctor.checks import examine
from ml_remote.doctor.connection_checks import check_address, check_port
from ml_remote.doctor.findings import Finding
from ml_remote.errors import ConfigurationError
from ml_remote.login.connecting import connect
from ml_remote.login.entries import write_entry
from ml_remote.project import Project
from ml_remote.ssh.client import Client

ALIAS = "handwriting-lab"
CONTEXT = Context(project=Project(root=Path("/nowhere")))
CHECKS = [
    "ssh", "git here", "disk here", "editor", "permissions", "include", "entry", "key", "agent",
    "repository", "connection", "name", "port", "host key", "login", "shell", "sftp", "folder",
    "environment", "data", "programs", "slurm", "prepare", "cache", "python", "git", "rsync",
    "tools", "disk", "quota", "writing", "temporary", "clock", "logout",
]  # fmt: skip
"""Where everything can be checked, in this order."""


@pytest.fixture
def key(laptop: Laptop, server: OpenSSHServer) -> Path:
    """Return a key that the machine lets in, under the name that ssh looks for."""
    made = laptop.make_key("id_ed25519")
    server.account.authorize(made.with_suffix(".pub").read_text())
    return made


@pytest.fixture
def connected(
    laptop: Laptop,
    server: OpenSSHServer,
    key: Path,
    default_project: BakedProject,
) -> Laptop:
    """Return a laptop that is connected to the server."""
    laptop.pin_host_key(server)
    context = Context(project=Project(root=default_project.path))
    connect(context, server.address, alias=ALIAS, yes=True)
    return laptop


def findings(laptop: Laptop) -> dict[str, Finding]:
    """Examine everything for the smallest project that there is, below the laptop's home."""
    project = Project(root=laptop.home)
    (project.root / "lab.toml").write_text(f'[remote]\nalias = "{ALIAS}"\nfolder = "lab"\n')
    client = Client(alias=ALIAS, directory=laptop.ssh)
    return {finding.name: finding for finding in examine(client, project)}


def found(laptop: Laptop, name: str) -> Finding:
    """Examine everything and return what the check `name` found."""
    return findings(laptop)[name]


def add_line(path: Path, line: str) -> None:
    path.write_text(f"{line}\n{path.read_text()}")


@pytest.mark.slow
def test_after_connect_only_the_project_is_missing(connected: Laptop, lab: Lab) -> None:
    done = lab("doctor", "--json")
    found = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert list(states) == CHECKS
    left = {name: state for name, state in states.items() if state not in ("ok", "skipped")}
    assert left == {"folder": "failed"}, done.stdout
    last = lab("doctor").stdout.splitlines()[-2:]
    passed, skips = (found["counts"][state] for state in ("ok", "skipped"))
    assert last[0] == f"1 of {len(CHECKS)} checks failed: {passed} ok, 1 failed, {skips} skipped."
    assert last[1] == "Next: lab up"


def test_failing_check_names_its_remedy_and_the_exit_code_is_one(lab: Lab, laptop: Laptop) -> None:
    done = lab("doctor")
    assert done.returncode == 1
    assert "failed   entry" in done.stdout
    assert "-> lab connect user@address" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Next: ")


def test_old_ssh_is_told(monkeypatch: pytest.MonkeyPatch, laptop: Laptop) -> None:
    program = laptop.home / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'OpenSSH_7.2p2 Ubuntu-4, OpenSSL 1.0.2g' >&2\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    finding = checks.check_version()
    assert finding.state == "failed"
    assert "too old" in finding.detail


def test_missing_ssh_is_told_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = checks.check_version()
    assert finding.state == "failed"
    assert "not installed" in finding.detail
    assert finding.remedy is not None


@pytest.mark.parametrize("name", [".", "config", "ml-remote.d", f"ml-remote.d/{ALIAS}.conf"])
def test_file_that_others_may_write_to_is_told(laptop: Laptop, name: str) -> None:
    write_entry(CONTEXT, "ada@gpu.example.com", alias=ALIAS, offline=True, yes=True)
    (laptop.ssh / name).chmod(0o777)
    (finding,) = checks.check_permissions(laptop.ssh)
    assert finding.state == "failed"
    assert finding.remedy is not None
    subprocess.run(["sh", "-c", finding.remedy], check=True)
    (finding,) = checks.check_permissions(laptop.ssh)
    assert finding.state == "ok"


@pytest.mark.parametrize("name", ["config", f"ml-remote.d/{ALIAS}.conf"])
def test_file_of_another_user_is_told(laptop: Laptop, name: str) -> None:
    need_root("give a file to another user")
    write_entry(CONTEXT, "ada@gpu.example.com", alias=ALIAS, offline=True, yes=True)
    path = laptop.ssh / name
    os.chown(path, 65534, 65534)
    (finding,) = checks.check_permissions(laptop.ssh)
    assert finding.detail == f"another user owns {path}"
    with pytest.raises(ConfigurationError, match="belongs to another user") as raised:
        Client(alias=ALIAS, directory=laptop.ssh).resolve()
    assert raised.value.hint == finding.remedy == f'sudo chown "$USER" {path}'


def test_missing_directory_is_told(tmp_path: Path) -> None:
    (finding,) = checks.check_permissions(tmp_path / "none")
    assert finding.state == "failed"


@pytest.mark.parametrize("name", [".", "ml-remote.d"])
def test_directory_that_may_not_be_read_is_told(
    laptop: Laptop, default_project: BakedProject, name: str
) -> None:
    write_entry(CONTEXT, "ada@gpu.example.com", alias=ALIAS, offline=True, yes=True)
    place = laptop.ssh / name
    place.chmod(0)
    # Root may read what is forbidden, unless that is taken from it.
    rights = "--bounding-set=-dac_override,-dac_read_search"
    limits = (need_program("setpriv"), rights) if IS_ROOT else ()
    words = f"You may not read the directory {place}."
    said = {}
    for command in ("doctor", "connect", "disconnect", "status"):
        program = (*limits, sys.executable, "-B", "lab.py", command)
        said[command] = default_project.run(*program, check=False)
    place.chmod(0o700)
    for command, done in said.items():
        assert words in done.stdout + done.stderr, (command, done)
    printed = said["doctor"].stdout.splitlines()
    assert f"failed   permissions   {words}" in printed
    assert printed[-1].startswith(f"Next: chmod u+rwx {place}")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["later", "gone"])
def test_include_that_is_not_first_any_more_is_told_and_mended(
    connected: Laptop, where: str
) -> None:
    include, _, rest = connected.config.read_text().partition("\n")
    connected.config.write_text(rest if where == "gone" else f"Host a\n  Port 1\n{include}\n{rest}")
    finding = found(connected, "include")
    assert finding.state == "failed"
    assert finding.remedy == "lab connect --offline"
    write_entry(CONTEXT, None, alias=ALIAS, offline=True, yes=True)
    assert found(connected, "include").state == "ok"


@pytest.mark.slow
def test_entry_that_something_else_overrides_is_told(connected: Laptop) -> None:
    add_line(connected.config, "Port 1")
    finding = found(connected, "entry")
    assert finding.state == "failed"
    assert "port" in finding.detail


@pytest.mark.slow
def test_configuration_that_ssh_cannot_read_is_told_with_its_line(connected: Laptop) -> None:
    add_line(connected.config, "Nonsense yes")
    finding = found(connected, "configuration")
    assert finding.state == "failed"
    assert "line 1" in finding.detail


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["missing", "open to others", "not matching"])
def test_key_that_cannot_be_used_is_told(connected: Laptop, key: Path, fault: str) -> None:
    if fault == "missing":
        key.unlink()
    elif fault == "open to others":
        key.chmod(0o644)
    else:
        other = connected.make_key("other")
        key.with_suffix(".pub").write_text(other.with_suffix(".pub").read_text())
    finding = found(connected, "key")
    assert finding.state == "failed"
    assert finding.remedy is not None


def test_agent_that_offers_too_many_keys_is_told(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_entry(CONTEXT, "ada@127.0.0.1:1", alias=ALIAS, offline=True, yes=True)
    with openssh_server.agent(laptop.home) as variables:
        for number in range(6):
            openssh_server.run("ssh-add", "-q", str(laptop.make_key(f"k{number}")), **variables)
        monkeypatch.setenv("SSH_AUTH_SOCK", variables["SSH_AUTH_SOCK"])
        finding = found(laptop, "agent")
    assert finding.state == "failed"
    assert "6 keys" in finding.detail


@pytest.mark.slow
def test_key_with_a_passphrase_that_no_agent_holds_is_told(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = laptop.make_key("secret", passphrase="open sesame")
    write_entry(CONTEXT, "ada@127.0.0.1:1", alias=ALIAS, identity=str(key), offline=True, yes=True)
    assert found(laptop, "key").state == "ok"
    without = found(laptop, "agent")
    assert (without.state, without.detail) == ("failed", "no agent is running")
    with openssh_server.agent(laptop.home) as variables:
        monkeypatch.setenv("SSH_AUTH_SOCK", variables["SSH_AUTH_SOCK"])
        empty = found(laptop, "agent")
        assert empty.state == "failed"
        assert empty.remedy == f"ssh-add {key}"
        openssh_server.run("ssh-add", "-q", str(key), **laptop.askpass("open sesame"))
        assert found(laptop, "agent").state == "ok"


def test_address_in_a_tracked_file_is_told(
    bake: Callable[..., BakedProject], laptop: Laptop
) -> None:
    project = bake()
    resolved = {"hostname": ["number-cruncher.example.net"]}
    assert checks.check_repository(project.path, resolved).state == "ok"
    (project.path / "notes.md").write_text("ssh ada@number-cruncher.example.net\n")
    assert checks.check_repository(project.path, resolved).state == "ok"  # git does not track it
    project.run("git", "add", "notes.md")
    finding = checks.check_repository(project.path, resolved)
    assert finding.state == "failed"
    assert "notes.md" in finding.detail


def test_name_that_nobody_knows_is_told(laptop: Laptop) -> None:
    write_entry(CONTEXT, "ada@no-such-machine.invalid", alias=ALIAS, offline=True, yes=True)
    assert found(laptop, "name").state == "failed"
    assert found(laptop, "login").state == "skipped"


def test_port_where_nothing_or_something_else_answers_is_told(laptop: Laptop) -> None:
    write_entry(CONTEXT, "ada@127.0.0.1:1", alias=ALIAS, offline=True, yes=True)
    assert found(laptop, "port").state == "failed"
    with that_sends(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        write_entry(
            CONTEXT,
            f"ada@127.0.0.1:{port}",
            alias=ALIAS,
            offline=True,
            yes=True,
            replace_other=True,
        )
        finding = found(laptop, "port")
        assert finding.state == "failed"
        assert "not an SSH server" in finding.detail
        assert found(laptop, "login").state == "skipped"


def test_network_that_does_not_lead_to_the_machine_is_told() -> None:
    # TCP has no way to an address of many; this computer says so without a packet.
    finding = check_port({"hostname": ["224.0.0.1"], "port": ["22"]})
    assert (finding.state, finding.remedy) == ("failed", "Join the network or VPN that leads to it")


def test_port_that_a_command_may_lead_around_is_left_to_the_login(laptop: Laptop) -> None:
    laptop.config.write_text("Match exec true\n    ProxyJump gateway\n")
    client = Client(alias=ALIAS, directory=laptop.ssh)
    findings = check_address(client, {"hostname": ["127.0.0.1"], "port": ["1"]})
    assert [finding.state for finding in findings] == ["skipped", "skipped"]
    assert "(Match exec) may lead there another way" in findings[0].detail


@pytest.mark.slow
def test_host_key_that_is_unknown_or_changed_is_told(
    connected: Laptop, server: OpenSSHServer
) -> None:
    server.stop()
    server.new_host_key()
    server.start()
    changed = found(connected, "host key")
    assert changed.state == "failed"
    assert "another machine" in changed.detail
    connected.known_hosts.unlink()
    unknown = found(connected, "host key")
    assert (unknown.state, unknown.remedy) == ("failed", "lab connect")


@pytest.mark.slow
def test_login_that_is_refused_is_told(connected: Laptop, server: OpenSSHServer) -> None:
    server.account.authorize()
    finding = found(connected, "login")
    assert finding.state == "failed"
    assert "publickey" in finding.detail


@pytest.mark.slow
def test_machine_where_everything_is_wrong_is_told(
    connected: Laptop, server: OpenSSHServer
) -> None:
    """A login shell that prints, and a machine without tools, space, quota or the right time."""
    programs = server.account.home / "bin"
    for name, prints in {
        "df": "Filesystem 1024-blocks Used Available Capacity Mounted on\\n/ 9 8 1048576 90%% /",
        "quota": "Disk quotas for user ada (uid 9):\\n Filesystem\\n/ 900* 800 1000 none 1 0 0",
        "date": str(int(time.time()) + 3600),
    }.items():
        server.account.write(f"bin/{name}", f"#!/bin/sh\nprintf '{prints}\\n'\n", mode=0o755)
    for name in ("sh", "awk", "true"):
        target = subprocess.check_output(["which", name], text=True).strip()
        (programs / name).symlink_to(target)
    server.stop()
    server.start(
        SetEnv=f'"PATH={programs}" "HOME={server.account.home}"',
        ForceCommand='echo Welcome to the cluster; eval "$SSH_ORIGINAL_COMMAND"',
    )
    all_of_them = findings(connected)
    states = {name: all_of_them[name].state for name in ("git", "disk", "quota", "clock", "python")}
    assert states == {
        "git": "failed",
        "disk": "failed",
        "quota": "failed",
        "clock": "failed",
        "python": "warning",
    }
    assert all_of_them["shell"].state == "failed"
    assert "Welcome to the cluster" in all_of_them["shell"].detail
    assert "ahead" in all_of_them["clock"].detail
    assert "1.0 GiB" in all_of_them["disk"].detail


@pytest.mark.slow
def test_copy_gives_nothing_private_away(
    lab: Lab, laptop: Laptop, default_project: BakedProject
) -> None:
    address = "ada.lovelace@gpu-17.secret-lab.example.org:2222"
    jump = "charles@gate.secret-lab.example.org,[2001:db8::7]:2200"
    key = laptop.make_key("my secret key")
    key.chmod(0o644)
    done = lab("connect", address, "--jump", jump, "--identity", str(key), "--offline", "--yes")
    assert done.returncode == 0, done.stderr
    plain, copied = lab("doctor"), lab("doctor", "--copy")
    assert copied.returncode == plain.returncode == 1
    assert len(copied.stdout.splitlines()) == len(plain.stdout.splitlines())
    private = [
        "ada", "lovelace", "gpu-17", "secret", "example.org", "charles", "2001:db8", ALIAS,
        str(laptop.home), laptop.home.name, str(default_project.path), socket.gethostname(),
    ]  # fmt: skip
    text = copied.stdout + copied.stderr
    assert [word for word in private if word in text] == []
    assert any(word in plain.stdout for word in private)


@pytest.mark.slow
def test_copy_leaves_the_text_of_others_out(
    connected: Laptop, server: OpenSSHServer, lab: Lab
) -> None:
    server.stop()
    server.start(ForceCommand='echo "Welcome Ada, your key is x9"; eval "$SSH_ORIGINAL_COMMAND"')
    copied = lab("doctor", "--copy")
    assert "prints <text> at every login" in copied.stdout
    assert "Welcome" not in copied.stdout + copied.stderr
