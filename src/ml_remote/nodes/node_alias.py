"""The alias of a compute node: an SSH entry that names no node, and so is written once.

Its ProxyCommand asks the login node for the job that runs, and leads to the sshd in it. That sshd
has a host key of its own, which came over the connection to the login node, and takes a key of its
own, which is of no use anywhere else. Where no sshd can be run in a job, the entry names the node
that the job got, whose own SSH server lets in who has a job there (pam_slurm_adopt).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from .. import answers
from ..context import Context
from ..errors import AliasTakenError, DamagedEntryError, LabError
from ..files import Change, apply_changes, exclusive, read_bytes
from ..login.entries import agree, write_plan
from ..login.keys import KEY_TYPES, can_make, create_key, parse_public_key, public_path, read_key
from ..machine import Machine
from ..scripts import ExitCode, run_script, script
from ..ssh.address import Destination
from ..ssh.client import Client, quote
from ..ssh.compute_nodes import alias_of
from ..ssh.configuration import expanded
from ..ssh.entry import Entry
from ..ssh.ssh_config import plan_connect, read_entry
from ..ssh.ssh_directory import (
    default_keys_for,
    is_default_directory,
    known_hosts_path,
    made_key_path,
    our_directory,
    ssh_directory,
)

__all__ = ["ensure_alias", "use_jump", "use_proxy"]

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]*")
# What a person may have set for every command there, and what would break a program's.
_OPTIONS = (
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "StrictHostKeyChecking=yes",
)


def ensure_alias(
    context: Context, machine: Machine, name: str, *, folder: str, yes: bool
) -> Client:
    """Ensure that the alias of a node leads to it and its key is authorized; return its client.

    `folder` is the project's, absolute. An entry that leads to a node's own SSH server is left
    alone. Raises AliasTakenError when the alias stands for something else, and LabError when an
    entry or a key cannot be written.
    """
    directory = ssh_directory()
    entry = _by_proxy(machine, name, folder)
    old = _old(entry.alias)
    _check_project(old, entry)
    plan = plan_connect(entry, directory=directory, replace_other=_is_by_jump(old, machine))
    is_kept = plan.is_empty or _is_by_jump(old, machine)
    said: list[str] = []
    if not is_kept and plan.before.data != plan.after.data:  # a file of the person's own
        said = agree(plan, context.console, yes=yes)
    our_directory(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    host_key = _introduce(machine, _key_line(entry))
    if not is_kept:
        _pin(entry, [host_key])
        write_plan(plan, context.console, said=said)
    elif old is not None and old.proxy is not None:
        _pin(entry, [host_key])
    return Client(alias=entry.alias)


def use_proxy(context: Context, machine: Machine, name: str, *, folder: str) -> None:
    """Point the alias at the sshd in the job, if it led to the node's own. Raises LabError."""
    entry = _by_proxy(machine, name, folder)
    if _is_by_jump(_old(entry.alias), machine):
        _pin(entry, [_introduce(machine, _key_line(entry))])
        plan = plan_connect(entry, directory=ssh_directory(), replace_other=True)
        write_plan(plan, context.console)


def use_jump(context: Context, machine: Machine, name: str, *, host: str) -> None:
    """Point the alias at the node's own SSH server, by way of the login node.

    The node's host keys come over the connection to the login node. Raises LabError.
    """
    directory, resolved = ssh_directory(), machine.client.resolve()
    alias = alias_of(machine.alias, name)
    said = run_script(machine, "node-host-keys", host).stdout
    keys = [key for key in map(parse_public_key, said.splitlines()) if key is not None]
    if not keys:
        raise LabError(f"{machine.alias} finds no SSH server on {host}.")
    names = [expanded(one) for one in resolved.get("identityfile", [])]
    entry = Entry(
        alias=alias,
        destination=Destination(host=host, user=resolved["user"][0]),
        jump=(Destination(host=machine.alias),),
        identity=next((one for one in names if one.is_file()), None),
        known_hosts=known_hosts_path(alias, directory),
    )
    plan = plan_connect(entry, directory=directory, replace_other=True)
    _pin(entry, [key.line for key in keys])
    if not plan.is_empty:
        write_plan(plan, context.console)


