"""A machine that `lab` has never seen, with uv and its cache, as its owner would have them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import openssh_server
from baking import environment_variables
from embedded_server import embedded_server
from openssh_server import Laptop

__all__ = ["Kind", "fresh_machine"]

Kind = Literal["openssh", "embedded"]

# How programs on this computer find packages to install.
_PACKAGES = ("UV_", "PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@contextmanager
def fresh_machine(kind: Kind, laptop: Laptop) -> Iterator[str]:
    """Yield what a person types after ssh to get to a machine that lets `laptop` in.

    The embedded server asks for a password once, which ssh is told; the other one knows the key.
    """
    with ExitStack() as stack:
        if kind == "embedded":
            server = stack.enter_context(embedded_server(laptop.home / "machine"))
            stack.enter_context(environment_variables(laptop.askpass(server.password)))
            home, address = server.home, server.address
        else:
            account = stack.enter_context(openssh_server.account(own=True))
            account.authorize(laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
            home = account.home
            variables = {"HOME": str(home)} | {
                name: value
                for name, value in os.environ.items()
                if name.upper().startswith(_PACKAGES)
            }
            setting = " ".join(f'"{name}={value}"' for name, value in variables.items())
            real = stack.enter_context(openssh_server.openssh_server(account, SetEnv=setting))
            address = real.address
        _bring_uv(home)
        yield address


def _bring_uv(home: Path) -> None:
    """Put uv where its installer puts it, with this computer's cache."""
    programs = home / ".local" / "bin"
    programs.mkdir(parents=True)
    (programs / "uv").symlink_to(Path(sys.executable).parent / "uv")
    (home / ".cache").mkdir()
    (home / ".cache" / "uv").symlink_to(os.environ["UV_CACHE_DIR"])
