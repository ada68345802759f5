"""Options of the person's own configuration that keep a machine from being used, by real ssh."""

from __future__ import annotations

import pytest
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import Lab

from ml_remote.errors import ConfigurationError, UnreachableError
from ml_remote.ssh.client import Client
from ml_remote.ssh.explaining import explain

NO_COMMANDS = ("SessionType none", "StdinNull yes", "ForkAfterAuthentication yes")
NO_HOST_KEY = (
    "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. "
    "Their offer: ssh-ed25519"
)


def set_for_every_host(laptop: Laptop, *settings: str) -> None:
    lines = "".join(f"  {setting}\n" for setting in settings)
    laptop.config.write_text(f"{laptop.config.read_text()}Host *\n{lines}")


@pytest.mark.parametrize("setting", NO_COMMANDS)
def test_option_that_lets_no_command_run_is_named(laptop: Laptop, lab: Lab, setting: str) -> None:
    laptop.config.write_text("Host handwriting-lab\n  HostName 127.0.0.1\n  Port 1\n")
    set_for_every_host(laptop, setting)
    words = f"Your SSH configuration sets {setting} for handwriting-lab"
    assert words in lab("connect", "--yes").stderr
    assert words in lab("doctor").stdout


@pytest.mark.slow
@pytest.mark.parametrize("setting", NO_COMMANDS)
def test_login_shell_is_not_blamed_for_an_option(
    machine: Client, laptop: Laptop, setting: str
) -> None:
    set_for_every_host(laptop, setting)
    with pytest.raises(ConfigurationError, match=f"sets {setting} for machine"):
        machine.run_script("true", timeout=5)


def test_address_that_an_option_rules_out_is_not_called_unknown(laptop: Laptop) -> None:
    laptop.config.write_text("Host gpu\n  HostName 127.0.0.1\n  Port 1\n")
    set_for_every_host(laptop, "AddressFamily inet6")
    with pytest.raises(ConfigurationError, match=r"AddressFamily in line 5 of .*config rules out"):
        Client(alias="gpu").run("true")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("RevokedHostKeys /nope", "ssh cannot read /nope"),
        ("BindAddress 192.0.2.1", "(BindAddress or BindInterface)"),
        ("PubkeyAcceptedAlgorithms rsa-sha2-512", "turns off keys of the type ssh-ed25519"),
    ],
)
def test_connecting_names_an_option_that_stops_it(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, setting: str, words: str
) -> None:
    laptop.make_key("id_ed25519")
    set_for_every_host(laptop, setting)
    assert words in lab("connect", server.address, "--yes").stderr


@pytest.mark.slow
def test_machine_is_not_called_old_for_what_an_option_rules_out(
    machine: Client, laptop: Laptop, server: OpenSSHServer
) -> None:
    server.stop()
    server.start(Ciphers="aes256-ctr", MACs="hmac-sha2-512")
    plain = laptop.config.read_text()
    for setting in (
        "HostKeyAlgorithms ssh-rsa",
        "KexAlgorithms diffie-hellman-group1-sha1",
        "Ciphers aes128-cbc",
        "MACs hmac-md5",
    ):
        laptop.config.write_text(plain)
        set_for_every_host(laptop, setting)
        keyword = setting.partition(" ")[0]
        with pytest.raises(ConfigurationError, match=f"{keyword} in line .* rules out every"):
            machine.run("true")
        with pytest.raises(ConfigurationError, match=f"{keyword} in line"):
            raise explain(machine.prove().stderr, alias=machine.alias)


@pytest.mark.parametrize(
    ("settings", "is_blamed"),
    [
        ("Host *\n  HostKeyAlgorithms ssh-rsa\n", True),
        ("Host *\n  HostKeyAlgorithms -ssh-ed25519\n", True),
        ("Host *\n  HostKeyAlgorithms +ssh-rsa\n", False),
        ("Host *\n  HostKeyAlgorithms ^ssh-rsa\n", False),
        ("Host other\n  HostKeyAlgorithms ssh-rsa\n", False),
        ("Host *\n  Ciphers aes128-cbc\n", False),
    ],
)
def test_only_an_option_that_rules_something_out_is_blamed(
    laptop: Laptop, settings: str, is_blamed: bool
) -> None:
    laptop.config.write_text(settings)
    error = explain(NO_HOST_KEY, alias="gpu")
    assert type(error) is (ConfigurationError if is_blamed else UnreachableError), error
