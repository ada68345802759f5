"""Machines where every login asks a person: a key then a code, or a password and a code.

All share one real server with PAM and libpam-google-authenticator.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import openssh_server
import pytest
import second_factor
from baking import BakedProject
from openssh_server import Laptop, free_port
from second_factor import Site, answering, code_now
from started import read_until, start_in_session
from tool.test_forward import Echo, TcpServer, echoed, is_open, listening
from tool_helpers import Lab, LocalProject, at_terminal, wait_until

from ml_remote.doctor.local_checks import check_shared_connection
from ml_remote.ssh.client import Client
from ml_remote.ssh.left_ports import left_ports

pytestmark = pytest.mark.slow

ALIAS = "handwriting-lab"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    second_factor.need_second_factor()
    with second_factor.site() as made:
        yield made


@pytest.fixture(autouse=True)
def closed(site: Site, laptop: Laptop) -> Iterator[None]:
    """End the shared connection with the test, and remove what it has sent."""
    yield
    laptop.run_ssh("-O", "exit", ALIAS)
    for account in (site.password_and_code, site.key_and_code):
        shutil.rmtree(account.home / ALIAS, ignore_errors=True)


def with_key(site: Site, laptop: Laptop) -> Path:
    key = laptop.make_key("id_ed25519")
    site.key_and_code.authorize(key.with_suffix(".pub").read_text())
    return key


def entry(laptop: Laptop) -> str:
    return (laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf").read_text()


def test_password_and_code_are_asked_once_and_no_key_is_copied(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    account = site.password_and_code
    answers = answering(laptop, account)
    done = lab("connect", site.address(account), "--yes", **answers)
    assert done.returncode == 0, done.stderr
    assert "accepts no key before that" in done.stderr
    assert "It asks at every login" in done.stdout
    assert "writable" not in done.stderr
    assert len(laptop.questions) == 2
    assert "ControlPersist 12h" in entry(laptop)
    assert "IdentityFile" not in entry(laptop)
    assert list((laptop.ssh / "ml-remote.d").glob("*.key*")) == []
    assert not account.authorized_keys.exists()
    again = lab("connect", "--yes")
    assert again.returncode == 0, again.stderr
    assert len(laptop.questions) == 2
    assert "Written" not in again.stdout


def test_key_then_code_share_a_connection(site: Site, laptop: Laptop, lab: Lab) -> None:
    account = site.key_and_code
    key = with_key(site, laptop)
    before = account.authorized_keys.read_bytes()
    done = lab("connect", site.address(account), "--yes", **answering(laptop, account))
    assert done.returncode == 0, done.stderr
    assert "accepts the key but also asks for a second factor" in done.stderr
    assert len(laptop.questions) == 1
    assert "ControlPersist 12h" in entry(laptop)
    assert str(key) in entry(laptop)
    assert account.authorized_keys.read_bytes() == before


def test_question_is_asked_at_the_terminal(
    site: Site, laptop: Laptop, default_project: BakedProject
) -> None:
    account = site.password_and_code
    laptop.pin_host_key(site.server)
    command = [sys.executable, "-B", "lab.py", "connect", site.address(account), "--yes"]
    code, screen = at_terminal(
        command,
        answers={"Password:": account.password or "", "Verification code:": code_now()},
        folder=default_project.path,
    )
    assert code == 0, screen
    assert "It asks at every login" in screen
    assert str(account.password) not in screen
    # The terminal is closed, and the connection stays.
    assert laptop.run_ssh("-o", "BatchMode=yes", ALIAS, "true").returncode == 0
    laptop.run_ssh("-O", "exit", ALIAS)
    # The next command asks by itself.
    code, screen = at_terminal(
        [sys.executable, "-B", "lab.py", "shell", "--", "true"],
        answers={"Password:": account.password or "", "Verification code:": code_now()},
        folder=default_project.path,
    )
    assert "Logging in to handwriting-lab. Later commands share this connection." in screen
    assert "There is no folder" in screen


def opened(site: Site, laptop: Laptop, lab: Lab) -> None:
    """Open the shared connection to the machine that takes a password and a code."""
    account = site.password_and_code
    done = lab("connect", site.address(account), "--yes", **answering(laptop, account))
    assert done.returncode == 0, done.stderr


def forwards_left(laptop: Laptop) -> int:
    """Return how many forwards the shared connection holds: the sockets that it listens on."""
    said = laptop.run_ssh("-O", "check", ALIAS).stderr
    process = said.partition("pid=")[2].partition(")")[0]
    listening = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]
                 if line.split()[3] == "00010000"}  # fmt: skip
    held = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # it is closed
            held.append(str(link.readlink()))
    return sum(name[8:-1] in listening for name in held if name.startswith("socket:[")) - 1


def guards(laptop: Laptop) -> list[int]:
    """Return the guards of the forwards of this laptop that are open."""
    found, ours = [], f"LAB_SSH_DIR={laptop.ssh}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b'cat >/dev/null; exec "$@"' not in (folder / "cmdline").read_bytes():
                continue
            if ours in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_forward_over_the_shared_connection_ends_with_its_command(
    site: Site, laptop: Laptop, bake: Callable[..., BakedProject]
) -> None:
    here = LocalProject(bake())
    opened(site, laptop, here.lab)
    done = here.lab("push")
    assert done.returncode == 0, done.stderr
    assert forwards_left(laptop) == 0
    port, tcp = free_port(), TcpServer(("127.0.0.1", 0), Echo)
    with listening(tcp):
        wanted = f"{port}:{tcp.server_address[1]}"
        process = here.start_lab("forward", wanted)
        read_until(process, "Ctrl-C closes the tunnel")
        assert echoed(port)
        assert forwards_left(laptop) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0
        assert (forwards_left(laptop), guards(laptop)) == (0, [])

        process = here.start_lab("forward", wanted)
        read_until(process, "Ctrl-C closes the tunnel")
        process.kill()
        process.wait()
        wait_until(lambda: not forwards_left(laptop))
        assert not is_open(port)

        process = here.start_lab("forward", wanted)
        read_until(process, "Ctrl-C closes the tunnel")
        for one in (*guards(laptop), process.pid):
            os.kill(one, signal.SIGKILL)
        process.wait()
        assert not is_open(port)
        assert forwards_left(laptop) == 1
        here.lab("runs")
        assert forwards_left(laptop) == 0

        # The shared connection is ended, and the person comes back.
        account = site.password_and_code
        code, screen = at_terminal(
            [sys.executable, "-B", "lab.py", "forward", wanted],
            answers={
                "Press Enter to log in:": "",
                "Password:": account.password or "",
                "Verification code:": code_now(),
                f"Connected to {ALIAS} again.": "\x03",
            },
            folder=here.project.path,
            when_shown=("Ctrl-C closes the tunnel", lambda: laptop.run_ssh("-O", "exit", ALIAS)),
        )
        assert code == 0, screen
        assert f"The connection to {ALIAS} was lost. Connecting again." in screen
        assert "The tunnel is closed" in screen


def test_nothing_is_started_where_nobody_can_be_asked(site: Site, laptop: Laptop, lab: Lab) -> None:
    opened(site, laptop, lab)
    laptop.run_ssh("-O", "exit", ALIAS)
    start = len(site.server.log)
    for command in (["push"], ["jupyter"], ["run", "--", "true"], ["shell", "--", "true"], ["up"]):
        done = lab(*command)
        assert done.returncode in (1, 125), command
        assert "no shared connection is open" in done.stderr, done.stderr
        assert "In a terminal: lab connect" in done.stderr
    # Not even a login that fails: servers bar an address for many of them.
    assert "Connection from" not in site.log_of(start)


def checks_of(lab: Lab) -> dict[str, dict[str, str]]:
    """Return what `lab doctor` says, by the names of its checks."""
    return {one["name"]: one for one in json.loads(lab("doctor", "--json").stdout)["checks"]}


def test_doctor_proves_the_shared_connection_and_finds_what_an_editor_left_there(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    opened(site, laptop, lab)
    checks = checks_of(lab)
    assert checks["login"]["state"] == "ok"
    assert checks["login"]["detail"] == "over the shared connection"
    assert checks["second factor"]["state"] == "ok"
    assert "accepts no key before that" in checks["second factor"]["detail"]
    assert {"disk", "folder"} <= checks.keys()
    port, client = free_port(), Client(alias=ALIAS)
    command = ["ssh", "-F", str(laptop.config), "-T", "-D", str(port), ALIAS, "sleep 60"]
    for closes in ("code", "disconnect"):
        editor = start_in_session(command, laptop.home)  # what VS Code starts
        wait_until(lambda: is_open(port))
        assert left_ports(client) == []
        editor.kill()
        editor.wait()
        assert is_open(port)
        finding = check_shared_connection(client, client.resolve())
        assert (finding.state, finding.remedy) == ("warning", "lab code")
        assert f"({port})" in finding.detail
        lab(closes, *(["--yes"] if closes == "disconnect" else []))
        wait_until(lambda: not is_open(port))


def test_forward_of_the_persons_own_configuration_is_no_left_port(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    opened(site, laptop, lab)
    laptop.run_ssh("-O", "exit", ALIAS)
    port, client = free_port(), Client(alias=ALIAS)
    before = laptop.config.read_text()
    laptop.config.write_text(f"{before}Host {ALIAS}\n  DynamicForward 127.0.0.1:{port}\n")
    done = laptop.run_ssh(ALIAS, "true", **answering(laptop, site.password_and_code))
    assert done.returncode == 0
    assert is_open(port)
    assert left_ports(client) == []


def test_doctor_without_a_connection_says_what_to_type(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    opened(site, laptop, lab)
    laptop.run_ssh("-O", "exit", ALIAS)
    login = checks_of(lab)["login"]
    assert login["state"] == "unknown"
    assert login["remedy"].startswith("In a terminal: lab connect")


def test_gateway_that_asks_is_named_and_shared_under_an_alias(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    gateway, account = site.password_and_code, site.key_and_code
    with_key(site, laptop)
    with openssh_server.openssh_server(account) as target:
        laptop.pin_host_key(target)
        laptop.pin_host_key(site.server)
        through = site.address(gateway)
        done = lab("connect", target.address, "--jump", through, "--yes")
        assert done.returncode == 1
        assert "The jump host on the way to handwriting-lab asks for keyboard" in done.stderr
        assert f"lab connect {gateway.user}@127.0.0.1 --alias gateway" in done.stderr
        answers = answering(laptop, gateway)
        done = lab("connect", through, "--alias", "gateway", "--yes", **answers)
        assert done.returncode == 0, done.stderr
        done = lab("connect", target.address, "--replace", "--jump", "gateway", "--yes")
        assert done.returncode == 0, done.stderr
        assert "logs in without a password" in done.stdout
        assert len(laptop.questions) == 2
        for alias in (ALIAS, "gateway"):
            laptop.run_ssh("-O", "exit", alias)
        done = lab("runs")
        assert "gateway asks for an answer at every login" in done.stderr
        assert "lab connect --alias gateway; then run" in done.stderr
        assert "There is no folder" in lab("runs", **answers).stderr
        assert len(laptop.questions) == 4
        for alias in (ALIAS, "gateway"):
            laptop.run_ssh("-O", "exit", alias)


def test_own_host_that_asks_is_shared_as_it_is_configured(
    site: Site, laptop: Laptop, lab: Lab
) -> None:
    account = site.password_and_code
    laptop.pin_host_key(site.server)
    own = f"Host {ALIAS}\n  HostName 127.0.0.1\n  Port {site.server.port}\n  User {account.user}\n"
    text = laptop.config.read_text()
    laptop.config.write_text(own + text)
    done = lab("connect", "--yes", **answering(laptop, account))
    assert done.returncode == 1
    assert "shares no connection for it" in done.stderr
    assert "ControlMaster auto, ControlPath ~/.ssh/%C" in done.stderr
    laptop.config.write_text(f"{own}  ControlMaster auto\n  ControlPath {laptop.ssh}/%C\n{text}")
    done = lab("runs", **answering(laptop, account))  # a command sees by itself that it asks
    assert "There is no folder" in done.stderr
    assert len(laptop.questions) == 2
    done = lab("connect", "--yes")
    assert done.returncode == 0, done.stderr
    assert "It asks at every login" in done.stdout


def test_answer_that_is_wrong_or_late_is_told(
    site: Site, laptop: Laptop, lab: Lab, default_project: BakedProject
) -> None:
    opened(site, laptop, lab)
    laptop.run_ssh("-O", "exit", ALIAS)
    done = lab("runs", **laptop.askpass("wrong"))
    assert "did not accept the answers" in done.stderr
    server, before = site.server, dict(site.server.options)
    server.stop()
    server.options.clear()  # what comes after Match is for that alone
    server.start(**{"LoginGraceTime": "8", **before})
    try:
        code, screen = at_terminal(
            [sys.executable, "-B", "lab.py", "runs"],
            answers={"Password:": "late"},
            folder=default_project.path,
            when_shown=("Password:", lambda: wait_until(lambda: not server.connections())),
        )
    finally:
        server.stop()
        server.options.clear()
        server.start(**before)
    assert code == 1
    assert "ended the login because it got no answer" in screen
