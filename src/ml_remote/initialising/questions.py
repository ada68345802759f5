"""What `lab init` cannot find out itself: from options, or else by questions at a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..ssh.address import parse_destination, validate_alias
from ..ui.console import Console
from .repository import Repository

__all__ = ["Answers", "ask_machine", "ask_package"]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers on the command line; None means that it is asked for."""

    alias: str | None = None
    address: str | None = None
    folder: str | None = None
    package: str | None = None
    yes: bool = False


def ask_machine(found: Repository, answers: Answers, console: Console) -> tuple[str, str]:
    """Return the alias and the address of the machine. Raises UsageError."""
    has_terminal = console.has_terminal()
    address = answers.address
    if address is None and answers.alias is None and has_terminal:
        address = console.ask("The machine, as you type it after ssh (- to decide later)")
    address = "" if address in (None, "-") else address
    if address:
        parse_destination(address)
    alias = answers.alias
    if alias is None and has_terminal:
        question = "SSH alias for the machine: the short name that ssh and VS Code know it by"
        alias = console.ask(question, default=found.usual_alias)
    if alias is None:
        raise UsageError(
            "An SSH alias for the machine is needed, but there is no terminal to ask in.",
            hint="lab init --alias NAME --address USER@HOST",
        )
    return validate_alias(alias), address


def ask_package(found: Repository, answers: Answers, console: Console) -> str | None:
    """Return the package in src/ that programs import, None for none. Raises UsageError."""
    given, packages = answers.package, found.packages
    if given is None and len(packages) > 1:
        if answers.yes or not console.has_terminal():
            console.note(
                "src/ has several packages, and lab.toml names none. To name one: --package NAME"
            )
            return None
        given = console.ask(f"The package that programs import ({', '.join(packages)}; - for none)")
    if given is None:
        return packages[0] if packages else None
    if given == "-":
        return None
    if given not in packages:
        known = ", ".join(packages) or "none"
        raise UsageError(f"There is no package {given!r} in src/. Its packages: {known}.")
    return given
