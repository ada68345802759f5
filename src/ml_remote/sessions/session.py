"""Sessions such as `lab jupyter`: served on the remote machine, in the browser here.

A session runs there as a job, on a socket that only its owner can reach; a tunnel leads to it. The
session continues when the tunnel is closed or lost, and the next call finds it again. Which kinds
there are: far/env/sessions.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from .. import jobs
from ..answers import HOST, SOCKET_FOLDER, TOKEN, checked, unusable
from ..context import Context
from ..desktop import open_link
from ..errors import LabError, RemoteCommandError
from ..far.__main__ import INCOMPLETE
from ..far.env.sessions import find_kind
from ..far_half import ensure_far
from ..login.logins import log_in
from ..machine import Machine
from ..next_steps import Known, what_next
from ..scripts import ExitCode, run_script, script
from ..signals import interrupt_on_signals
from ..ssh.forwards import close_left_behind
from ..ssh.shared_connection import is_known_to_ask, note_that_it_asks, reopen
from ..ssh.sibling_hosts import sibling_alias
from ..transfer.identity import identity
from . import browser
from .port import KeptPort
from .tunnel import BEAT, Forward, Route, keep_open

__all__ = ["Sessions"]

_ATTEMPTS = 3
_LISTED = 10
_LINES = "20"  # of a log, in a message


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A session that runs on the machine."""

    job: jobs.Job
    directory: str
    """Where its socket is on the machine."""
    token: str


