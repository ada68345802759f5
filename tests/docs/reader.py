"""What the documents mention, for one reader: a laptop, machines, a browser, an editor, GitHub."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openssh_server
from baking import (
    TEMPLATE_ROOT,
    THIS_PYTHON,
    environment_variables,
    isolated_variables,
)
from cluster_site import GATEWAY, Site
from docs.documents import Command, Document, File
from docs.terminal import CTRL_C, Answers, at_terminal
from fresh_machine import Kind, Machine, machine
from openssh_server import Laptop

__all__ = ["LOGIN", "MINE", "OTHERS", "Reader", "reader_of"]

MINE = "ada@gpu.example.com"
"""What the documents call the reader's machine."""
LOGIN = "ada@login.example.com"
"""What they call the login node of a cluster."""
OTHERS = ("ada@gateway.example.com", "ada@second.example.com")
"""What they call further ones."""

_SECONDS = 1500.0  # after which something hangs

# Logs in to the session with the page it is given, and says on the terminal what it got.
_BROWSER = """#!{python}
import html, re, signal, sys, urllib.parse, urllib.request
signal.signal(signal.SIGINT, signal.SIG_IGN)  # a browser, too, lives on after Ctrl-C
with urllib.request.urlopen(sys.argv[1]) as page:
    form = page.read().decode()
(action,) = re.findall('action="([^"]*)"', form)
fields = {{name: html.unescape(value)
          for name, value in re.findall('name="([^"]*)" value="([^"]*)"', form)}}
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
with opener.open(html.unescape(action), urllib.parse.urlencode(fields).encode()) as answer:
    (title,) = re.findall("<title>(.*?)</title>", answer.read().decode())
print(f"[the browser shows {{title}}]", flush=True)
"""
_EDITOR = """#!/bin/sh
case $1 in
--list-extensions) echo ms-vscode-remote.remote-ssh ;;
*) echo "[the editor opens $*]" ;;
esac
"""
# ssh looks for the home directory in the password database, and not in HOME.
_SSH = """#!/bin/sh
exec {ssh} -F "$LAB_SSH_DIR/config" "$@"
"""


@dataclass(frozen=True)
class Reader:
    """Everything that one reader of a document has."""

    laptop: Laptop
    machines: dict[str, Machine]
    """The machines by the addresses that the documents give them."""
    mine: Machine
    """The one that is worked on."""
    folder: Path
    """Where the reader begins."""
    code: Callable[[], str] = str
    """What returns a code, where a machine asks for one."""

    def follow(self, document: Document, *, before: Sequence[str] = ()) -> str:
        """Do all that the document says, and return what was on the screen.

        `before` are commands that the reader has run already. Raises AssertionError with the
        screen at the first command that fails.
        """
        progress = self.laptop.home / "line"
        script = self.laptop.home / "session"
        script.write_text(self._session(document, before, progress), encoding="utf-8")
        code, screen = at_terminal(
            ["sh", script],
            answers=self._answers(),
            folder=self.folder,
            variables=dict(os.environ),
            seconds=_SECONDS,
        )
        if code != 0:
            line = progress.read_text().strip()
            raise AssertionError(f"{document.name}, line {line}: exit code {code}\n{screen}")
        return screen

    def _session(self, document: Document, before: Sequence[str], progress: Path) -> str:
        """Return the shell script that does what the document says, up to a failure."""
        lines = ["trap : INT  # Ctrl-C is for the command that runs, not for the shell"]
        done = [Command(line=0, text=text, reason=None) for text in before]
        for step in (*done, *document.steps):
            lines.append(f"echo {step.line} >{shlex.quote(str(progress))}")
            if isinstance(step, File):
                lines.append(f"cat >{step.name} <<'END OF FILE' || exit\n{step.text}END OF FILE")
            elif step.reason is None:
                lines.append(f"printf '$ %s\\n' {shlex.quote(step.text)}")
                lines.append(f"{{\n{self._here(step.text)}\n}} || exit")
        return "\n".join([*lines, ""])

    def _here(self, text: str) -> str:
        """Return a command with the machines' addresses in place of those in the document."""
        for name, found in self.machines.items():
            text = text.replace(name, found.address)
        return text

    def _answers(self) -> Answers:
        mine = self.mine
        return (
            (r"Which machine do you log in to\? .*: \Z", mine.address),
            (r"Its address \(user@address or user@address:port\): \Z", mine.address),
            (r"Which Python version\? .*: \Z", THIS_PYTHON),
            (r"\[\d+/\d+\] .*: \Z", ""),
            (r"before\. Is it okay to delete\s+and\s+re-download\s+it\? \[y/n\] \(y\): \Z", ""),
            (r"(?s)\[\d+/\d+\] .*Choose from \[[\d/]+\] \(\d+\): \Z", ""),
            (r"Is that the machine's host key\? \[y/N\]: \Z", "y"),
            (r"Continue\? \[Y/n\]: \Z", ""),
            (r"Enter (?:same )?passphrase .*: \Z", ""),
            (r"(?i)password: ?\Z", mine.password or ""),
            (r"Verification code: ?\Z", self.code),
            (r"\[the browser shows ", CTRL_C),
        )


