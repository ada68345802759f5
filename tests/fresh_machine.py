"""A machine that `lab` has never seen, with uv and its cache, as its owner would have them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import accounts
import openssh_server
from baking import environment_variables
from embedded_server import embedded_server
from openssh_server import Laptop

__all__ = ["Kind", "Machine", "fresh_machine", "machine"]

Kind = Literal["openssh", "embedded"]

# How programs on this computer find packages to install.
_PACKAGES = ("UV_", "PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Machine:
    """A machine, as its owner knows it."""

    address: str
    """What a person types after ssh."""
    home: Path
    password: str | None = None
    """What it asks for; None where it knows the laptop's key."""


@contextmanager
def fresh_machine(kind: Kind, laptop: Laptop) -> Iterator[str]:
    """Yield what a person types after ssh to get to a machine that lets `laptop` in.

    The embedded server asks for a password once, which ssh is told; the other one knows the key.
    """
    with machine(kind, laptop) as made, ExitStack() as stack:
        if made.password is not None:
            stack.enter_context(environment_variables(laptop.askpass(made.password)))
        yield made.address


@contextmanager
def machine(kind: Kind, laptop: Laptop) -> Iterator[Machine]:
    """Yield a machine; what is started there and outlives its connection ends with the block."""
    with ExitStack() as stack:
        if kind == "embedded":
            server = stack.enter_context(embedded_server(laptop.home / "machine"))
            stack.callback(accounts.end_processes_of, server.home)
            made = Machine(server.address, server.home, server.password)
        else:
            account = stack.enter_context(openssh_server.account(own=True))
            key = laptop.ssh / "id_ed25519"
            if not key.exists():
                laptop.make_key(key.name)
            account.authorize(key.with_suffix(".pub").read_text())
            variables = {"HOME": str(account.home), "OMP_NUM_THREADS": "1"} | {
                name: value
                for name, value in os.environ.items()
                if name.upper().startswith(_PACKAGES)
            }
            setting = " ".join(f'"{name}={value}"' for name, value in variables.items())
            real = stack.enter_context(openssh_server.openssh_server(account, SetEnv=setting))
            made = Machine(real.address, account.home)
        _bring_uv(made.home)
        yield made


def _bring_uv(home: Path) -> None:
    """Put uv where its installer puts it, with this computer's cache."""
    programs = home / ".local" / "bin"
    programs.mkdir(parents=True)
    (programs / "uv").symlink_to(Path(sys.executable).parent / "uv")
    (home / ".cache").mkdir()
    (home / ".cache" / "uv").symlink_to(os.environ["UV_CACHE_DIR"])