def _by_proxy(machine: Machine, name: str, folder: str) -> Entry:
    """Return the entry that leads to the sshd in the job."""
    directory, node = ssh_directory(), alias_of(machine.alias, name)
    return Entry(
        alias=node,
        destination=Destination(host=node, user=machine.client.resolve()["user"][0]),
        identity=made_key_path(node, directory),
        proxy=_proxy_command(machine.alias, folder, name, directory),
        known_hosts=known_hosts_path(node, directory),
    )


def _old(alias: str) -> Entry | None:
    try:
        return read_entry(alias, directory=ssh_directory())
    except DamagedEntryError:
        return None


def _is_by_jump(old: Entry | None, machine: Machine) -> bool:
    """Return whether an entry of ours leads to a node's own SSH server."""
    is_node = old is not None and old.known_hosts is not None and old.proxy is None
    return is_node and old is not None and old.jump == (Destination(host=machine.alias),)


def _check_project(old: Entry | None, entry: Entry) -> None:
    """Raise AliasTakenError when the alias leads to a node of another project."""
    if old is not None and old.proxy is not None and old.way != entry.way:
        raise AliasTakenError(
            f"{entry.alias} already means a node of another project, or another way to it.",
            hint="Choose another name: lab node --name NAME. Or, if that entry is no longer "
            f"needed: lab disconnect --alias {entry.alias}",
        )


def _proxy_command(alias: str, folder: str, name: str, directory: Path) -> str:
    """Return the ProxyCommand; every shell on both sides reads it alike."""
    words = ["ssh", *_configuration(alias, directory), "-T", "-a", "-x"]
    words += [word for option in _OPTIONS for word in ("-o", option)]
    there = [_word(posixpath.join(folder, ".lab", "node-proxy")), name]
    words += ["--", alias, "sh", *map(_word, there)]
    return " ".join(words).replace("%", "%%")


def _configuration(alias: str, directory: Path) -> list[str]:
    """Return the options that have ssh use the files of `directory`, where it would not by itself.

    As `ssh_options` has them, but for a file that is not there for this process alone.
    """
    if is_default_directory(directory):
        return []
    place = directory.as_posix()
    words = ["-F", _word(f"{place}/config")]
    known = f'UserKnownHostsFile="{place}/known_hosts"'
    words += ["-o", quote(known)]
    for key in default_keys_for(alias, directory):
        words += ["-o", quote(f'IdentityFile="{key.as_posix()}"')]
    return words


def _word(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else quote(word)


def _key_line(entry: Entry) -> str:
    """Return the public half of the key of the entry, which is made where it is missing."""
    assert entry.identity is not None
    path = entry.identity
    with exclusive(our_directory(ssh_directory())):  # another command may be making it
        if not path.exists():
            public_path(path).unlink(missing_ok=True)
            key_type = next(one for one in KEY_TYPES if can_make(one))
            create_key(path, key_type=key_type, comment=f"lab-{entry.alias}", ask_passphrase=False)
    return read_key(path).public.line


def _introduce(machine: Machine, key: str) -> str:
    """Authorize the key on the machine's nodes; return their public host key."""
    said = run_script(
        machine,
        "prepare-node",
        key,
        script("node-proxy"),
        explanations={
            ExitCode.NO_KEY: lambda said: LabError(
                f"ssh-keygen on {machine.alias} made no host key, so nodes cannot be reached.",
                hint=f"Try it yourself: ssh {machine.alias} ssh-keygen -t ed25519",
            )
        },
    ).stdout.strip()
    key_there = parse_public_key(said.rpartition("\n")[2])
    if key_there is None:
        raise answers.unusable("host key", said)
    return key_there.line


def _pin(entry: Entry, host_keys: Sequence[str]) -> None:
    """Write the host keys into the file that belongs to the entry alone."""
    assert entry.known_hosts is not None
    content = "".join(f"{entry.alias} {key}\n" for key in host_keys).encode()
    with exclusive(our_directory(ssh_directory())):
        before = read_bytes(entry.known_hosts)
        if before != content:
            apply_changes([Change(path=entry.known_hosts, before=before, after=content)])
