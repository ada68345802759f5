"""Why a machine that lets somebody in does not run a command: its login shell does something else.

A start-up file may replace the shell (`exec zsh -l`, `exec tmux`), end it, or read what was meant
for the command. Which line does that is looked for in three ways, as each of these leaves another
one open: by a command, by what a shell in its place reads, and by sftp, which may need no shell.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..errors import CommandNotRunError, LabError
from ..processes import Result
from ..ui.text import in_one_line
from .settings_at_fault import fault_of_settings

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Culprit", "command_not_run", "find_culprit", "is_password_expired", "suspicious_line"]

PATIENCE = 15.0  # seconds for each way to look
_SHOWN = 80  # characters of a line, or of what the machine says
_LARGEST = 256 * 2**10  # bytes of a start-up file that are looked at
_SFTP_KBIT = 8000  # a second, so that no file fills the disk here within PATIENCE
_LOOK = "lab-start-up-files"

_BASH = ("/etc/bash.bashrc", ".bashrc")
_ZSH = ("/etc/zsh/zshenv", ".zshenv")
_FISH = ("/etc/fish/config.fish", ".config/fish/config.fish")
_CSH = ("/etc/csh.cshrc", ".tcshrc", ".cshrc")
_EVERY = ("/etc/ssh/sshrc", ".ssh/rc", ".ssh/environment")
_FILES = (*_BASH, *_ZSH, *_FISH, *_CSH, *_EVERY)
_READ_BY = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "tcsh": _CSH, "csh": _CSH}
"""What each login shell reads before a command that sshd gives it."""

# What a shell does not come back from, or what reads the input of the command.
_PROGRAMS = (
    r"exec|exit|logout|read|select|while|until|tmux|screen|zellij|byobu|login|su|sudo|newgrp|sg|"
    r"srun|salloc|sleep|dialog|whiptail|bash|zsh|fish|tcsh|csh|ksh|nu|xonsh|cat|tail|stty"
)
_SUSPICIOUS = re.compile(
    rf"(?:^|[;&|({{]|\b(?:then|do|else|command|builtin|and|or)\s)\s*(?:\w+=\S*\s+)*(?:{_PROGRAMS})(?![\w.=/-])|"
    r"\bBASH_ENV=|(?:^|;)\s*alias\s+(?:-\w\s+)*(?:sh|git|env)\b"
)
# With these, the first command that fails ends a shell.
_FRAGILE = re.compile(r"(?:^|[;&])\s*set\s+(?:-[a-z]*[eu]|-o\s+(?:errexit|nounset))")
# Below this, the rest is for interactive shells only.
_GUARD = re.compile(
    r"\bcase\s+[\"']?\$-|\$\{?PS1\b|\$-\s|\$\{-|\$\?prompt|is-interactive|\btty\s+-s|\s-t\s+[012]\b"
)
# What sshd says where there is no terminal to set a new one in; it runs nothing then.
_EXPIRED = re.compile(
    r"(?m)^(?:WARNING: Your password has expired\.|Password change required but no TTY)"
)
# What PAM says there (maxlogins, in limits.conf) in the place of what the command prints.
_TOO_MANY = re.compile(r"(?m)^There were too many logins for '")
_ASK = (
    "Ask whoever runs the machine for an account that may run commands. If it may: look in the "
    "files that your shell reads at each login, such as ~/.bashrc"
)
_FIELDS = re.compile(r"([^:\n]{1,200}):([0-9]{1,6}):(.*)")


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """The line of a start-up file that seems to keep commands from running."""

    file: str
    line: int
    text: str

    @property
    def remedy(self) -> str:
        """What to do with it, on the machine."""
        if self.file.endswith("bashrc"):
            return "On the machine, put above that line: case $- in *i*) ;; *) return ;; esac"
        if self.file.endswith("zshenv"):
            return "On the machine, move that line to ~/.zshrc, which only interactive shells read"
        if self.file.endswith("fish"):
            return "On the machine, put above that line: status is-interactive; or exit"
        if self.file.endswith("cshrc"):
            return "On the machine, put above that line: if (! $?prompt) exit"
        return "On the machine, remove that line"


def command_not_run(client: Client, result: Result | None) -> CommandNotRunError:
    """Return the error for a login shell that did not run what it was given.

    `result` is what came instead; None if nothing came in time. Raises ConfigurationError where
    the configuration here is the reason.
    """
    alias = client.alias
    if result is not None and is_password_expired(result):
        return CommandNotRunError(
            f"Your password on {alias} has expired, and nothing runs there until you change it.",
            hint=f"Log in once in a terminal and set a new one: ssh -t {alias}",
        )
    if result is not None and _TOO_MANY.search(result.stdout):
        return CommandNotRunError(
            f"{alias} allows no more logins at the same time (maxlogins), so nothing ran.",
            hint="End some of your sessions there; or ask whoever runs the machine",
        )
    fault = fault_of_settings(client.resolve(), alias=alias)
    if fault is not None:
        raise fault
    culprit = find_culprit(client)
    if culprit is not None:
        return CommandNotRunError(
            f"{alias} lets you in, but your login shell there does not run the commands that it is "
            f"given. Line {culprit.line} of {culprit.file} seems to be the reason: {culprit.text}",
            hint=culprit.remedy,
            quoted=(culprit.text,),
        )
    said = _said(None if result is None else _without_banner(client, result))
    if said:
        return CommandNotRunError(
            f"{alias} lets you in, but does not run commands. It says: {said}",
            hint=_ASK,
            quoted=(said,),
        )
    if result is not None:
        return CommandNotRunError(
            f"{alias} lets you in, but runs nothing and does not say why. Your account there may "
            "have no ordinary shell, something else may be set to run for it or for your key "
            "(ForceCommand, or command= in authorized_keys), or a start-up file ends the shell.",
            hint=_ASK,
        )
    return CommandNotRunError(
        f"{alias} lets you in, but your login shell there waits instead of running the commands "
        "that it is given. One of its start-up files seems to start another program, end the "
        "shell, or wait for an answer: ~/.bashrc (bash), ~/.zshenv (zsh), "
        "~/.config/fish/config.fish (fish), ~/.cshrc or ~/.tcshrc (csh, tcsh), or ~/.ssh/rc.",
        hint="Let only interactive shells do that. In ~/.bashrc, put above such a line: "
        "case $- in *i*) ;; *) return ;; esac",
    )


def _without_banner(client: Client, result: Result) -> Result:
    """Return the same once more without the server's banner, which comes with the errors."""
    if not result.stderr.strip():
        return result
    try:
        again = client.with_options("LogLevel=ERROR").attempt("true", timeout=PATIENCE)
    except LabError:
        return result
    return again if again.returncode == result.returncode else result


