"""`lab secret`: values that runs, sessions and shells on the machine find as variables.

They are kept there, in `.lab/secrets/`, one file for each that only its owner may read. A value
goes through the standard input of ssh and of the shell there, and is in no argument of a program.
"""

from __future__ import annotations

import sys

from . import answers
from .context import Context
from .errors import LabError, UsageError
from .far.login.masking import SHORTEST
from .next_steps import Known, what_next
from .runs.variable_names import check_name
from .runs.variables import check_value
from .scripts import ExitCode, Explanations, run_script
from .ui.hiding import hide

__all__ = ["list_secrets", "remove_secret", "set_secret"]


def set_secret(context: Context, name: str, *, alias: str | None = None) -> None:
    """Run `lab secret set`. Raises UsageError for an invalid name or value."""
    console = context.console
    check_name(name)
    machine = context.machine(alias)
    value = _typed(context, name)
    hide([value])
    check_value(name, value)
    run_script(machine, "secret", "set", name, value)
    if len(value) < SHORTEST:
        console.warn(
            f"{name} has fewer than {SHORTEST} characters, so it is not masked if a run prints it."
        )
    console.say(f"{name} is stored on {machine.alias}.")
    console.next_step(what_next(context))


def list_secrets(context: Context, *, alias: str | None = None, as_json: bool = False) -> None:
    """Run `lab secret list`: names, and no values."""
    console, machine = context.console, context.machine(alias)
    lines = run_script(machine, "secret", "list").stdout.split("\n")
    names = [line for line in lines if answers.is_a(answers.VARIABLE, line)]
    if as_json:
        console.json({"alias": machine.alias, "secrets": [{"name": name} for name in names]})
        return
    for name in names:
        console.say(name)
    if not names:
        console.say(f"No secrets are stored on {machine.alias}.")
    console.next_step(what_next(context, Known(secrets=len(names))))


def remove_secret(context: Context, name: str, *, alias: str | None = None) -> None:
    """Run `lab secret remove`. Raises LabError when there is no such secret."""
    check_name(name)
    machine = context.machine(alias)
    missing = LabError(
        f"No secret {name} is stored on {machine.alias}.", hint="List them: lab secret list"
    )
    explanations: Explanations = {ExitCode.NO_SECRET: lambda said: missing}
    run_script(machine, "secret", "remove", name, explanations=explanations)
    context.console.say(f"{name} was removed from {machine.alias}.")
    context.console.next_step(what_next(context))


def _typed(context: Context, name: str) -> str:
    """Return the value: typed without being shown, or all of standard input, less its last end."""
    if context.console.has_terminal():
        return context.console.ask_hidden(f"Value of {name}")
    if sys.stdin is None:
        raise UsageError("There is neither a terminal nor any input to read the value from.")
    data = sys.stdin.buffer.read()
    text = data.decode(errors="surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")
