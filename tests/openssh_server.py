"""A real OpenSSH server on loopback, an account to log in to, a laptop and an agent, for tests.

As root the account is a throwaway user with a password, a home directory and a login shell of its
own. An ordinary user cannot make one: the account is then that very user, in another home
directory, and no password is known. Root gets such an account too where it asks for it. sshd begins
a session in the home directory of the password database, so a forced command moves it to the other
one before it runs what was asked for, and does nothing else.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from accounts import Account, account, run
from leftovers import marks
from needs import IS_ROOT, need_program

__all__ = [
    "Account",
    "Laptop",
    "OpenSSHServer",
    "account",
    "agent",
    "laptop",
    "openssh_server",
    "run",
    "sftp_server",
]

# Where distributions keep OpenSSH's program for sftp.
_SFTP_SERVERS = ("lib/openssh", "libexec/openssh", "lib/ssh", "libexec", "lib/misc")
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10
_OWN_PORTS = range(10_000 + 1000 * _WORKER, 11_000 + 1000 * _WORKER)
_PORTS = cycle(secrets.SystemRandom().sample(_OWN_PORTS, len(_OWN_PORTS)))
_TO_ITS_HOME = """\
#!/bin/sh
[ "$(pwd -P)" != {real_home} ] || cd "$HOME" || exit
if [ -n "${{SSH_ORIGINAL_COMMAND-}}" ]; then
    exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"