def is_password_expired(result: Result) -> bool:
    """Return whether sshd ran nothing, as the password there has expired."""
    return result.returncode != 0 and _EXPIRED.search(result.stderr) is not None


def find_culprit(client: Client) -> Culprit | None:
    """Return the line that seems to keep commands from running, if a file with one can be read.

    It takes half a minute at most.
    """
    for read in (_by_shell, _by_sftp):
        try:
            shell, texts = read(client)
        except (LabError, subprocess.TimeoutExpired, OSError):
            continue
        found = _culprit(shell, texts)
        if found is not None:
            return found
    return None


def suspicious_line(lines: Sequence[tuple[int, str]]) -> tuple[int, str] | None:
    """Return the first line, with its number, that a shell without a person may not get past."""
    fragile = None
    for number, line in lines:
        text = line.strip()
        if text.startswith("#"):
            continue
        if _GUARD.search(text):
            break
        if _SUSPICIOUS.search(text):
            return number, text
        if fragile is None and _FRAGILE.search(text):
            fragile = number, text
    return fragile


_Texts = dict[str, list[tuple[int, str]]]


def _culprit(shell: str, texts: _Texts) -> Culprit | None:
    """Return the first suspicious line of the files that the shell reads; of all if unknown."""
    names = (*_READ_BY[shell], *_EVERY) if shell in _READ_BY else _FILES
    for name in names:
        found = suspicious_line(texts.get(name, []))
        if found is not None:
            number, text = found
            shown = name if name.startswith("/") else f"~/{name}"
            return Culprit(file=shown, line=number, text=_short(text))
    return None


def _by_shell(client: Client) -> tuple[str, _Texts]:
    """Read the files through the login shell: by a command, or by the shell that took its place.

    That one reads the same line as its input. bash, zsh, fish, csh and tcsh understand it alike.
    """
    look = f"echo {_LOOK} $SHELL; cd; grep -nHs . {' '.join(_FILES)}"
    done = client.attempt("sh", "-c", look, input=f"{look}\n", timeout=PATIENCE)
    _, mark, rest = done.stdout.partition(_LOOK)
    if not mark:
        return "", {}
    texts: _Texts = {}
    for name, number, line in _FIELDS.findall(rest):
        if name in _FILES:
            texts.setdefault(name, []).append((int(number), line))
    path = rest.partition("\n")[0].strip()
    return path.rpartition("/")[2], texts


def _by_sftp(client: Client) -> tuple[str, _Texts]:
    """Read the files by sftp, which needs no shell where the server has it built in."""
    (_, *options, _, _) = client.with_options("BatchMode=yes").command()
    with tempfile.TemporaryDirectory(prefix="lab-") as kept:
        folder = Path(kept)
        orders = [f'-get "{name}" {number}' for number, name in enumerate(_FILES)]
        processes.run(
            ["sftp", "-q", "-l", str(_SFTP_KBIT), *options, "-b", "-", client.alias],
            input="".join(f"{order}\n" for order in orders),
            timeout=PATIENCE,
            folder=folder,
        )
        return "", dict(_texts_in(folder))


def _texts_in(folder: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    for number, name in enumerate(_FILES):
        path = folder / str(number)
        if path.is_file():
            with path.open("rb") as file:
                text = file.read(_LARGEST).decode(errors="replace")
            yield name, list(enumerate(text.split("\n"), 1))


def _said(result: Result | None) -> str:
    """Return the first line of what came instead of what the command prints."""
    if result is None:
        return ""
    lines = [line for line in f"{result.stderr}\n{result.stdout}".splitlines() if line.strip()]
    return _short(lines[0]) if lines else ""


def _short(text: str) -> str:
    said = in_one_line(text).strip()
    return f"{said[:_SHOWN]}..." if len(said) > _SHOWN else said
