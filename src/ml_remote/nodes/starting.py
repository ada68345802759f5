"""`lab node`: submit the job that is a compute node, or find it, and wait until it takes logins."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime

from .. import jobs
from ..context import Context
from ..errors import LabError, UsageError
from ..far_half import ensure_far
from ..jobs.slurm_messages import ending, never_starts, submission_errors, waiting
from ..machine import Machine
from ..next_steps import Known, what_next
from ..node_options import NodeOptions
from ..scripts import absolute_folder, script
from ..signals import interrupt_on_signals
from ..slurm_options import allowed
from ..ssh.client import Client
from ..ssh.compute_nodes import DEFAULT, names_node
from ..ui.console import Console
from .node_alias import ensure_alias
from .reaching import find_route
from .state import Node, left_in_words, list_nodes

__all__ = ["find_in_use", "start_node"]

_FIRST_PAUSE = 1.0  # seconds between two looks at the queue
_LONGEST_PAUSE = 15.0
_OPTIONS = {
    "less time": " --time TIME",
    "another partition": " --partition NAME",
    "what a node of the partition has": " --partition NAME --gpus N",
    "less": " --time TIME --gpus N",
}


def start_node(
    context: Context,
    *,
    alias: str | None,
    name: str | None,
    time_limit: str | None,
    gpus: int | None,
    partition: str | None,
    yes: bool = False,
) -> None:
    """Run `lab node`: return when the alias of the node leads to it.

    Raises LabError, in words, when the alias is taken, Slurm does not take the job, or the job
    ends.
    """
    machine, called = login_node(context, alias), name or DEFAULT
    again = _command(called)
    options = _wanted(context, time_limit=time_limit, gpus=gpus, partition=partition)
    far = ensure_far(machine)
    folder = absolute_folder(machine)
    client = ensure_alias(context, machine, called, folder=folder, yes=yes)
    node = find_in_use(machine, called, context.console)
    if node is not None and (time_limit, gpus, partition) != (None, None, None):
        context.console.note(
            f"Job {node.number} already exists and was not changed. To get another one, end it "
            f"first: {again} --stop"
        )
    try:
        with interrupt_on_signals():
            if node is None:
                _submit(context, machine, called, options, far=far)
            node = _wait(machine, called, context.console, several=options.names_partitions)
            find_route(context, machine, client, node, folder=folder)
    except KeyboardInterrupt:
        _leave_queue(context, machine, called)
        return
    _tell(context, client, node)


def login_node(context: Context, alias: str | None) -> Machine:
    """Return the login node. Raises UsageError for an alias that is a compute node itself."""
    machine = context.machine(alias)
    if names_node(machine.alias):
        raise UsageError(
            f"{machine.alias} is itself a compute node; `lab node` needs the login node.",
            hint="Give the alias of the login node, or no alias",
        )
    return machine


def _command(name: str) -> str:
    return "lab node" if name == DEFAULT else f"lab node --name {name}"


def _wanted(
    context: Context, *, time_limit: str | None, gpus: int | None, partition: str | None
) -> NodeOptions:
    """Return what Slurm is asked for: what was typed comes before [slurm.node]."""
    options = context.project.settings.node
    for sentence in options.ignored:
        context.console.warn(sentence)
    given = {"time": time_limit, "partition": partition}
    for key, value in given.items():
        fault = "" if value is None else allowed(key, value)
        if fault:
            raise UsageError(f"--{key} {value!r} cannot be used: {fault}")
    return replace(
        options,
        time=time_limit or options.time,
        partition=partition or options.partition,
        gpus=options.gpus if gpus is None else gpus,
    )


def _find(machine: Machine, name: str) -> Node | None:
    """Return the node of a name whose job is not over."""
    return next((one for one in list_nodes(machine, name) if not one.job.is_over), None)


def find_in_use(machine: Machine, name: str, console: Console) -> Node | None:
    """Return the node of a name, once a job has ended that nobody used; None when it has none."""
    node = _find(machine, name)
    if node is not None and node.word == "idle":
        console.note(f"Job {node.number} is ending, because it was unused.")
        while node is not None and node.word == "idle":
            time.sleep(_FIRST_PAUSE)
            node = _find(machine, name)
    return node


def _submit(
    context: Context, machine: Machine, name: str, options: NodeOptions, *, far: str
) -> None:
    """Submit the job. Raises LabError when Slurm does not take it."""
    settings = {"FAR": far, "IDLE": f"{options.idle_minutes:g}"}
    command = "".join(f"{key}={shlex.quote(text)}\n" for key, text in settings.items())
    beginning = jobs.JobStart(
        script="start-node",
        runner=f"#!/bin/sh\n{options.lines(name=f'lab-{name}')}\n{script('batch')}",
        explanations=submission_errors(machine.alias),
    )
    about = jobs.About(kind="node", title=name, far=far)
    job = jobs.start(machine, about, command + script("serve-node"), beginning=beginning)
    number = "" if job.slurm is None else f" {job.slurm.id}"
    context.console.note(f"Job{number} of Slurm on {machine.alias}: {options}.")


def _wait(machine: Machine, name: str, console: Console, *, several: bool) -> Node:
    """Return the node once it takes logins, or says why not; tell meanwhile of the queue.

    Raises LabError when its job ends, or can never start. Of a job that may run in `several`
    partitions Slurm says only what keeps it from one of them, so that is no reason to give up.
    """
    said, reason, pause = "", "", _FIRST_PAUSE
    while True:
        node = next(iter(list_nodes(machine, name)), None)
        if node is None or node.job.is_over:
            raise _ended(machine, name, node)
        if node.is_ready or (node.word not in ("", "idle") and node.host):
            return node
        before, reason = reason, "" if node.job.slurm is None else node.job.slurm.reason
        if reason == before and not several:  # what Slurm says first is a guess of its own
            _check_hope(machine, name, node)
        words = _place(node)
        if words and words != said:
            console.note(words)
            said = words
        time.sleep(pause)
        waits = node.job.state == "queued"
        pause = min(_LONGEST_PAUSE, pause * 1.5) if waits else _FIRST_PAUSE


def _check_hope(machine: Machine, name: str, node: Node) -> None:
    """Take a job out of the queue that can never start. Raises LabError then."""
    slurm = node.job.slurm
    what = never_starts(slurm) if slurm is not None and node.job.state == "queued" else ""
    if slurm is None or not what:
        return
    jobs.stop(machine, node.job.id)
    again = _command(name) + _OPTIONS.get(what, "")
    raise LabError(
        f"Job {node.number} can never start, so it was removed from the queue. Slurm's reason: "
        f"{waiting(slurm)}.",
        hint=f"Ask for {what}, in [slurm.node] of lab.toml or as options: {again}",
    )


def _place(node: Node) -> str:
    """Return where the job is in the queue, why, and when it is expected to begin.

    Nothing while Slurm has not looked at it yet.
    """
    if node.job.state != "queued" or node.job.slurm is None or not node.job.slurm.reason:
        return ""
    parts = ["In the queue of Slurm"]
    if node.place is not None:
        parts = [f"Number {node.place[0]} of {node.place[1]} in the queue of Slurm"]
    parts.append(waiting(node.job.slurm))
    if node.begins is not None and node.begins > datetime.now(UTC):
        begins = node.begins.astimezone()
        is_today = begins.date() == datetime.now().astimezone().date()
        parts.append(f"expected to begin at {begins:{'%H:%M' if is_today else '%d %b %H:%M'}}")
    return f"{parts[0]}: {'; '.join(parts[1:])}."


def _ended(machine: Machine, name: str, node: Node | None) -> LabError:
    """Return the error for a job that ended before it accepted logins."""
    again = _command(name)
    if node is None or node.job.slurm is None:
        return LabError(f"The job no longer exists on {machine.alias}.", hint=again)
    why = ending(node.job.slurm)
    return LabError(
        f"Job {node.number} ended before it accepted logins{f': {why}' if why else ''}.",
        hint=f"See its output in .lab/jobs/{node.job.id}/log on {machine.alias}; to try again: "
        f"{again}",
    )


def _leave_queue(context: Context, machine: Machine, name: str) -> None:
    """Ask what is to become of a job for which nobody waits any more."""
    console, node, again = context.console, _find(machine, name), _command(name)
    step = f"To wait for it: {again}"
    if node is None:
        console.say("No job was submitted.")
        step = again
    elif not console.has_terminal():
        console.say(f"Stopped waiting. Job {node.number} was kept. To wait for it: {again}")
    elif console.confirm(_question(node), yes=False, default=False):
        jobs.stop(machine, node.job.id)
        console.say(f"Job {node.number} was ended.")
        step = again
    else:
        console.say(f"Job {node.number} was kept.")
    console.next_step(what_next(context, Known(left=step)))


def _question(node: Node) -> str:
    waits = node.job.state == "queued"
    return f"Remove job {node.number} from the queue?" if waits else f"End job {node.number}?"


def _tell(context: Context, client: Client, node: Node) -> None:
    """Explain how the node is reached, and when it ends."""
    idle = context.project.settings.node.idle_minutes
    console = context.console
    console.say(
        f"{node.host} is available as {client.alias}: job {node.number}, {left_in_words(node)}."
    )
    if idle:
        console.say(f"The job ends after {idle:g} minutes without use.")
    meant = "--node" if node.name == DEFAULT else f"--alias {client.alias}"
    step = f"lab code {meant}, lab shell {meant} or lab jupyter {meant}"
    console.next_step(what_next(context, Known(left=step)))
