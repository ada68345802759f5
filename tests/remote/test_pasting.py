"""The line to paste on the other machine, pasted into real shells beside a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, BakedProject
from needs import need_program
from openssh_server import OpenSSHServer

from ml_remote.login.pasting import paste_line
from ml_remote.ssh.address import parse_destination

SHELLS = ("sh", "bash", "zsh", "fish", "tcsh")


def paste(shell: str, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Type the line into an interactive shell, as a person would, and return what came of it."""
    found = need_program(shell)
    environment = {name: value for name, value in os.environ.items() if name[:4] != "SSH_"}
    return subprocess.run(
        [found],
        input=f"{line}\n",
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def ssh_folder(folder: Path, server: OpenSSHServer) -> str:
    """Lay out what the server's machine has in /etc/ssh, and return the line for it."""
    shutil.copy(f"{server.host_key}.pub", folder / "ssh_host_ed25519_key.pub")
    (folder / "sshd_config").write_text("#Port 22\nPasswordAuthentication no\n")
    (folder / "sshd_config.d").mkdir()
    (folder / "sshd_config.d" / "port.conf").write_text(f"Port {server.port}\n")
    return paste_line().replace("/etc/ssh", str(folder))


@pytest.mark.parametrize("shell", SHELLS)
def test_line_answers_with_the_address_of_the_session(
    shell: str, server: OpenSSHServer, tmp_path: Path
) -> None:
    connection = f"10.9.8.7 50000 127.0.0.1 {server.port}"
    done = paste(shell, ssh_folder(tmp_path, server), SSH_CONNECTION=connection)
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    assert done.stdout.strip() == f"{user}@127.0.0.1:{server.port}"
    assert parse_destination(done.stdout.strip()).port == server.port
    assert server.fingerprint in done.stderr


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_line_finds_the_port_in_the_servers_configuration(
    shell: str, server: OpenSSHServer, tmp_path: Path
) -> None:
    done = paste(shell, ssh_folder(tmp_path, server))
    assert done.returncode == 0, done.stderr
    destination = parse_destination(done.stdout.strip())
    assert destination.port == server.port
    assert destination.host not in ("", "127.0.0.1")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_line_says_where_no_server_is_installed(shell: str, tmp_path: Path) -> None:
    done = paste(shell, paste_line().replace("/etc/ssh", str(tmp_path)))
    assert "No SSH server is installed here" in done.stderr


def test_line_answers_an_ipv6_session_with_an_address_that_connect_takes(
    server: OpenSSHServer, tmp_path: Path
) -> None:
    line = ssh_folder(tmp_path, server)
    done = paste("sh", line, SSH_CONNECTION="2001:db8::2 50000 2001:db8::1 22")
    assert parse_destination(done.stdout.strip()).host == "2001:db8::1"


def test_line_is_one_line_that_every_shell_leaves_alone() -> None:
    line = paste_line()
    assert "\n" not in line
    assert len(line) < 340
    assert line.isascii()
    assert line.count("'") == 2
    assert not set("\\!") & set(line)


def test_readme_shows_the_line_before_the_first_question(default_project: BakedProject) -> None:
    template = (TEMPLATE_ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{paste_line()}\n" in template
    assert template.index(paste_line()) < template.index("\nuvx cookiecutter")
    assert f"\n{paste_line()}\n" in default_project.read("README.md")
