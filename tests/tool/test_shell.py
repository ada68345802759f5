"""`lab shell`: the person's own shell in the project's folder, or one command there."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TOOL
from needs import need_root
from remote_project import RemoteProject
from started import read_until
from tool_helpers import SHELLS, without_waiting

pytestmark = pytest.mark.slow

READY = "ready> "
# Each puts other folders first on PATH, as many do, and says that it was read.
BASE = "PATH=/usr/bin:/bin; export PATH; OWN=own; export OWN\n"
START_UP = {
    ".profile": f'{BASE}[ ! -r ~/.bashrc ] || [ -z "$BASH" ] || . ~/.bashrc\nPS1="{READY}"\n',
    ".bashrc": f'{BASE}PS1="{READY}"\n',
    ".zshrc": f'{BASE}PS1="{READY}"\n',
    ".tcshrc": f'setenv OWN own\nset prompt = "{READY}"\n',
    ".config/fish/config.fish": "set -gx PATH /usr/bin /bin\nset -gx OWN own\n"
    f"function fish_prompt; echo -n '{READY}'; end\n",
}
NO_ENVIRONMENT = "The environment is not complete yet"


@pytest.fixture
def there(remote_project: RemoteProject) -> RemoteProject:
    """Return a project on both sides, with a program of an environment there."""
    remote_project.lab("push")
    remote_project.have_environment("#!/bin/sh\necho environment\n")
    return remote_project


def typed(remote_project: RemoteProject, *lines: str) -> tuple[int, str]:
    """Type lines at the prompts of `lab shell`; return its exit code and the screen."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(remote_project.project.path)
        variables = {**os.environ, "PYTHONPATH": str(TOOL), "TERM": "dumb"}
        os.execvpe(sys.executable, [sys.executable, "-B", "lab.py", "shell"], variables)
    left = list(lines)
    screen, seen = "", 0
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        screen += piece.decode(errors="replace")
        if left and READY in screen[seen:]:
            seen = len(screen)
            os.write(terminal, f"{left.pop(0)}\n".encode())
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), screen


def test_shell_is_the_persons_own_and_has_the_environment(there: RemoteProject) -> None:
    need_root("change an account's login shell")
    account = there.server.account
    for name, text in START_UP.items():
        account.write(name, text)
    tried = []
    for name in SHELLS:
        program = shutil.which(name)
        if program is None:
            continue
        subprocess.run(["usermod", "--shell", program, account.user], check=True)
        code, screen = typed(there, "python; pwd; echo is $OWN-$0", "exit 7")
        assert "environment" in screen.splitlines() or "environment\r" in screen, (name, screen)
        assert str(there.folder) in screen, (name, screen)
        assert "is own-" in screen.replace("is $OWN-", ""), (name, screen)
        assert NO_ENVIRONMENT not in screen
        assert code == 7, (name, screen)
        tried.append(name)
    assert {"sh", "bash"} <= set(tried)
    left = [path.name for path in Path("/tmp").iterdir() if (path / ".zlogin").exists()]
    assert left == []


def test_shell_does_not_call_a_connection_closed_that_others_share(there: RemoteProject) -> None:
    there.server.account.write(".profile", START_UP[".profile"])
    folder = there.client.directory
    with (folder / "config").open("a") as config:
        config.write("\nHost *\n    ControlMaster auto\n    ControlPersist 60\n")
        config.write(f"    ControlPath {folder}/%C\n")
    code, screen = typed(there, "exit 7")
    there.client.close()
    assert (code, "closed" in screen) == (7, False), screen


def test_command_gets_its_words_and_gives_its_exit_code(there: RemoteProject) -> None:
    words = ["two words", "a\nb\\n", "it's", "$HOME", "*", "", "-x"]
    done = there.lab("shell", "--", "sh", "-c", 'printf "[%s]" "$@"', "sh", *words)
    assert done.stdout == "".join(f"[{word}]" for word in words), done.stderr
    done = there.lab("shell", "--", "python")
    assert (done.returncode, done.stdout) == (0, "environment\n")
    assert without_waiting(done.stderr) == ""
    for code, command in ((255, "exit 255"), (3, "exit 3"), (143, "kill -TERM $$")):
        assert there.lab("shell", "--", "sh", "-c", command).returncode == code
    piped = subprocess.run(
        [sys.executable, "-B", "lab.py", "shell", "--", "cat"],
        cwd=there.project.path,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        input=b"\0\xff through\n",
        capture_output=True,
    )
    assert piped.stdout == b"\0\xff through\n"


def test_own_failures_have_their_own_exit_code(there: RemoteProject) -> None:
    done = there.lab("shell")
    assert done.returncode == 125
    assert "There is no terminal for a shell." in done.stderr
    (there.folder / ".venv").unlink()
    done = there.lab("shell", "--", "echo", "still")
    assert (done.returncode, done.stdout) == (0, "still\n")
    assert NO_ENVIRONMENT in done.stderr
    there.client.close()
    there.server.stop()
    done = there.lab("shell", "--", "true")
    assert done.returncode == 125
    assert "Traceback" not in done.stderr


def test_signal_to_lab_is_told_from_one_to_the_command(there: RemoteProject) -> None:
    process = there.start_lab("shell", "--", "sh", "-c", "echo begun; exec sleep 60")
    read_until(process, "begun")
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 125
    assert there.lab("shell", "--", "sh", "-c", "kill -TERM $$").returncode == 143


def test_commit_there_has_the_name_from_here(there: RemoteProject) -> None:
    """It is passed on for the session; git's configuration there stays as it is."""
    name = there.git("config", "user.name")
    done = there.lab("shell", "--", "git", "commit", "--quiet", "--allow-empty", "-m", "there")
    assert done.returncode == 0, done.stderr
    assert there.there("log", "-1", "--format=%an|%cn") == f"{name}|{name}"
    there.server.account.write(".gitconfig", "[user]\nname = Own\nemail = own@example.com\n")
    there.lab("shell", "--", "git", "commit", "--quiet", "--allow-empty", "-m", "there")
    assert there.there("log", "-1", "--format=%an") == "Own"
