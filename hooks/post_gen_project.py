"""Make the new project a git repository, and say what comes next.

cookiecutter renders this file and runs it in the generated project. The answers reach it as data,
as in pre_gen_project.py. Nothing here is vital: what does not work is told, with the command that
does it later, and the project stays. What most runs need not is imported where it is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


YES = {"1", "true", "t", "yes", "y", "on"}

REPLACED = Path(".lab", "replaced")
"""Where pre_gen_project.py kept the person's files, when the folder was there before."""


def main() -> int:
    """Set up git and print the next steps; return 0 whatever happens."""
    answers = json.loads(ANSWERS_AS_JSON)
    had_files = REPLACED.is_dir()
    if not had_files:  # else they may be the person's own
        remove_caches(Path.cwd())
    if is_update(answers):
        return 0
    make_executable(Path("lab.py"))
    entry = start_ssh_entry(answers)  # goes on while git works
    notes = [*name_replaced_files(), *set_up_git(first_commit=not had_files)]
    notes = [*finish_ssh_entry(entry, answers), *notes]
    print_next_steps(answers, notes)
    return 0


def is_update(answers: dict[str, object]) -> bool:
    """Tell whether cruft generates this in a temporary folder, to compare a project with it."""
    if "_commit" not in answers:
        return False
    import tempfile

    return Path(tempfile.gettempdir()).resolve() in Path.cwd().resolve().parents


def remove_caches(project: Path) -> None:
    """Remove caches that were copied along with the template."""
    for path in [path for path in project.rglob("*") if path.name in CACHES]:
        if path.is_dir():
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def make_executable(path: Path) -> None:
    """Let everybody run a file who may read it; cookiecutter loses that from a zip file."""
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)


def name_replaced_files() -> list[str]:
    """Return word of the person's files that were replaced; copies of all others are removed."""
    names: list[str] = []
    for copy in sorted(REPLACED.rglob("*"), reverse=True):  # what is in a folder comes before it
        now = Path(*copy.relative_to(REPLACED).parts[1:])
        if copy.is_dir():
            remove_empty(copy)
        elif now.is_file() and copy.read_bytes() == now.read_bytes():
            copy.unlink()
        else:
            names.insert(0, f"  {copy}")
    remove_empty(REPLACED)
    remove_empty(REPLACED.parent)
    if len(names) > 10:
        names[9:] = [f"  and {len(names) - 9} more in {REPLACED}"]
    return ["Files of yours were replaced. What stood in them is kept:", *names] if names else []


def remove_empty(folder: Path) -> None:
    """Remove a folder, unless something is in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def start_ssh_entry(answers: dict[str, str]) -> subprocess.Popen[str] | list[str]:
    """Begin to write the SSH entry that was asked for, or return what is to say instead.

    The project's own `lab connect` does it, and says what it wrote; nothing is contacted.
    """
    wanted = str(answers["write_ssh_entry"]).lower() in YES  # an old cookiecutter gives a text
    if not (wanted and answers["remote"]):
        return []
    if sys.version_info < (3, 11):  # noqa: UP036 - cookiecutter may run on an older one
        return [f"{entry_later(answers)} (needs Python 3.11 or newer, which uv brings)"]
    connect = ["ml_remote", "connect", "--offline", "--yes", "--", answers["remote"]]
    tool = Path(str(answers.get("_repo_dir", "")), "src")
    try:
        return subprocess.Popen(
            [sys.executable, "-B", "-m", *connect],  # -B: no bytecode in the new project
            env={**os.environ, "PYTHONPATH": str(tool)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        return [str(error), entry_later(answers)]


def finish_ssh_entry(
    entry: subprocess.Popen[str] | list[str], answers: dict[str, str]
) -> list[str]:
    """Wait for the SSH entry and say what was written; return what is left to do by hand."""
    if isinstance(entry, list):
        return entry
    try:
        said, warned = entry.communicate(timeout=60)
    except subprocess.TimeoutExpired as error:
        entry.kill()
        return [str(error), entry_later(answers)]
    if entry.returncode != 0:
        return [*warned.splitlines(), entry_later(answers)]
    # Its own next step is left out: the hook ends with one that includes it.
    print("\n".join(line for line in said.splitlines() if not line.startswith("Next:")))
    return warned.splitlines()


def entry_later(answers: dict[str, str]) -> str:
    """Return how to get the SSH entry that was not written."""
    return f"No SSH entry was written. Later: uv run lab.py connect {answers['remote']}"


def set_up_git(*, first_commit: bool) -> list[str]:
    """Make the project a git repository with a first commit; return what is left to do by hand."""
    if Path(".git").exists():
        return []  # generated into the person's own repository: what it commits is theirs to say
    initialised = run_command("git", "init", "--quiet", "--initial-branch", "main")
    if initialised is None:
        return [
            "git is not installed. With it: git init -b main && git add . && git commit -m 'Start'"
        ]
    if not initialised:
        return ["git init failed. Later: git init -b main && git add . && git commit -m 'Start'"]
    if not first_commit:
        return [
            "Nothing is committed: files of your own are here, too. Look at them: git status",
            "  Then: git add . && git commit -m 'Start'",
        ]
    # Without useConfigOnly git may make up an identity from the machine's name.
    commit = ("git", "-c", "user.useConfigOnly=true", "commit", "--quiet", "--message")
    if run_command("git", "add", ".") and run_command(*commit, "Start from ml-remote-template"):
        return []
    if run_command("git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"):
        return [
            "Nothing is committed: git did not do it. See why: git add . && git commit -m Start"
        ]
    return [
        "Nothing is committed: git does not know who you are. Tell it, then commit:",
        '  git config --global user.name "..." && git config --global user.email ...',
        "  git add . && git commit -m 'Start'",
    ]


def print_next_steps(answers: dict[str, str], notes: list[str]) -> None:
    """Say in three lines at most how to go on, after what went wrong."""
    for note in notes:
        print(f"  {note}", file=sys.stderr)
    connect = "" if answers["remote"] else " connect you@the-machine, then uv run lab.py"
    print("Next:")
    print(f"  cd {answers['project_slug']}")
    print(f"  uv run lab.py{connect} up")


def run_command(*command: str) -> bool | None:
    """Run a command without asking anything and tell whether it succeeded; it never raises.

    None says that it could not be started.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError:
        return None
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