class Sessions:
    """The sessions of one kind that the project has on one machine."""

    def __init__(self, context: Context, machine: Machine, name: str) -> None:
        self._context = context
        self._console = context.console
        self._machine = machine
        self._name = name
        self._kind = find_kind(name)

    @classmethod
    def of(cls, context: Context, name: str, *, alias: str | None = None) -> Self:
        """Return those of a kind, one of KINDS, on the machine of `lab.toml` or of `alias`."""
        return cls(context, context.machine(alias), name)

    def open(self, *, open_browser: bool = True) -> None:
        """Start a session, or find the one that runs, and keep a tunnel to it open.

        Returns when the session is over, or when the person closes the tunnel with Ctrl-C. Raises
        LabError, in words, when it comes to no session or no tunnel.
        """
        alias = self._machine.alias
        close_left_behind()
        session = None
        try:
            with interrupt_on_signals():
                session = self._find_or_start()
                in_order = self._hold_tunnel(session, open_browser=open_browser)
        except KeyboardInterrupt:
            again = f"lab {self._name} reconnects to it; lab {self._name} --stop ends it"
            if session is None:  # it may have been started in this moment
                self._console.say("No tunnel was opened.")
                again = f"lab {self._name} --list shows if a session runs on {alias}"
            else:
                self._console.say(f"The tunnel is closed. A session on {alias} continues.")
            self._console.next_step(what_next(self._context, Known(session=again)))
            return
        if not in_order:
            client = self._machine.client
            if not is_known_to_ask(client):
                # The shared connection may have been lost together with the session.
                client = client.with_options("ControlPath=none")
            raise self._explain_end(replace(self._machine, client=client), session.job.id)
        self._console.say(f"The {self._kind.title} session on {alias} has ended.")
        self._console.next_step(what_next(self._context, after=f"lab {self._name}"))

    def show(self) -> None:
        """Show the sessions on the machine: those that run, and the last that have ended."""
        known = self._jobs()
        title = self._kind.title
        if not known:
            self._console.say(f"There was no {title} session on {self._machine.alias} yet.")
            start = Known(session=f"lab {self._name} starts one")
            self._console.next_step(what_next(self._context, start))
            return
        for job in known[-_LISTED:]:
            started = job.started.astimezone().strftime("%Y-%m-%d %H:%M")
            hours, minutes = divmod(int(job.duration.total_seconds()) // 60, 60)
            state = job.state if job.silent_since is None else jobs.no_sign(job)
            self._console.say(
                f"{title}  {state:<7}  started {started}  for {hours}:{minutes:02} h  on {job.host}"
            )
        running = any(not job.is_over for job in known)
        if running:
            how = f"lab {self._name} reaches it; lab {self._name} --stop ends it"
        else:
            how = f"lab {self._name} starts one"
        self._console.next_step(what_next(self._context, Known(session=how)))

    def stop(self) -> None:
        """End the session on the machine with everything that it has started.

        Those on other hosts that share its disk are named, and left alone.
        """
        title, alias = self._kind.title, self._machine.alias
        running = [job for job in self._jobs() if not job.is_over]
        own = [job for job in running if job.is_here] or running[-1:]
        for job in own:
            jobs.stop(self._machine, job.id)
            self._console.say(f"{title} on {alias} was ended, with everything that ran in it.")
        for job in running:
            if job not in own:
                self._console.note(f"{title} also runs on {job.host}, which was left alone.")
        if not running:
            self._console.say(f"No {title} session runs on {alias}.")
        self._console.next_step(what_next(self._context))

    def _jobs(self) -> list[jobs.Job]:
        return jobs.list_jobs(self._machine, console=self._console, kind=self._name)

    def _find_or_start(self) -> _Session:
        """Return the session that runs, or a new one. Raises LabError when none comes about."""
        title, alias = self._kind.title, self._machine.alias
        for _ in range(_ATTEMPTS):
            running = [job for job in self._jobs() if not job.is_over]
            for job in reversed(running):
                session = self._session_of(job)
                if isinstance(session, _Session):
                    self._console.note(f"{title} already runs on {alias}. Connecting to it.")
                    return session
                if session is not None:
                    self._console.note(f"{title} also runs on {session}, which was left alone.")
                    running.remove(job)
            self._console.note(f"Starting {title} on {alias}.")
            job = self._start()
            session = self._session_of(job)
            if isinstance(session, _Session):
                return session
            if session is not None:
                raise self._is_elsewhere(session)
            # It may have ended in this moment, or another computer was faster to start one.
            if not running and self._exit_code(job) != ExitCode.TRY_AGAIN:
                break
        raise self._explain_end(self._machine, job.id)

    def _start(self) -> jobs.Job:
        """Start a session as a job on the machine, once the way back to it is proved."""
        _prove_way_back(self._machine)
        far = ensure_far(self._machine)
        name, email = identity(self._context.project.root)
        variables = {
            "FAR": far,
            "KIND": self._name,
            "IDLE_HOURS": f"{self._context.project.settings.idle_hours:g}",
            "git_name": name,
            "git_email": email,
        }
        settings = "".join(f"{name}={shlex.quote(text)}\n" for name, text in variables.items())
        about = jobs.About(kind=self._name, title=self._kind.title, far=far)
        return jobs.start(self._machine, about, settings + script("serve"))

    def _exit_code(self, job: jobs.Job) -> int | None:
        return jobs.find_job(self._machine, job.id).exit_code

    def _is_elsewhere(self, host: str) -> LabError:
        """Return the error for an alias that leads to another host each time."""
        alias, first = sibling_alias(self._machine.client, host)
        first = f"{first}; then: " if first else ""
        return LabError(
            f"The session was started on {host}, but {self._machine.alias} now leads to another "
            "host.",
            hint=f"{first}lab {self._name} --alias {alias}",
        )

    def _session_of(self, job: jobs.Job) -> _Session | str | None:
        """Return the session that a job is, once it is known; None when it has ended.

        Of one that runs on another host, return that host.
        """
        done = run_script(self._machine, "find-session", job.id, job=job.id)
        word, first, second = (*done.stdout.strip("\n").split("\t"), "", "")[:3]
        if word == "ended":
            return None
        if word == "elsewhere":
            return checked(HOST, first)
        if word != "here":
            raise unusable("session", word)
        # ssh expands what looks like a variable in the path of a socket.
        directory, token = checked(SOCKET_FOLDER, first), checked(TOKEN, second)
        return _Session(job=job, directory=directory, token=token)

    def _hold_tunnel(self, session: _Session, *, open_browser: bool) -> bool:
        """Keep a tunnel open until the session ends; return whether it ended in order."""
        with KeptPort(self._kind.port) as port:
            if port.number != self._kind.port:
                self._console.note(
                    f"Another program on this computer uses port {self._kind.port}, so this "
                    f"session has port {port.number}."
                )
            route = Route(
                machine=self._machine,
                forwards=(Forward(port=port, to=f"{session.directory}/socket"),),
                script=script("watch-session"),
                arguments=(
                    self._machine.folder,
                    session.job.id,
                    session.directory,
                    f"{BEAT:g}",
                ),
                job_id=session.job.id,
            )
            return self._hold_route(route, token=session.token, open_browser=open_browser)

    def _hold_route(self, route: Route, *, token: str, open_browser: bool) -> bool:
        """Keep this tunnel open until the session ends, and open the browser once it answers."""
        title = f"{self._kind.title} on {self._machine.alias}"
        number = route.forwards[0].port.number
        address = f"http://127.0.0.1:{number}"

        def tell(page: Path) -> None:
            shown = open_browser and open_link(page)
            self._console.say(
                f"{title} is in your browser: {address}"
                if shown
                else f"{title}: open {page.as_uri()}"
            )
            until = (
                f"{self._kind.what_next} Ctrl-C closes the tunnel; the session continues. "
                f"lab {self._name} --stop ends it."
            )
            self._console.next_step(what_next(self._context, Known(left=until)))

        with browser.login_page(
            self._context.project.state / f"open-{self._name}-{number}.html",
            title=title,
            action=f"{address}/login?next={self._kind.start_page}",
            token=token,
        ) as page:
            return keep_open(route, console=self._console, opened=lambda: tell(page))

    def _explain_end(self, machine: Machine, job_id: str) -> RemoteCommandError:
        """Return the error that says why a session ended."""
        job = jobs.find_job(machine, job_id)
        title, alias = self._kind.title, machine.alias
        if job.exit_code == ExitCode.NO_ENVIRONMENT:
            said = run_script(machine, "tail-job", job_id, _LINES, job=job_id).stdout.strip()
            last = said.splitlines()[-1].removeprefix("Error: ") if said else ""
            if last.startswith(INCOMPLETE):
                return RemoteCommandError(f"On {alias}: {last}", hint="lab setup")
            return RemoteCommandError(
                f"There is no environment on {alias} yet: {machine.folder} has no .venv.",
                hint="lab setup",
            )
        if job.state == "lost":
            return RemoteCommandError(
                f"{title} on {alias} is gone: it was killed, or the machine restarted.",
                hint=f"lab {self._name} starts another one",
            )
        said = run_script(machine, "tail-job", job_id, _LINES, job=job_id).stdout.strip()
        return RemoteCommandError(
            f"{title} on {alias} ended with exit code {job.exit_code}. The end of its log:\n{said}",
            hint="If a package is missing: lab setup",
        )


def _prove_way_back(machine: Machine) -> None:
    """Ensure that a tunnel can reach the machine, by its own login or the shared connection.

    Raises LabError when none will.
    """
    client = machine.client
    if is_known_to_ask(client):
        reopen(client)
        return
    login = log_in(client, alone=True)
    if login.asks:
        note_that_it_asks(client)
        reopen(client)
    elif login.refusal is not None:
        raise login.refusal
