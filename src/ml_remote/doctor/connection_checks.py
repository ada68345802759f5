"""The checks of `lab doctor` on the way from this computer to the machine: name, port, login."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping

from ..errors import (
    HostKeyChangedError,
    HostKeyUnknownError,
    InteractiveGatewayError,
    InteractiveLoginError,
    LabError,
)
from ..far.exit_codes import ExitCode
from ..login.logins import Login, log_in
from ..project import Project
from ..ssh.client import Client
from ..ssh.config_query import has_commands
from ..ssh.explaining import explain
from ..ssh.shared_connection import open_shared
from ..ssh.waiting import told_of_waiting
from .findings import Finding, failed, ok, skipped, unknown
from .machine_checks import examine_machine

__all__ = [
    "check_address",
    "check_factor",
    "check_login",
    "check_name",
    "check_port",
    "check_shared_login",
    "examine_connection",
]

_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
"""What this computer says where no network leads to the machine, whether that is on or not."""
_NETWORK = "Join the network or VPN that leads to it"
_SERVER = "Check that the machine is on and its SSH server runs: sudo systemctl status ssh"


def examine_connection(
    client: Client, resolved: Mapping[str, list[str]], project: Project
) -> Iterator[Finding]:
    """Check the way from this computer to the machine, and the machine itself."""
    name, port = check_address(client, resolved)
    yield name
    yield port
    if "failed" in (name.state, port.state):
        yield skipped("host key", "no connection")
        yield skipped("login", "no connection")
        return
    try:
        login = log_in(client, alone=True)
    except (HostKeyUnknownError, HostKeyChangedError) as error:
        yield failed("host key", error)
        yield skipped("login", "not tried")
        return
    except LabError as error:
        yield skipped("host key", "no connection")
        yield failed("login", error)
        return
    yield ok("host key", "known and unchanged")
    proof = check_shared_login(client) if login.asks else check_login(login)
    yield proof
    if login.asks:
        yield check_factor(login)
    if proof.state == "ok":
        yield from examine_machine(client, project)


def check_address(client: Client, resolved: Mapping[str, list[str]]) -> tuple[Finding, Finding]:
    """Check that the name can be looked up and the port answers, where ssh connects directly.

    A `Match exec` line may lead there another way, and only the ssh that logs in runs its command.
    """
    with told_of_waiting(client, answered=lambda: False):
        name = check_name(resolved)
        port = skipped("port", "no address") if name.state == "failed" else check_port(resolved)
    if "failed" in (name.state, port.state) and has_commands(client.directory):
        why = "a command in your SSH configuration (Match exec) may lead there another way"
        return skipped("name", why), skipped("port", why)
    return name, port


def check_name(resolved: Mapping[str, list[str]]) -> Finding:
    """Check that the machine's name can be looked up."""
    if _goes_through_another(resolved):
        return skipped("name", "another machine on the way looks it up")
    (host, *_) = resolved["hostname"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Finding(
            name="name",
            state="failed",
            detail=f"{host} cannot be looked up ({error.strerror})",
            remedy="Join the network or VPN that knows it",
        )
    address = found[0][4][0]
    return ok("name", f"{host} is {address}" if address != host else "it is already an address")


def check_port(resolved: Mapping[str, list[str]]) -> Finding:
    """Check that an SSH server answers at the machine's port."""
    if _goes_through_another(resolved):
        return skipped("port", "another machine on the way opens the connection")
    (host, *_), (port, *_) = resolved["hostname"], resolved["port"]
    try:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            banner = connection.recv(255)
    except OSError as error:
        return Finding(
            name="port",
            state="failed",
            detail=f"port {port} of {host} does not answer ({error.strerror or error})",
            remedy=_NETWORK if error.errno in _NO_WAY else _SERVER,
        )
    if not banner.startswith(b"SSH-"):
        return Finding(
            name="port",
            state="failed",
            detail=f"what answers at port {port} of {host} is not an SSH server",
            remedy="lab connect user@address:port --replace",
        )
    said = banner.decode("ascii", "replace").strip()
    # What follows the program's name and version is whatever somebody chose to add.
    return ok("port", f"{port} answers: {said}", quoted=tuple(said.split(" ", 1)[1:]))


def _goes_through_another(resolved: Mapping[str, list[str]]) -> bool:
    return any(resolved.get(word, ["none"]) != ["none"] for word in ("proxyjump", "proxycommand"))


def check_login(login: Login) -> Finding:
    """Check that a separate login, which asks nothing, succeeded."""
    if login.refusal is not None:
        return failed("login", login.refusal)
    way = login.fingerprint or "something other than a key"
    return ok("login", f"without a password, by {way}")


def check_shared_login(client: Client) -> Finding:
    """Check that the shared connection logs in; open it if somebody can be asked."""
    try:
        open_shared(client)
        done = client.prove()
    except InteractiveLoginError as error:
        return unknown("login", str(error), remedy=error.hint)
    except LabError as error:
        return failed("login", error)
    if done.returncode == ExitCode.SSH:
        return failed("login", explain(done.stderr, alias=client.alias, others=done.others))
    return ok("login", "over the shared connection")


def check_factor(login: Login) -> Finding:
    """Report that every login asks a person, as it does on some machines."""
    if isinstance(login.refusal, InteractiveGatewayError):
        return ok("second factor", "a jump host asks for an answer at every login")
    when = "after the key" if login.second_factor else "and accepts no key before that"
    return ok("second factor", f"every login asks for an answer, {when}; so commands share one")
