"""The addresses at which the hosts of a run reach each other.

A host may have several addresses, and the one that the laptop uses may be of no use to the others:
a jump host, a forwarded port or a VPN may be in between. So all of them are tried, from every host
to every other, by the far half's `reachable`.
"""

from __future__ import annotations

import ipaddress
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ... import answers
from ...errors import LabError, RemoteCommandError, UsageError
from ...far_half import ensure_far
from ...machine import Machine
from ...parsing import parse_json
from ...processes import MOST_OUTPUT, Running, running
from ...scripts import ExitCode, failure, script
from ...ssh.client import SCRIPT_COMMAND, script_input
from ...ssh.ssh_log import SshLog, ssh_log
from ...ui.console import Console

__all__ = ["Host", "find_hosts", "parse_network"]

_PATIENCE = 180.0  # seconds; a cold disk takes its time to load torch
_MARK = "reachable "
_MOST_ADDRESSES = 100


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host, and how the others reach it."""

    machine: Machine
    address: str
    interface: str
    """The network interface that has this address."""
    port: int
    """A port that the others could reach there."""


def parse_network(text: str | None) -> ipaddress.IPv4Network | None:
    """Return the network such as `10.0.0.0/24`. Raises UsageError."""
    if text is None:
        return None
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a network: {error}.", hint="Give it like --network 10.0.0.0/24"
        ) from None


def find_hosts(
    machines: Sequence[Machine],
    *,
    console: Console,
    network: ipaddress.IPv4Network | None = None,
) -> list[Host]:
    """Return how the hosts reach each other, rank 0's host first; only by `network`, if given.

    Warns of versions of torch that differ. Raises LabError when one does not reach another.
    """
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=len(machines)) as pool:
        helpers = [stack.enter_context(_helper(machine)) for machine in machines]
        facts = [_facts(answer) for answer in pool.map(_Helper.read, helpers)]
        _compare_versions(console, machines, facts)
        offers = [
            {
                "addresses": _usable(machine, fact, network),
                "port": fact["port"],
                "token": fact["token"],
            }
            for machine, fact in zip(machines, facts, strict=True)
        ]
        for helper in helpers:
            others = {
                machine.alias: offer
                for machine, offer in zip(machines, offers, strict=True)
                if machine is not helper.machine
            }
            helper.tell(others)
        reached = [_reached(answer, machines) for answer in pool.map(_Helper.read, helpers)]
    reports = {machine.alias: one for machine, one in zip(machines, reached, strict=True)}
    hosts = []
    for machine, fact, offer in zip(machines, facts, offers, strict=True):
        address = _common(machine, offer["addresses"], reports)
        interface = fact["addresses"][address]
        hosts.append(Host(machine=machine, address=address, interface=interface, port=fact["port"]))
    _check_apart(hosts)
    # torch gives the ranks in the order of the addresses, as texts.
    return sorted(hosts, key=lambda host: host.address)


class _Helper:
    """The far half's `reachable` on one host; it ends with the connection."""

    def __init__(self, machine: Machine, program: Running, own: SshLog) -> None:
        self.machine = machine
        self._program = program
        self._own = own
        self._lines = program.lines()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Write a line to it; should it be gone, the next read says so."""
        self._program.send(f"{json.dumps(message)}\n")

    def read(self) -> dict[str, Any]:
        """Return what it says next. Raises LabError when it has ended."""
        size = 0
        for line in self._lines:
            size += len(line) + 1
            if size > MOST_OUTPUT:
                self._program.end_as_too_much()
            if line.startswith(_MARK):
                return _parsed(line.removeprefix(_MARK))
        code = self._program.wait()
        said = self._own.said(self._program.errors(), code)
        if code == ExitCode.SSH:
            raise failure(code, said, machine=self.machine)
        last = said.splitlines()[-1:] or ["it gave no reason"]
        raise RemoteCommandError(
            f"{self.machine.alias} did not report its addresses: {last[0]}",
            hint="Try again; if torch itself is broken: lab setup",
        )


def _parsed(text: str) -> dict[str, Any]:
    """Return an object of JSON. Raises UnusableAnswerError."""
    try:
        answer = parse_json(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise answers.unusable("list of addresses", text)
    return answer


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a host says of itself. Raises UnusableAnswerError for what cannot be so."""
    known = answer.get("addresses")
    if not isinstance(known, dict) or len(known) > _MOST_ADDRESSES:
        raise answers.unusable("list of addresses", known)
    return {
        "torch": answers.checked(answers.VERSION, answer.get("torch")),
        "port": answers.number(answer.get("port"), least=1, most=65535),
        "token": answers.checked(answers.TOKEN, answer.get("token")),
        "addresses": {
            answers.address(address): answers.checked(answers.INTERFACE, interface)
            for address, interface in known.items()
        },
    }


