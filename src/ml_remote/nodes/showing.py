"""`lab node --list` and `lab node --stop`."""

from __future__ import annotations

from .. import jobs
from ..context import Context
from ..next_steps import Known, what_next
from ..ssh.compute_nodes import DEFAULT, alias_of
from .document import about_node, node_document
from .starting import login_node
from .state import find_node, list_nodes

__all__ = ["show_nodes", "stop_node"]


def show_nodes(context: Context, *, alias: str | None, as_json: bool) -> None:
    """Run `lab node --list`. Raises LabError."""
    machine, console = login_node(context, alias), context.console
    nodes = list_nodes(machine)
    if as_json:
        documents = [
            {**node_document(node), "alias": alias_of(machine.alias, node.name)} for node in nodes
        ]
        console.json({"alias": machine.alias, "nodes": documents})
        return
    for node in nodes:
        console.say(f"{alias_of(machine.alias, node.name):<24}{about_node(node)}")
    running = [node for node in nodes if not node.job.is_over]
    if not nodes:
        console.say(f"You have no compute node of {machine.alias} yet.")
    how = "lab node --stop ends it" if running else "To get one: lab node"
    console.next_step(what_next(context, Known(left=how)))


def stop_node(context: Context, *, alias: str | None, name: str | None) -> None:
    """Run `lab node --stop`. Raises LabError."""
    machine, console = login_node(context, alias), context.console
    called = name or DEFAULT
    meant = alias_of(machine.alias, called)
    node = find_node(machine, called)
    if node is None or node.job.is_over:
        console.say(f"This project has no running or waiting job for {meant}.")
    else:
        jobs.stop(machine, node.job.id)
        ended = ", ".join(f"{job.id} ({job.title})" for job in node.within)
        console.say(
            f"Job {node.number} was ended, with everything that ran in it"
            f"{f': {ended}' if ended else ''}."
        )
    console.next_step(what_next(context, after="lab node"))
