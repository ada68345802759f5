"""How commands reach the remote machine, over real connections and through real shells."""

from __future__ import annotations

import shutil
import subprocess

import openssh_server
import pytest
from needs import need_program
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import SHELLS

from ml_remote.errors import LoginRefusedError, RemoteCommandError, UnreachableError
from ml_remote.login.keys import PublicKey, copy_to, parse_public_key
from ml_remote.login.logins import log_in
from ml_remote.ssh.client import Client, quote

AWKWARD = (
    "plain",
    "two words",
    "",
    "it's",
    'say "hi"',
    "$HOME ${HOME} `id` $(id)",
    "back\\slash \\\\ \\n \\' \\",
    "!history !! !$ a!b",
    "; rm -rf / & | < > ( ) { } [ ] * ? ~ # % ^ =",
    "tab\tin it",
    "-n",
    "héllo → 世界 😀",
    "'\\''!'\\",
)


@pytest.mark.parametrize("shell", SHELLS)
def test_quoted_words_reach_every_shell_unchanged(shell: str) -> None:
    found = need_program(shell)
    command = " ".join(quote(word) for word in ("printf", "<%s>", *AWKWARD))
    done = subprocess.run([found, "-c", command], capture_output=True, text=True)
    assert done.stdout == "".join(f"<{word}>" for word in AWKWARD), done.stderr


def test_word_with_a_line_break_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="line break"):
        quote("one\ntwo")


@pytest.mark.slow
def test_commands_and_scripts_work_in_every_login_shell(other_shell: Client) -> None:
    done = other_shell.run("printf", "<%s>", *AWKWARD)
    assert done.stdout == "".join(f"<{word}>" for word in AWKWARD)
    script = 'cat\nfor word in "$@"; do\n  printf \'<%s>\' "$word"\ndone'
    many = (*AWKWARD, "one\ntwo")
    assert other_shell.run_script(script, *many).stdout == "".join(f"<{word}>" for word in many)


@pytest.mark.slow
def test_key_is_copied_in_every_login_shell(other_shell: Client, laptop: Laptop) -> None:
    public = parse_public_key(laptop.make_key("new").with_suffix(".pub").read_text())
    assert public is not None
    assert copy_to(other_shell, public) == "added"
    assert copy_to(other_shell, public) == "present"
    kept = other_shell.run("cat", ".ssh/authorized_keys").stdout.splitlines()
    assert kept[1:] == [public.line]


AUTHORIZED_KEYS = {
    "missing": (None, "added", "{key}\n"),
    "empty": ("", "added", "{key}\n"),
    "another key": ("{other}\n", "added", "{other}\n{key}\n"),
    "no final newline": ("{other}", "added", "{other}\n{key}\n"),
    "commented out": ("# {key}\n", "added", "# {key}\n{key}\n"),
    "there already": ("{key}\n", "present", "{key}\n"),
    "there, no final newline": ("{key}", "present", "{key}"),
    "there with options": (
        'from="10.*" {key} old comment\n{other}',
        "restricted",
        'from="10.*" {key} old comment\n{other}',
    ),
    "CRLF": ("{other}\r\n", "added", "{other}\r\n{key}\n"),
}
"""The file before a key is copied, what is answered, and the file afterwards."""


@pytest.mark.slow
@pytest.mark.usefixtures("told_password")
def test_authorized_keys_keeps_its_lines(machine: Client, server: OpenSSHServer) -> None:
    key = PublicKey(type="ssh-ed25519", blob="AAAAC3NzaC1lZDI1NTE5AAAAIA+/key=", comment="a b")
    names = {"key": f"{key.type} {key.blob} a-b", "other": "ssh-ed25519 AAAAother me"}
    keys = server.account.authorized_keys
    for name, (before, answer, after) in AUTHORIZED_KEYS.items():
        if before is None:
            shutil.rmtree(keys.parent)
        else:
            # The bytes as they are: Python would translate line endings.
            file = server.account.write(".ssh/authorized_keys", "", mode=0o664)
            file.write_bytes(before.format_map(names).encode())
            keys.parent.chmod(0o777)
        assert copy_to(machine, key) == answer, name
        assert keys.read_bytes() == after.format_map(names).encode(), name
        assert keys.stat().st_mode & 0o777 == 0o600, name
        assert keys.parent.stat().st_mode & 0o777 == 0o700, name


@pytest.mark.slow
def test_commands_share_one_connection_until_it_is_closed(
    machine: Client, laptop: Laptop, server: OpenSSHServer
) -> None:
    for _ in range(3):
        machine.run("true")
    assert server.logins == 1
    machine.close()
    assert not [path for path in laptop.ssh.iterdir() if path.is_socket()]
    machine.run("true")
    assert server.logins == 2


def test_failing_remote_command_is_told_apart_from_a_failing_connection(machine: Client) -> None:
    with pytest.raises(RemoteCommandError, match="exit code 3: oops"):
        machine.run("sh", "-c", "echo oops >&2; exit 3")
    assert machine.run("sh", "-c", "exit 3", check=False).returncode == 3
    with pytest.raises(UnreachableError, match="within 1 seconds"):
        machine.run("sleep", "60", timeout=1)
    with pytest.raises(LoginRefusedError):
        machine.with_options("ControlPath=none", "PubkeyAuthentication=no").run("true")


def test_alias_that_looks_like_an_option_is_no_option(laptop: Laptop) -> None:
    canary = laptop.home / "canary"
    with pytest.raises(UnreachableError):
        Client(alias=f"-oProxyCommand=touch {canary}", directory=laptop.ssh).run("true")
    assert not canary.exists()


def test_login_names_the_key_that_was_let_in(machine: Client, laptop: Laptop) -> None:
    login = log_in(machine)
    printed = openssh_server.run("ssh-keygen", "-lf", str(laptop.ssh / "id_ed25519.pub"))
    assert login.succeeded
    assert login.fingerprint == printed.split()[1]