fi
exec "$SHELL" -l
"""


@dataclass
class OpenSSHServer:
    """sshd in the foreground, as a child process."""

    folder: Path
    account: Account
    port: int
    prefix: tuple[str, ...] = ()
    """What starts sshd: a command that takes another one, such as `ip netns exec NAME`."""
    options: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """What a person would type after `ssh`, with the port."""
        return f"{self.account.user}@127.0.0.1:{self.port}"

    @property
    def host_key(self) -> Path:
        """The private host key; its public half is beside it."""
        return self.folder / "host_key"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the host key, as OpenSSH prints it."""
        printed = run("ssh-keygen", "-lf", f"{self.host_key}.pub")
        return printed.split()[1]

    @property
    def logins(self) -> int:
        """How many logins it has let in so far."""
        return sum(re.match(r"Accepted \w+ for ", line) is not None for line in self.log)

    def new_host_key(self) -> None:
        """Make another host key; the server shows it from its next start on."""
        for path in (self.host_key, Path(f"{self.host_key}.pub")):
            path.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", str(self.host_key))

    def start(self, **options: str) -> None:
        """Start the server, with further options of sshd_config, and wait until it listens."""
        self.options.update(options)
        settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": f'"{self.host_key}"',
            "PidFile": "none",
            "UsePAM": "no",
            "PasswordAuthentication": "yes" if self.account.password else "no",
            "KbdInteractiveAuthentication": "no",
            "AuthorizedKeysFile": f'"{self.account.authorized_keys}"',
            "LogLevel": "VERBOSE",
            "MaxStartups": "100",
            "UseDNS": "no",
            "PrintMotd": "no",
            "Subsystem": "sftp internal-sftp",
            **({} if self.account.password else self._own_home()),
            **self.options,
        }
        variables = marks() if self.account.password else {"HOME": self.account.home, **marks()}
        given = settings.get("SetEnv", "")
        added = [
            f'"{name}={value}"' for name, value in variables.items() if f"{name}=" not in given
        ]
        if added:
            settings["SetEnv"] = " ".join([given, *added]).strip()
        configuration = self.folder / "sshd_config"
        configuration.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        self._process = subprocess.Popen(
            [*self.prefix, need_program("sshd"), "-D", "-e", "-f", str(configuration)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        listening = threading.Event()
        threading.Thread(target=self._read_log, args=(self._process, listening)).start()
        listening.wait()
        assert self._process.poll() is None, "\n".join(self.log[-5:])

    def stop(self) -> None:
        """End the server and every session of it."""
        if self._process is None:
            return
        connections = self.connections()
        self._process.kill()
        self._process.wait()
        self._process = None
        for process in connections:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def connections(self) -> list[int]:
        """Return every process of the sessions that are open, without what has left them."""
        # Each connection has a process group of its own, so the groups do not tell which are ours.
        return [] if self._process is None else _descendants(self._process.pid)

    def _own_home(self) -> dict[str, str]:
        """Return the options with which the user of the tests has a home of the test's own."""
        real_home = os.path.realpath(pwd.getpwnam(self.account.user).pw_dir)
        program = self.folder / "to-its-home"
        program.write_text(_TO_ITS_HOME.format(real_home=shlex.quote(real_home)))
        program.chmod(0o755)
        # The server's internal-sftp would not begin in that directory.
        return {
            "StrictModes": "no",
            "ForceCommand": str(program),
            "Subsystem": f"sftp {sftp_server()}",
        }

    def _read_log(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.log.append(line.strip())
                if line.startswith("Server listening on"):
                    listening.set()
        listening.set()  # it ended: start() must not wait for ever


@dataclass(frozen=True)
class Laptop:
    """The computer the person sits at: its home directory, and the SSH directory in it."""

    home: Path

    @property
    def ssh(self) -> Path:
        """The directory that LAB_SSH_DIR names."""
        return self.home / ".ssh"

    @property
    def config(self) -> Path:
        """The person's own SSH configuration."""
        return self.ssh / "config"

    @property
    def known_hosts(self) -> Path:
        """Where host keys are pinned."""
        return self.ssh / "known_hosts"

    def make_key(self, name: str, passphrase: str = "", key_type: str = "ed25519") -> Path:
        """Make a key in the SSH directory and return its path."""
        path = self.ssh / name
        bits = ("-b", "2048") if key_type == "rsa" else ()  # the fewest that OpenSSH takes as safe
        comment = ("-C", name, "-f", str(path))
        run("ssh-keygen", "-q", "-t", key_type, *bits, "-N", passphrase, *comment)
        return path

    def connect_to(self, server: OpenSSHServer, *, alias: str = "machine") -> None:
        """Authorize a key of this laptop on the server, and lead an alias there, as lab would."""
        key = self.ssh / "id_ed25519"
        if not key.exists():
            self.make_key(key.name)
        server.account.authorize(key.with_suffix(".pub").read_text())
        self.pin_host_key(server)
        self.config.write_text(
            f"Host {alias}\n  HostName 127.0.0.1\n  Port {server.port}\n"
            f"  User {server.account.user}\n  ControlMaster auto\n  ControlPersist 1m\n"
            f"  ControlPath {self.ssh}/%C\n" + self.config.read_text()
        )

    def run_ssh(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the person's own ssh, with this laptop's configuration."""
        return subprocess.run(
            ["ssh", "-F", str(self.config), *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **variables},
        )

    def pin_host_key(self, server: OpenSSHServer) -> None:
        """Make the server's host key known."""
        public = Path(f"{server.host_key}.pub").read_text()
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{server.port} {public}")

    def askpass(self, answer: str) -> dict[str, str]:
        """Return variables that make ssh ask a program, which answers and keeps the questions."""
        program = self.home / "askpass"
        program.write_text(
            f'#!/bin/sh\necho "$1" >>"{self.home}/asked"\nprintf "%s\\n" {_shell_quoted(answer)}\n'
        )
        program.chmod(0o700)
        return {
            "SSH_ASKPASS": str(program),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": os.environ.get("DISPLAY", ":0"),
        }

    @property
    def questions(self) -> list[str]:
        """What ssh has asked that program."""
        asked = self.home / "asked"
        return asked.read_text().splitlines() if asked.exists() else []


def laptop(home: Path) -> Laptop:
    """Return a laptop whose SSH configuration keeps away from the real home directory.

    ssh takes the home directory from the password database, so the files that it would look for
    there are named in the configuration.
    """
    made = Laptop(home)
    made.ssh.mkdir(mode=0o700, exist_ok=True)
    made.config.write_text(
        "Host *\n"
        f'    UserKnownHostsFile "{made.known_hosts}"\n'
        "    GlobalKnownHostsFile none\n"
        f'    IdentityFile "{made.ssh}/id_ed25519"\n'
        f'    IdentityFile "{made.ssh}/id_rsa"\n'
    )
    made.config.chmod(0o600)
    return made


@contextmanager
def openssh_server(
    account: Account, prefix: tuple[str, ...] = (), /, **options: str
) -> Iterator[OpenSSHServer]:
    """Yield a running server that lets `account` in; `options` are further lines of sshd_config.

    `prefix` is the command that starts it, such as `ip netns exec NAME`.
    """
    if IS_ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd changes its root to it
    folder = Path(tempfile.mkdtemp(prefix="lab-sshd-"))
    server = OpenSSHServer(folder=folder, account=account, port=free_port(), prefix=prefix)
    server.new_host_key()
    try:
        server.start(**options)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def agent(folder: Path) -> Iterator[dict[str, str]]:
    """Yield a running ssh-agent of the test's own: the variables that lead to it."""
    path = folder / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its address once it listens
        yield {"SSH_AUTH_SOCK": str(path)}
    finally:
        process.terminate()
        process.communicate()


def sftp_server() -> str:
    """Return OpenSSH's program for sftp, which a forced command can run."""
    found = (Path("/usr") / folder / "sftp-server" for folder in _SFTP_SERVERS)
    return str(next(filter(Path.exists, found), "internal-sftp"))


def _descendants(process: int) -> list[int]:
    """Return the processes that `process` has started, and those that they have started."""
    children: dict[int, list[int]] = {}
    for line in run(need_program("ps"), "-A", "-o", "pid=,ppid=").splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [process]
    for parent in found:
        found += children.get(parent, [])
    return found[1:]


def free_port() -> int:
    """Return a port of this computer that nobody uses.

    It is none of those that the system gives to whoever asks for any, as each connection does: a
    server may have it again after it was stopped.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
