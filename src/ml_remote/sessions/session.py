"""`lab jupyter` and `lab tensorboard`: sessions on the remote machine, in the browser here.

A session runs there as a job, on a socket that only its owner can reach; a tunnel leads to it. The
session goes on when the tunnel is closed or lost, and the next call finds it again.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import LabError, RemoteCommandError
from ..installing import ensure_far
from ..machine import Machine, read_machine
from ..runs import jobs
from ..scripts import ExitCode
from ..settings import Settings, load_settings, machine_alias, project_root
from ..ssh.client import Client
from ..ui import console
from . import browser
from .session_scripts import FIND, SERVE, TAIL
from .tunnel import PortTakenError, Route, free_port, keep_open

__all__ = ["list_sessions", "open_session", "stop_sessions"]

Kind = Literal["jupyter", "tensorboard"]

_ATTEMPTS = 3
_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class _Program:
    """What a kind of session serves."""

    title: str
    port: int
    """The port of this computer to take if it is free."""
    start_page: str
    what_next: str
    """What the person may do once it is in the browser."""


_PROGRAMS: dict[Kind, _Program] = {
    "jupyter": _Program(
        title="JupyterLab",
        port=8888,
        start_page="/lab",
        what_next="open a script in labs/ there: it opens as a notebook.",
    ),
    "tensorboard": _Program(
        title="TensorBoard",
        port=6006,
        start_page="/",
        what_next="run a lab; its curves appear there while it trains.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A session that runs on the machine."""

    job: jobs.Job
    directory: str
    """Where its socket lies there."""
    token: str


def open_session(kind: Kind, *, alias: str | None = None, open_browser: bool = True) -> None:
    """Start the session, or find the one that runs, and keep a tunnel to it open.

    Returns when the session is over, or when the person closes the tunnel with Ctrl-C. Raises
    LabError, in words, when it comes to no session or no tunnel.
    """
    settings = load_settings()
    client = Client(alias=machine_alias(alias))
    try:
        with _closing_on_signals():
            session = _find_or_start(client, settings, kind)
            in_order = _hold_tunnel(
                client, settings.folder, kind, session, open_browser=open_browser
            )
    except KeyboardInterrupt:
        console.say(f"The tunnel is closed; a session on {client.alias} goes on.")
        console.next_step(f"lab {kind} reaches it again; lab {kind} --stop ends it")
        return
    if not in_order:
        # The shared connection may have been lost together with the session.
        own = client.with_options("ControlPath=none")
        raise _explain_end(own, settings.folder, kind, session.job.id)
    console.say(f"The {_PROGRAMS[kind].title} session on {client.alias} has ended.")
    console.next_step(f"lab {kind} starts another one")


