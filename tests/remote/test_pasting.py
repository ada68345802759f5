"""The line to paste on the other machine, pasted into real shells beside a real server."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("shell", SHELLS)
def test_line_answers_with_the_address_of_the_session(shell: str, server: OpenSSHServer) -> None:
    connection = f"10.9.8.7 50000 127.0.0.1 {server.port}"
    done = paste(shell, paste_line(), SSH_CONNECTION=connection)
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    assert done.stdout.strip() == f"{user}@127.0.0.1:{server.port}"
    assert parse_destination(done.stdout.strip()).port == server.port
    assert server.fingerprint in done.stderr


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_line_finds_the_port_in_the_servers_configuration(
    shell: str, server: OpenSSHServer, tmp_path: Path
) -> None:
    (tmp_path / "sshd_config").write_text("#Port 22\nPasswordAuthentication no\n")
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config.d" / "port.conf").write_text(f"Port {server.port}\n")
    line = paste_line().replace("/etc/ssh/sshd_config", f"{tmp_path}/sshd_config")
    done = paste(shell, line)
    assert done.returncode == 0, done.stderr
    destination = parse_destination(done.stdout.strip())
    assert destination.port == server.port
    assert destination.host not in ("", "127.0.0.1")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_line_says_how_to_start_a_server_where_none_runs(shell: str) -> None:
    done = paste(shell, paste_line(), SSH_CONNECTION="10.9.8.7 50000 127.0.0.1 1")
    assert done.stdout.strip() == ""
    assert "No SSH server answers here on port 1" in done.stderr
    assert "sudo" in done.stderr


def test_line_is_one_line_that_every_shell_leaves_alone() -> None:
    line = paste_line()
    assert "\n" not in line
    assert line.isascii()
    assert line.count("'") == 2
    assert not set("\\!") & set(line)


def test_readme_shows_the_line_before_the_first_question(default_project: BakedProject) -> None:
    template = (TEMPLATE_ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{paste_line()}\n" in template
    assert template.index(paste_line()) < template.index("\nuvx cookiecutter")
    assert f"\n{paste_line()}\n" in default_project.read("README.md")
