"""Machines where every login asks a person: for a code after the key, or instead of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InteractiveGatewayError
from ..ssh.client import Client
from ..ssh.entry import ASKED_PERSIST
from ..ui.console import Console
from .logins import Login, log_in

__all__ = ["check_gateway", "say_it_asks", "say_it_is_open"]


def check_gateway(client: Client, console: Console) -> None:
    """Raise InteractiveGatewayError where a jump host asks: it would for each of our logins."""
    if not console.has_terminal() or not _goes_through_another(client.resolve()):
        return
    refusal = log_in(client, alone=True).refusal
    if isinstance(refusal, InteractiveGatewayError):
        raise refusal


def say_it_asks(login: Login, console: Console, *, alias: str, is_key_named: bool) -> None:
    """Report that every login asks, and what that means for keys."""
    if login.second_factor:
        console.note(f"{alias} accepts the key but also asks for a second factor, at every login.")
        return
    console.note(
        f"{alias} asks for a password or code at every login, and accepts no key before that. So "
        "no key is made or copied."
    )
    if is_key_named:
        console.warn("--identity and --key-type have no effect on it.")


def say_it_is_open(console: Console, *, alias: str) -> None:
    """Report that the connection is open, and for how long."""
    hours = ASKED_PERSIST.removesuffix("h")
    console.say(
        f"Connected to {alias}. It asks at every login, so lab, git and VS Code share this "
        f"connection until it has been unused for {hours} hours or the network is lost."
    )


def _goes_through_another(resolved: Mapping[str, Sequence[str]]) -> bool:
    return any(resolved.get(word, ["none"]) != ["none"] for word in ("proxyjump", "proxycommand"))