@contextmanager
def reader_of(kind: Kind | Site, *, home: Path, document: Document) -> Iterator[Reader]:
    """Yield a reader's computer with the home directory `home`, and the document's machines.

    With a `Site` as its kind, those are the machines of that cluster, on which the reader is Ada.
    """
    with ExitStack() as stack:
        laptop = openssh_server.laptop(home)
        stack.enter_context(environment_variables(isolated_variables(home)))
        programs = _programs(home / "programs")
        variables = {
            "LAB_SSH_DIR": str(laptop.ssh),
            "SSH_AUTH_SOCK": None,
            "LAB_DATA_DIR": None,  # the bundled digits are enough for what is shown here
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BROWSER": str(programs / "browser"),
            "TERM": "xterm-256color",
            "COLUMNS": None,  # pytest-xdist sets it; the terminal here has a width of its own
            "LINES": None,
            # Below it, what cruft makes counts as a copy to compare with, and not as a project.
            "TMPDIR": str(home / "temporary"),
        }
        stack.enter_context(environment_variables(variables))
        (home / "temporary").mkdir()
        _be_github(home)
        machines = {}
        if isinstance(kind, Site):
            ada = kind.ada
            for name, address in ((LOGIN, "ada@login"), (OTHERS[0], f"ada@{GATEWAY}")):
                machines[name] = Machine(address, ada.home, ada.password)
        else:
            machines[MINE] = stack.enter_context(machine(kind, laptop))
            for address in OTHERS:
                if address in document.text:
                    machines[address] = stack.enter_context(machine("openssh", laptop))
        folder = home / "work"
        folder.mkdir()
        stack.callback(_close_connections, laptop)
        mine = machines[LOGIN if isinstance(kind, Site) else MINE]
        code = kind.ada.code if isinstance(kind, Site) else str
        yield Reader(laptop=laptop, machines=machines, mine=mine, folder=folder, code=code)


def _programs(folder: Path) -> Path:
    """Put stand-ins for the browser and the editor into a folder, and ssh as it is at home."""
    folder.mkdir()
    ssh = shutil.which("ssh")
    for name, text in (
        ("browser", _BROWSER.format(python=sys.executable)),
        ("code", _EDITOR),
        ("ssh", _SSH.format(ssh=ssh)),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def _be_github(home: Path) -> None:
    """Make git find at GitHub this checkout as it is, and an empty repository for a project."""
    github = home / "github"
    template = github / "org" / "ml-remote-template"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TEMPLATE_ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TEMPLATE_ROOT / name).is_file():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE_ROOT / name, template / name)
    openssh_server.run("git", "init", "--quiet", "--initial-branch", "main", str(template))
    openssh_server.run("git", "-C", str(template), "add", "--force", ".")
    openssh_server.run("git", "-C", str(template), "commit", "--quiet", "--message", "As it is")
    (github / "org" / "ml-remote-template.git").symlink_to(template)
    project = f"{github}/ada/handwriting-lab.git"
    openssh_server.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", project)
    for address in ("https://github.com/", "git@github.com:"):
        setting = f"url.file://{github}/.insteadOf"
        openssh_server.run("git", "config", "--global", "--add", setting, address)


def _close_connections(laptop: Laptop) -> None:
    """Close the connections that commands of the reader share."""
    for entry in (laptop.ssh / "ml-remote.d").glob("*.conf"):
        found = re.search(r"(?m)^Host (\S+)", entry.read_text())
        assert found is not None, entry
        laptop.run_ssh("-O", "exit", found[1])
