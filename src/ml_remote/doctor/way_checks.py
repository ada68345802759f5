"""The checks of `lab doctor` on the way from this computer to the machine: name, port, login."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from ..errors import HostKeyChangedError, HostKeyUnknownError, LabError
from ..login.logins import Login, log_in
from ..project import Project
from ..ssh.client import Client
from .findings import Finding, failed, ok, skipped
from .machine_checks import examine_machine

__all__ = ["check_login", "check_name", "check_port", "examine_way"]


def examine_way(
    client: Client, resolved: Mapping[str, list[str]], project: Project
) -> Iterator[Finding]:
    """Yield what lies between here and the machine, and on the machine itself."""
    name = check_name(resolved)
    yield name
    port = skipped("port", "no address") if name.state == "failed" else check_port(resolved)
    yield port
    if "failed" in (name.state, port.state):
        yield skipped("host key", "no connection")
        yield skipped("login", "no connection")
        return
    try:
        login = log_in(client)
    except (HostKeyUnknownError, HostKeyChangedError) as error:
        yield failed("host key", error)
        yield skipped("login", "not tried")
        return
    except LabError as error:
        yield skipped("host key", "no connection")
        yield failed("login", error)
        return
    yield ok("host key", "known and unchanged")
    yield check_login(login)
    if login.succeeded:
        yield from examine_machine(client, project)


def check_name(resolved: Mapping[str, list[str]]) -> Finding:
    """Whether the machine's name can be looked up."""
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
    return ok("name", f"{host} is {address}" if address != host else "an address already")


def check_port(resolved: Mapping[str, list[str]]) -> Finding:
    """Whether an SSH server answers at the machine's port."""
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
            remedy="See that the machine is on and its SSH server runs: sudo systemctl status ssh",
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
    """Whether a login of its own, asking nothing, succeeded."""
    if login.refusal is not None:
        return failed("login", login.refusal)
    return ok("login", f"without a password, by {login.fingerprint or 'something else than a key'}")
