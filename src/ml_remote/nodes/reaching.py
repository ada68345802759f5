"""Finding how to reach a compute node: by an sshd in the job, or by the node's own.

Some sites let nobody run an sshd, and some nodes have none. Where pam_slurm_adopt lets in who has a
job there, the node's own SSH server does as well.
"""

from __future__ import annotations

import time

from .. import jobs
from ..context import Context
from ..errors import LabError
from ..machine import Machine
from ..ssh.client import Client
from .node_alias import use_jump, use_proxy
from .state import Node

__all__ = ["find_route"]

_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between two of them
_FAULTS = {
    "no-sshd": "has no sshd that you can run",
    "sshd-fails": "does not let you run an sshd",
    "no-python": "has no Python 3.6 or newer, which the job needs to start an sshd",
}


def find_route(
    context: Context, machine: Machine, client: Client, node: Node, *, folder: str
) -> None:
    """Log in on the node once, in the way that works; the alias leads there from then on.

    Raises LabError when neither works: then the job is ended, for it would be of no use.
    """
    if node.is_ready:
        use_proxy(context, machine, node.name, folder=folder)
        fault = _fault_of_login(client)
        if fault is None:
            return
        why = f"{node.host} runs the job's sshd, but it cannot be reached: {fault.message}"
    else:
        why = f"{node.host} {_FAULTS.get(node.word, 'does not accept logins through the job')}"
        why += f": {node.said}." if node.said else "."
    try:
        use_jump(context, machine, node.name, host=node.host)
        other = _fault_of_login(client)
    except LabError as error:
        other = error
    if other is not None:
        jobs.stop(machine, node.job.id)
        raise LabError(
            f"{why} Its own SSH server refuses you too: {other.message} Job {node.number} was "
            "ended, because it cannot be reached.",
            hint="Ask the cluster's administrators for one of these on compute nodes: an sshd "
            "that users can run, or pam_slurm_adopt, which lets in users with a job there",
        )
    context.console.note(
        f"{why} {client.alias} leads to its own SSH server, through {machine.alias}: the site "
        "lets in users with a job there. Not all of the job's Slurm variables are set in a "
        "login."
    )


def _fault_of_login(client: Client) -> LabError | None:
    """Return why a login of its own fails; None if it works."""
    own = client.with_options("ControlPath=none")
    for attempt in range(_ATTEMPTS):
        try:
            own.run_script(":", timeout=60)
        except LabError as error:
            if attempt == _ATTEMPTS - 1:
                return error
            time.sleep(_PAUSE)
        else:
            return None
    return None
