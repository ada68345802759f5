"""Run a lab in several processes: on this machine, or on this one and others at the same time.

    .venv/bin/python .lab/far/current launch labs/LAB.py -p epochs 5
    ... launch --hosts 2 --own 10.0.0.2 --rendezvous 10.0.0.1:29400 labs/LAB.py

This is torchrun (https://docs.pytorch.org/docs/stable/elastic/run.html) with what `lab run --hosts`
needs: one process for each GPU, else one; on one machine nothing listens but on 127.0.0.1. With
several hosts the same command runs on each of them; the one whose own address is that of
--rendezvous keeps it, on that address only. What the hosts write there is signed with the secret in
LAB_RENDEZVOUS_SECRET, for torch reads it by pickle: without that, whoever reaches the port could
run any code here.

It rests on names of torch that are not public, or not documented; `runs/launchers/torchrun.py` of
the tool lists them, and a test looks for them in the oldest torch and in the one installed.

Exit codes: 1: a process failed here; 75: the other hosts are gone; 128 and more: it was ended.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import secrets
import socket
import sys
import threading
import time
from datetime import timedelta

import psutil
import torch
from torch.distributed import TCPStore
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousError,
    RendezvousHandler,
    RendezvousParameters,
    RendezvousTimeoutError,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ..exit_codes import ExitCode
from ..login.checkout import use_checkout
from .card import say_unusable_card

SIGNALLED = 128
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
BACKEND = "signed-c10d"
# How long the others may be away, in seconds. A connection that was cut for 20 seconds is tried
# again by TCP after 26.
JOIN_TIMEOUT = 27
READ_TIMEOUT = 35
LONGEST_SILENCE = 35
CHECK_INTERVAL = 3


def main(arguments: list[str]) -> int:
    """Run the lab and return the exit code."""
    options = parse(arguments)
    say_unusable_card(torch)
    use_checkout()
    processes = options.processes or torch.accelerator.device_count() or 1
    set_up_threads(processes)
    name_interface(options.interface)
    # A store of its own for each attempt: a shared one does not survive that its host is cut off.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    rendezvous_handler_registry.register(BACKEND, rendezvous)
    config = LaunchConfig(
        min_nodes=options.hosts,
        max_nodes=options.hosts,
        nproc_per_node=processes,
        run_id="lab",
        rdzv_backend=BACKEND,
        rdzv_endpoint=options.rendezvous,
        rdzv_configs={
            "join_timeout": JOIN_TIMEOUT,
            "last_call_timeout": 2,
            "keep_alive_interval": 2,
            "keep_alive_max_attempt": 3,
        },
        max_restarts=options.max_restarts,
        monitor_interval=0.5,
        local_addr=options.own,
    )
    try:
        elastic_launch(config, sys.executable)("-u", options.lab, *options.words)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else "failed"
        return fail(f"Rank {rank} {how}; number of restarts: {options.max_restarts}.", code=1)
    except RendezvousTimeoutError:
        return fail(f"Not all hosts joined within {JOIN_TIMEOUT} s.", code=ExitCode.TRY_AGAIN)
    except RendezvousClosedError:
        return fail("Another host gave up.", code=ExitCode.TRY_AGAIN)
    except RendezvousError as error:
        return fail(
            f"The rendezvous at {options.rendezvous} was lost: {error}", code=ExitCode.TRY_AGAIN
        )
    except SignalException as error:
        return SIGNALLED + error.sigval
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Run a lab in several processes.")
    parser.add_argument("--hosts", type=int, default=1, help="number of hosts")
    parser.add_argument("--own", default="127.0.0.1", help="this host's address for the others")
    parser.add_argument(
        "--interface", default=LOOPBACK, help="the network interface that has this address"
    )
    parser.add_argument(
        "--rendezvous", default="127.0.0.1:0", help="address:port of the rendezvous"
    )
    parser.add_argument("--processes", type=int, help="default: one for each GPU, or one")
    parser.add_argument("--max-restarts", type=int, default=3)
    parser.add_argument("lab", help="its script")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="its arguments")
    return parser.parse_args(arguments)


def fail(sentence: str, *, code: int) -> int:
    """Print why it ended, and return the exit code."""
    print(f"Error: {sentence}", file=sys.stderr, flush=True)
    return code


def set_up_threads(processes: int) -> None:
    """Share the cores out among the processes; threads that wait should not take one."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def name_interface(interface: str) -> None:
    """Send gradients through the network interface that reaches the other hosts."""
    os.environ["GLOO_SOCKET_IFNAME"] = interface
    os.environ["NCCL_SOCKET_IFNAME"] = f"={interface}"  # this one, none that begins like it


def rendezvous(parameters: RendezvousParameters) -> RendezvousHandler:
    """Return torch's rendezvous, with a store that listens on one address, and signed."""
    address, _, port = parameters.endpoint.rpartition(":")
    is_host = address == parameters.local_addr
    try:
        listening = socket.create_server((address, int(port))) if is_host else None
        store = TCPStore(
            address,
            int(port) if listening is None else listening.getsockname()[1],
            is_master=is_host,
            multi_tenant=True,
            timeout=timedelta(seconds=READ_TIMEOUT),
            master_listen_fd=None if listening is None else listening.detach(),
        )
    except (OSError, RuntimeError) as error:
        raise RendezvousError(str(error).splitlines()[0]) from error
    if not is_host:
        threading.Thread(target=watch, args=(address, int(port)), daemon=True).start()
    secret = os.environ.pop("LAB_RENDEZVOUS_SECRET", secrets.token_hex())
    backend = SignedBackend(store, parameters.run_id, secret=secret.encode())
    return create_handler(store, backend, parameters)


def watch(address: str, port: int) -> None:
    """End this process when the host of the rendezvous is gone: torch would wait for TCP, for long.

    Once it has answered no more for LONGEST_SILENCE, everything that was started here is killed.
    """
    heard = time.monotonic()
    while time.monotonic() - heard < LONGEST_SILENCE:
        time.sleep(CHECK_INTERVAL)
        try:
            socket.create_connection((address, port), timeout=CHECK_INTERVAL).close()
        except OSError:
            continue
        heard = time.monotonic()
    for process in psutil.Process().children(recursive=True):
        process.kill()
    sentence = f"The rendezvous at {address} has not answered for {LONGEST_SILENCE} s."
    os._exit(fail(sentence, code=ExitCode.TRY_AGAIN))


class SignedBackend(C10dRendezvousBackend):
    """torch's backend, which accepts only data of the store that is signed with the secret."""

    def __init__(self, store: TCPStore, run_id: str, *, secret: bytes) -> None:
        self._secret = secret
        super().__init__(store, run_id)

    @property
    def name(self) -> str:
        """Return what it is registered as."""
        return BACKEND

    def get_state(self) -> tuple[bytes, object] | None:
        """Return the state and its token."""
        found = super().get_state()
        return None if found is None else (self._checked(found[0]), found[1])

    def set_state(
        self, state: bytes, token: object | None = None
    ) -> tuple[bytes, object, bool] | None:
        """Write the state; return what is there then, its token, and whether it was written."""
        done = super().set_state(self._signature(state) + state, token)
        return None if done is None else (self._checked(done[0]), *done[1:])

    def _signature(self, state: bytes) -> bytes:
        return hmac.digest(self._secret, state, "sha256")

    def _checked(self, signed: bytes) -> bytes:
        length = hashlib.sha256().digest_size
        signature, state = signed[:length], signed[length:]
        if not hmac.compare_digest(signature, self._signature(state)):
            raise RendezvousError("someone else wrote to it")
        return state
