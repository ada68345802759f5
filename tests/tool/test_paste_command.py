"""The command to type on the other machine, typed into real shells beside a real server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, BakedProject
from needs import need_program
from openssh_server import OpenSSHServer

from ml_remote.login.paste_command import ADDRESS_COMMAND
from ml_remote.ssh.address import parse_destination

SHELLS = ("sh", "bash", "zsh", "fish", "tcsh")


def type_in(shell: str, command: str) -> subprocess.CompletedProcess[str]:
    """Type the command into an interactive shell, as a person would, and return what came of it."""
    return subprocess.run(
        [need_program(shell)], input=f"{command}\n", capture_output=True, text=True
    )


def ssh_folder(folder: Path, server: OpenSSHServer) -> str:
    """Write what the server's machine has in /etc/ssh, and return the command for it."""
    shutil.copy(f"{server.host_key}.pub", folder / "ssh_host_ed25519_key.pub")
    (folder / "sshd_config").write_text("#Port 22\nPasswordAuthentication no\n")
    (folder / "sshd_config.d").mkdir()
    (folder / "sshd_config.d" / "port.conf").write_text(f"Port {server.port}\n")
    return ADDRESS_COMMAND.replace("/etc/ssh", str(folder))


@pytest.mark.parametrize("shell", SHELLS)
def test_command_prints_what_an_address_is_made_of(
    shell: str, server: OpenSSHServer, tmp_path: Path
) -> None:
    done = type_in(shell, ssh_folder(tmp_path, server))
    user, addresses, port, fingerprint = done.stdout.splitlines()
    assert user == subprocess.check_output(["id", "-un"], text=True).strip()
    assert port == f"Port {server.port}"
    assert server.fingerprint in fingerprint
    answer = parse_destination(f"{user}@{addresses.split()[0]}:{port.split()[1]}")
    assert answer.port == server.port
    assert answer.host == addresses.split()[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_command_says_where_no_server_is_installed(shell: str, tmp_path: Path) -> None:
    done = type_in(shell, ADDRESS_COMMAND.replace("/etc/ssh", str(tmp_path)))
    assert "SHA256:" not in done.stdout
    assert done.stderr


def test_command_is_short_and_every_shell_leaves_it_alone() -> None:
    assert "\n" not in ADDRESS_COMMAND
    assert len(ADDRESS_COMMAND) < 120
    assert ADDRESS_COMMAND.isascii()
    assert not set("\\!$`") & set(ADDRESS_COMMAND)


def test_readme_shows_the_command_before_the_first_question(default_project: BakedProject) -> None:
    template = (TEMPLATE_ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{ADDRESS_COMMAND}\n" in template
    assert template.index(ADDRESS_COMMAND) < template.index("\nuvx cookiecutter")
    assert f"\n{ADDRESS_COMMAND}\n" in default_project.read("README.md")
