"""Login shells and start-up files: which of them run what `lab` sends, and how the others are told.

Every shell is a real one. One server serves all rows; each gives the account its shell and files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import accounts
import pytest
from baking import TEMPLATE_ROOT
from filelock import FileLock
from needs import need_program, need_root
from openssh_server import OpenSSHServer
from remote_project import RemoteProject
from tool_helpers import machine_of_its_own

from ml_remote.doctor import machine_checks
from ml_remote.doctor.findings import Finding
from ml_remote.project import Project
from ml_remote.ssh import not_run
from ml_remote.ssh.client import Client

pytestmark = pytest.mark.slow

NUSHELL = "0.115.1"
PATIENCE = 4.0
"""Seconds, where it is a minute otherwise."""


@dataclass(frozen=True)
class Row:
    """A login shell with its start-up files, and what `lab doctor` says of it."""

    shell: str
    files: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    """What is said where it does not run commands, or prints; empty where all is well."""
    remedy: str = ""
    runs: bool = True
    """Whether commands run all the same."""
    is_warning: bool = False
    """Whether that is no failure."""
    options: dict[str, str] = field(default_factory=dict)
    """What sshd is told."""


def swallowed(shell: str, file: str, text: str, line: int = 1, remedy: str = "There, ") -> Row:
    """Return the row of a start-up file that keeps commands from running."""
    said = f"Line {line} of {file if file.startswith('/') else f'~/{file}'} seems to be the reason"
    return Row(shell, {file: text}, failure=said, remedy=remedy, runs=False)


GUARD = "case $- in"
# What start-up files do to those who come after them, all at once.
HARMLESS = r"""
export IFS=, POSIXLY_CORRECT=1 CDPATH=/tmp GREP_OPTIONS=-v TAR_OPTIONS=-z LC_ALL=POSIX
export GREP_COLOR=1 GREP_COLORS='mt=1' CLICOLOR_FORCE=1 FORCE_COLOR=1 TERM=dumb COLUMNS=20 LESS=-e
export LD_PRELOAD=/nowhere.so ENV=$HOME/.env BASH_ENV=$HOME/.env SHELLOPTS PS4='$(echo traced) '
export TMOUT=1 TIME_STYLE=full-iso BLOCK_SIZE=1M LS_COLORS=x DF_BLOCK_SIZE=7 POSIX_ME_HARDER=1
unset HISTFILE
cd() { echo moved; builtin cd "$@"; }
printf() { echo no; }
command() { echo no; }
export -f cd printf command
alias cd='cd -P' command=echo [=echo
trap 'LAST=$BASH_COMMAND' DEBUG
ulimit -c 0
set -x
"""
ROWS = {
    # These run what they are given.
    "sh": Row("sh"),
    "bash": Row("bash"),
    "zsh": Row("zsh"),
    "fish": Row("fish"),
    "csh": Row("csh"),
    "tcsh": Row("tcsh"),
    "ksh": Row("ksh"),
    "mksh": Row("mksh"),
    "rbash": Row("rbash"),
    "nushell": Row("nu"),
    "ash": Row("ash"),  # of busybox
    "yash": Row("yash"),
    "rc": Row("rc"),
    "elvish": Row("elvish"),
    "options": Row("bash", {".bashrc": "set -eu\nset -o noclobber noglob\numask 077\n"}),
    "alias": Row("bash", {".bashrc": "alias sh='echo no'\n"}),
    "elsewhere": Row("bash", {".bashrc": "cd /tmp\nCDPATH=/\n"}),
    "harmless": Row("bash", {".bashrc": HARMLESS, ".env": "echo from BASH_ENV or ENV\n"}),
    "slow": Row("bash", {".bashrc": "sleep 0.7\n"}, "but a command takes", is_warning=True),
    "stty": Row("bash", {".bashrc": "stty erase ^H\n"}),
    "errors": Row("bash", {".bashrc": "echo Welcome >&2\nno-such-program\n"}),
    "tmux that fails": Row("bash", {".bashrc": "tmux attach\n"}),
    "guard": Row("bash", {".bashrc": "case $- in *i*) ;; *) return ;; esac\nexec zsh -l\n"}),
    "zsh options": Row("zsh", {".zshenv": "setopt no_unset err_exit\n", ".zshrc": "exec fish\n"}),
    "fish guard": Row(
        "fish", {".config/fish/config.fish": "status is-interactive; or exit\nexec bash\n"}
    ),
    # These run it, and print something that breaks what git and file copies say.
    "banner": Row("bash", {".bashrc": "echo Welcome to the cluster\n"}, "'Welcome to the cluster'"),
    "trap": Row("bash", {".bashrc": "trap 'echo bye' EXIT\n"}, "'bye'"),
    "debug trap": Row("bash", {".bashrc": "trap 'echo $BASH_COMMAND' DEBUG\n"}, "prints"),
    "fish greeting": Row("fish", {".config/fish/config.fish": "echo hello\n"}, "'hello'"),
    "csh banner": Row("tcsh", {".tcshrc": "echo hello\n"}, "'hello'"),
    # These do something else.
    "exec zsh": swallowed("bash", ".bashrc", "# mine\n\nexec zsh -l\n", 3, GUARD),
    "exec bash": swallowed("bash", ".bashrc", '[ -n "$AGAIN" ] || AGAIN=1 exec bash\n', 1, GUARD),
    "exec fish": swallowed("bash", ".bashrc", "if true; then exec fish; fi\n", 1, GUARD),
    "exec tcsh": swallowed("bash", ".bashrc", "exec tcsh\n", 1, GUARD),
    "tmux": swallowed("bash", ".bashrc", 'PS1="> "; X=1\n[ -n "$TMUX" ] || exec tmux\n', 2, GUARD),
    "screen": swallowed("bash", ".bashrc", "X=1 exec screen -q -RR\n", 1, GUARD),
    "set -e": swallowed("bash", ".bashrc", "set -e\nfalse\n", 1, GUARD),
    "read": swallowed("bash", ".bashrc", "export A=1\nread -p 'Project? ' answer\n", 2, GUARD),
    "menu": swallowed("bash", ".bashrc", "select x in one two; do break; done\n", 1, GUARD),
    "aliases": swallowed(
        "bash", ".bashrc", "shopt -s expand_aliases\nalias sh='echo no'\n", 2, GUARD
    ),
    "exit": swallowed("bash", ".bashrc", "exit\n", 1, GUARD),
    "cat": swallowed("bash", ".bashrc", "exec cat\n", 1, GUARD),
    "waits": swallowed("bash", ".bashrc", "sleep 1000\n", 1, GUARD),
    "zshenv": swallowed("zsh", ".zshenv", "exec bash -l\n", 1, "~/.zshrc"),
    "zsh alias": swallowed("zsh", ".zshenv", "alias sh='echo no'\n", 1, "~/.zshrc"),
    "config.fish": swallowed(
        "fish", ".config/fish/config.fish", "exec bash\n", 1, "is-interactive"
    ),
    "tcshrc": swallowed("tcsh", ".tcshrc", "exec zsh -l\n", 1, "$?prompt"),
    "cshrc": swallowed("csh", ".cshrc", "set a = 1\nexec zsh\n", 2, "$?prompt"),
    "rc of ssh": swallowed("sh", ".ssh/rc", "sleep 1000\n", 1, "remove that line"),
    "nologin": Row("nologin", {}, "This account is currently not available", "Ask who", runs=False),
    "false": Row("false", {}, "may have no ordinary shell", "Ask who", runs=False),
    "forced": Row("sh", {}, "command= in", "Ask", runs=False, options={"ForceCommand": "true"}),
    "git-shell": Row("git-shell", {}, "unrecognized command", "Ask who", runs=False),
    "sftp only": Row(
        "sh",
        {},
        "This service allows sftp connections only",
        "Ask who",
        runs=False,
        options={"ForceCommand": "internal-sftp"},
    ),
    # A stand-in, as Debian has it no more: it answers what rssh does.
    "rssh": Row(
        "sh",
        {},
        "This account is restricted by rssh",
        "Ask who",
        runs=False,
        options={
            "ForceCommand": "printf '\\nThis account is restricted by rssh.\\nAllowed "
            "commands: scp sftp\\n' >&2; exit 1"
        },
    ),
    "restricted": Row("rbash", {".bashrc": "PATH=$HOME/bin\n"}, "not found", "Ask who", runs=False),
}


@pytest.fixture(scope="module")
def nushell() -> str:
    """Return the path of nushell, which Debian lacks; it is fetched from npm once."""
    folder = TEMPLATE_ROOT / "build" / "nushell"
    program = folder / "package" / "bin" / "nu"
    with FileLock(f"{folder}.lock"):
        if not program.exists():
            folder.mkdir(parents=True, exist_ok=True)
            name = f"@nushell/linux-x64@{NUSHELL}"
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(["npm", "pack", "--silent", name], cwd=folder, timeout=120)
            archive = next(folder.glob("*.tgz"), None)
            if archive is None:
                pytest.skip("nushell cannot be fetched from npm")
            subprocess.run(["tar", "-xf", archive], cwd=folder, check=True)
            archive.unlink()
            program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="module")
def there() -> Iterator[tuple[OpenSSHServer, Client]]:
    """Yield a machine that is known and lets the laptop in."""
    need_root("change a login shell")
    with machine_of_its_own() as (_, server, client):
        yield server, client


def program_of(shell: str, home: Path) -> str:
    """Return the path of a shell."""
    if shell != "ash":
        return need_program(shell)
    link = home.parent / shell  # busybox is what it is called
    if not link.is_symlink():
        link.symlink_to(need_program("busybox"))
    return str(link)


@pytest.fixture
def shell_of(
    there: tuple[OpenSSHServer, Client], request: pytest.FixtureRequest
) -> Iterator[Client]:
    """Yield the machine with the login shell and the files of a row."""
    server, client = there
    row: Row = request.param
    is_nu = row.shell == "nu"
    account = server.account
    shell = request.getfixturevalue("nushell") if is_nu else program_of(row.shell, account.home)
    if row.options:
        server.stop()
        server.start(**row.options)
    subprocess.run(["usermod", "--shell", shell, account.user], check=True)
    written = [account.write(name, text) for name, text in row.files.items()]
    try:
        yield client
    finally:
        client.close()  # the next row begins with another shell
        for path in written:
            path.unlink()
        if row.options:
            server.stop()
            for name in row.options:
                del server.options[name]
            server.start()
        accounts.end_processes_of(account.home)


def found_by(client: Client, home: Path) -> dict[str, Finding]:
    """Return what `lab doctor` finds of shell, sftp and folder, for the smallest project.

    What it looks at after that does not depend on the shell.
    """
    (home / "lab.toml").write_text('[remote]\nalias = "machine"\nfolder = "lab"\n')
    found = {}
    for finding in machine_checks.examine_machine(client, Project(root=home)):
        found[finding.name] = finding
        if finding.name == "folder":
            break
    return found


@pytest.mark.parametrize(
    ("row", "shell_of"), [(row, row) for row in ROWS.values()], indirect=["shell_of"], ids=ROWS
)
def test_login_shell_runs_what_it_is_given_or_is_told(
    row: Row, shell_of: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if row.is_warning:
        monkeypatch.setattr(machine_checks, "SLOW", 0.6)
    if "sleep 1000" in "".join(row.files.values()):
        monkeypatch.setattr(machine_checks, "PATIENCE", PATIENCE)
        monkeypatch.setattr(not_run, "PATIENCE", PATIENCE)
    found = found_by(shell_of, tmp_path)
    shell = found["shell"]
    if not row.failure:
        assert shell.state == "ok", shell.detail
        assert shell_of.run_script('printf "%s|" "$@"', "a b", "c'd").stdout == "a b|c'd|"
    else:
        assert shell.state == ("warning" if row.is_warning else "failed")
        assert row.failure in shell.detail
        assert row.remedy in (shell.remedy or "")
    if row.runs:
        assert found["folder"].detail == "there is no lab on the machine"
        assert found["sftp"].state == "ok"
    else:
        assert list(found) == ["shell", "machine"]
        assert found["machine"].state == "unknown"


def test_commands_name_the_start_up_file_instead_of_waiting(remote_project: RemoteProject) -> None:
    need_root("change a login shell")
    account = remote_project.server.account
    subprocess.run(["usermod", "--shell", need_program("bash"), account.user], check=True)
    account.write(".bashrc", "exec zsh -l\n")
    for command in (("push",), ("up", "--no-code"), ("status",), ("pull",)):
        done = remote_project.lab(*command)
        assert done.returncode == 1, command
        assert "Line 1 of ~/.bashrc seems to be the reason: exec zsh -l" in done.stderr
        assert "case $- in" in done.stderr.splitlines()[-1]
    assert not remote_project.folder.exists()
