"""Make the new project a git repository, and say what comes next.

cookiecutter renders this file and runs it in the generated project. The answers reach it as data,
as in pre_gen_project.py. Nothing here is vital: what does not work is told, with the command that
does it later, and the project stays.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ANSWERS_AS_JSON = r"""{{ cookiecutter | tojson }}"""

# cruft keeps the answers in a file that is committed. How to reach the machine is the person's own,
# so from here on there is no such answer: {{ cookiecutter.update(remote="") or "none" }}

# What tools leave behind in the template's own checkout, and cookiecutter copies.
CACHES = (
    "__pycache__",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".DS_Store",
)


def main() -> int:
    """Set up git and print the next steps; return 0 whatever happens."""
    answers = json.loads(ANSWERS_AS_JSON)
    remove_caches(Path.cwd())
    if is_update(answers):
        return 0
    notes = [*write_ssh_entry(answers), *set_up_git()]
    print_next_steps(answers, notes)
    return 0


def is_update(answers: dict[str, Any]) -> bool:
    """Tell whether cruft generates this in a temporary folder, to compare a project with it."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and temporary in Path.cwd().resolve().parents


def remove_caches(project: Path) -> None:
    """Remove caches that were copied along with the template."""
    for name in CACHES:
        for path in project.rglob(name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_ssh_entry(answers: dict[str, Any]) -> list[str]:
    """Write the SSH entry that was asked for; return what is left to do by hand.

    The project's own `lab connect` does it, and says what it wrote; nothing is contacted.
    """
    if not (answers["remote"] and answers["write_ssh_entry"]):
        return []
    later = f"No SSH entry was written. Later: uv run lab.py connect {answers['remote']}"
    if sys.version_info < (3, 11):  # noqa: UP036 - cookiecutter may run on an older one
        return [f"{later} (needs Python 3.11 or newer, which uv brings)"]
    connect = ["remote", "connect", "--offline", "--yes", "--", answers["remote"]]
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", *connect],  # -B: no bytecode in the new project
            cwd="src",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [str(error), later]
    # Its own next step is left out: the hook ends with one that includes it.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Next:")]
    if done.returncode != 0:
        return [*done.stderr.splitlines(), later]
    print("\n".join(lines))
    return done.stderr.splitlines()


def set_up_git() -> list[str]:
    """Make the project a git repository with a first commit; return what is left to do by hand."""
    if Path(".git").exists():
        return []  # generated into the person's own repository: what it commits is theirs to say
    if shutil.which("git") is None:
        return [
            "git is not installed. With it: git init -b main && git add . && git commit -m 'Start'"
        ]
    if not run_command("git", "init", "--quiet", "--initial-branch", "main"):
        return ["git init failed. Later: git init -b main && git add . && git commit -m 'Start'"]
    # Without useConfigOnly git may make up an identity from the machine's name.
    commit = ("git", "-c", "user.useConfigOnly=true", "commit", "--quiet", "--message")
    if run_command("git", "add", ".") and run_command(*commit, "Start from ml-remote-template"):
        return []
    return [
        "Nothing is committed: git does not know who you are. Tell it, then commit:",
        '  git config --global user.name "..." && git config --global user.email ...',
        "  git add . && git commit -m 'Start'",
    ]


def print_next_steps(answers: dict[str, Any], notes: list[str]) -> None:
    """Say in three lines at most how to go on, after what went wrong."""
    for note in notes:
        print(f"  {note}", file=sys.stderr)
    connect = "" if answers["remote"] else " connect you@the-machine, then uv run lab.py"
    print("Next:")
    print(f"  cd {answers['project_slug']}")
    print(f"  uv run lab.py{connect} up")


def run_command(*command: str) -> bool:
    """Run a command without asking anything and tell whether it succeeded; it never raises."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