def _reached(answer: Mapping[str, Any], machines: Sequence[Machine]) -> dict[str, list[str]]:
    """Return at which addresses a host reached which other. Raises UnusableAnswerError."""
    known = answer.get("reached")
    if not isinstance(known, dict):
        raise answers.unusable("list of addresses", known)
    reached = {machine.alias: known.get(machine.alias, []) for machine in machines}
    for addresses in reached.values():
        if not isinstance(addresses, list):
            raise answers.unusable("list of addresses", addresses)
    return {alias: list(map(answers.address, addresses)) for alias, addresses in reached.items()}


@contextmanager
def _helper(machine: Machine) -> Iterator[_Helper]:
    """Run it for as long as the context lasts, but not for ever."""
    client = machine.client.with_options("BatchMode=yes")
    lines = script_input(
        script("reachable"), machine.folder, ensure_far(machine), before="exec 3<&0"
    )
    with (
        ssh_log(client.proxy_error) as own,
        running(client.command(*SCRIPT_COMMAND, flags=own.flags)) as program,
    ):
        program.send(lines)  # its input is the laptop's, not empty
        alarm = threading.Timer(_PATIENCE, program.kill)
        alarm.daemon = True
        alarm.start()
        try:
            yield _Helper(machine, program, own)
        finally:
            alarm.cancel()


def _compare_versions(
    console: Console, machines: Sequence[Machine], facts: Sequence[Mapping[str, Any]]
) -> None:
    versions = {machine.alias: fact["torch"] for machine, fact in zip(machines, facts, strict=True)}
    # Builds for another CUDA work together; other releases may not.
    if len({version.partition("+")[0] for version in versions.values()}) > 1:
        said = ", ".join(f"{version} on {alias}" for alias, version in versions.items())
        console.warn(f"The versions of torch differ, which may cause failures: {said}.")


def _usable(
    machine: Machine, fact: Mapping[str, Any], network: ipaddress.IPv4Network | None
) -> list[str]:
    """Return the addresses of a host that the others may try."""
    known: list[str] = list(fact["addresses"])
    usable = [one for one in known if network is None or ipaddress.IPv4Address(one) in network]
    if not usable:
        where = "" if network is None else f" in {network}"
        raise LabError(
            f"{machine.alias} has no IPv4 address{where} that others could reach. "
            f"It has: {', '.join(known) or 'none'}.",
            hint="Name a network that all hosts are in: --network 10.0.0.0/24",
        )
    return usable


def _common(
    machine: Machine, addresses: Sequence[str], reports: Mapping[str, Mapping[str, Sequence[str]]]
) -> str:
    """Return the first address at which all others reach the host. Raises LabError."""
    others = {alias: report for alias, report in reports.items() if alias != machine.alias}
    for address in addresses:
        if all(address in report[machine.alias] for report in others.values()):
            return address
    deaf = [alias for alias, report in others.items() if not report[machine.alias]]
    who = ", ".join(deaf or others)
    raise LabError(
        f"{who} cannot connect to {machine.alias} at {' or '.join(addresses)}: there is a "
        "firewall between them, or they are in different networks.",
        hint="Let these hosts connect to each other on all TCP ports above 1023; for the ports "
        "that are used, see docs/security.md of the template",
    )


def _check_apart(hosts: Sequence[Host]) -> None:
    for index, host in enumerate(hosts):
        for other in hosts[:index]:
            if other.address == host.address:
                raise UsageError(
                    f"{other.machine.alias} and {host.machine.alias} are the same machine.",
                    hint="Name it once; for more processes there: --nproc-per-node",
                )