def list_sessions(kind: Kind, *, alias: str | None = None) -> None:
    """Show this project's sessions on the machine: those that run, and the last that have ended."""
    machine = read_machine(alias)
    known = jobs.list_jobs(machine, console=console.shared, kind=kind)
    title = _PROGRAMS[kind].title
    if not known:
        console.say(f"There has been no {title} session on {machine.alias} yet.")
        console.next_step(f"lab {kind}")
        return
    for job in known[-_LISTED:]:
        started = job.started.astimezone().strftime("%Y-%m-%d %H:%M")
        hours, minutes = divmod(int(job.duration.total_seconds()) // 60, 60)
        console.say(
            f"{title}  {job.state:<7}  started {started}  for {hours}:{minutes:02} h  on {job.host}"
        )
    running = any(not job.is_over for job in known)
    console.next_step(f"lab {kind} --stop ends it" if running else f"lab {kind}")


def stop_sessions(kind: Kind, *, alias: str | None = None) -> None:
    """End the session on the machine with everything that it has started."""
    machine = read_machine(alias)
    title = _PROGRAMS[kind].title
    known = jobs.list_jobs(machine, console=console.shared, kind=kind)
    running = [job for job in known if not job.is_over]
    for job in running:
        jobs.stop(machine, job.id)
        console.say(f"{title} on {machine.alias} has ended, with everything that ran in it.")
    if not running:
        console.say(f"No {title} session runs on {machine.alias}.")
    console.next_step(f"lab {kind} starts one")


@contextmanager
def _closing_on_signals() -> Iterator[None]:
    """Let the signals of a closed terminal or a shutdown end the block as Ctrl-C does."""
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _find_or_start(client: Client, settings: Settings, kind: Kind) -> _Session:
    """Return the session that runs, or a new one. Raises LabError when none comes about."""
    title = _PROGRAMS[kind].title
    machine = Machine(client=client, folder=settings.folder)
    for _ in range(_ATTEMPTS):
        known = jobs.list_jobs(machine, console=console.shared, kind=kind)
        running = [job for job in known if not job.is_over]
        if running:
            job = running[-1]
            console.note(f"{title} runs on {client.alias} already; connecting to it.")
        else:
            console.note(f"Starting {title} on {client.alias}.")
            arguments = f"serve {kind} --idle-hours {settings.idle_hours:g}"
            far = ensure_far(machine)
            about = jobs.About(kind=kind, title=title, far=far)
            job = jobs.start(machine, about, f"{SERVE} {far} {arguments}")
        session = _directory_of(client, settings.folder, job)
        if session is not None:
            return session
        # It may have ended in this moment, or another computer was faster to start one.
        if not running and jobs.find_job(machine, job.id).exit_code != ExitCode.TRY_AGAIN:
            break
    raise _explain_end(client, settings.folder, kind, job.id)


def _directory_of(client: Client, folder: str, job: jobs.Job) -> _Session | None:
    """Return the session that a job is, once it is known; None when it has ended."""
    answer = client.run_script(FIND, folder, job.id).stdout.strip("\n").split("\t")
    if answer[0] == "ended":
        return None
    if answer[0] == "elsewhere":
        _, host, here = answer
        raise LabError(
            f"The session runs on {host}, and {client.alias} leads to {here} at the moment.",
            hint=f"Connect an alias to {host} itself: lab connect user@{host} --alias NAME",
        )
    _, directory, token = answer
    return _Session(job=job, directory=directory, token=token)


def _hold_tunnel(
    client: Client, folder: str, kind: Kind, session: _Session, *, open_browser: bool
) -> bool:
    """Keep a tunnel open until the session ends; return whether it ended in order."""
    for _ in range(_ATTEMPTS):
        route = Route(
            client=client,
            folder=folder,
            job_id=session.job.id,
            directory=session.directory,
            port=free_port(_PROGRAMS[kind].port),
        )
        with suppress(PortTakenError):  # by a program that was a moment faster: another one then
            return _hold_route(route, kind, token=session.token, open_browser=open_browser)
    raise PortTakenError("Other programs took each port that was tried.", hint=f"lab {kind}")


def _hold_route(route: Route, kind: Kind, *, token: str, open_browser: bool) -> bool:
    """Keep this tunnel open until the session ends, and open the browser once it answers."""
    program = _PROGRAMS[kind]
    title = f"{program.title} on {route.client.alias}"
    address = f"http://127.0.0.1:{route.port}"

    def tell(page: Path) -> None:
        shown = open_browser and browser.show(page)
        console.say(
            f"{title} is in your browser: {address}" if shown else f"{title}: open {page.as_uri()}"
        )
        console.next_step(
            f"{program.what_next} Ctrl-C here closes the tunnel, and the session goes on; "
            f"lab {kind} --stop ends it."
        )

    with browser.login_page(
        project_root() / ".lab" / f"open-{kind}-{route.port}.html",
        title=title,
        action=f"{address}/login?next={program.start_page}",
        token=token,
    ) as page:
        return keep_open(route, opened=lambda: tell(page))


def _explain_end(client: Client, folder: str, kind: Kind, job_id: str) -> RemoteCommandError:
    """Return the error that says why a session ended."""
    job = jobs.find_job(Machine(client=client, folder=folder), job_id)
    title, alias = _PROGRAMS[kind].title, client.alias
    if job.exit_code == ExitCode.NO_ENVIRONMENT:
        return RemoteCommandError(
            f"The environment is not on {alias} yet: {folder} has no .venv.", hint="lab setup"
        )
    if job.state == "lost":
        return RemoteCommandError(
            f"{title} on {alias} is gone: it was killed, or the machine was restarted.",
            hint=f"lab {kind} starts another one",
        )
    said = client.run_script(TAIL, folder, job_id).stdout.strip()
    return RemoteCommandError(
        f"{title} on {alias} ended with exit code {job.exit_code}. The end of its log:\n{said}",
        hint="If a package is missing: lab setup",
    )
