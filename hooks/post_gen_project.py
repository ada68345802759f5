"""Pin the tool, make the new project a git repository, and print what was made and what is next.

cookiecutter renders this file and runs it in the generated project. The answers reach it as data,
as in pre_gen_project.py. Nothing here is vital: what does not work is named, with the command that
does it later, and the project stays. What most runs do not need is imported where it is used.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ANSWERS_AS_JSON = r"""{{ cookiecutter | tojson }}"""

# cruft keeps the answers in a file that is committed. How to reach the machine is the person's own,
# so from here on there is no such answer: {{ cookiecutter.update(remote="") or "none" }}

# What tools leave behind in the template's own checkout, and cookiecutter copies.
CACHES = (
    "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store",
)  # fmt: skip
YES = {"1", "true", "t", "yes", "y", "on"}

COMMIT = re.compile(r"[0-9a-f]{40}")
SCHEMES = {"https", "http", "ssh", "git", "file"}  # what uv can fetch a repository by
NO_PIN = "# dependencies = []\n"
NO_SOURCE = """\
No version of the tool is pinned above, so lab.local.toml must name the folder of its source.
"""

# Which repository git means is for the folder to say, not for a git hook that called cookiecutter:
# what `git rev-parse --local-env-vars` lists, and what else leads to another repository, or makes a
# new one of another kind. As in src/ml_remote/git.py, which this file cannot import.
GIT_REMOVED = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE", "GIT_ATTR_SOURCE",
    "GIT_DEFAULT_HASH", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_LITERAL_PATHSPECS",
)  # fmt: skip
# What a person has set must not stop the first commit, which is ours, nor change what git prints.
GIT_SETTINGS = (
    "color.ui=false",
    "color.advice=false",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "init.defaultBranch=main",
    "log.showSignature=false",
    "commit.gpgSign=false",
    "user.useConfigOnly=true",  # else git may make up an identity from the machine's name
)
# Nothing that runs here may ask for anything: neither in the terminal nor in a window.
ASK_NOTHING = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
# What would have another Python, or another package, take the place of what runs `lab connect`.
PYTHON_REMOVED = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "UV_PYTHON", "UV_PROJECT", "VIRTUAL_ENV",
)  # fmt: skip
STEP = "Next: "  # begins what is left to do by a command, among what is to be said
COMMIT_ALL = "git add . && git commit -m 'Start'"
SECONDS = 60  # how long the SSH entry, or git, may take


def main() -> int:
    """Pin the tool, set up git and print the next steps; return 0 whatever happens."""
    answers = json.loads(ANSWERS_AS_JSON)
    remove_caches(Path.cwd())
    make_executable(Path("lab.py"))
    update = is_update(answers)
    notes = set_up_tool(answers, update=update)
    if update:
        return 0
    entry = start_ssh_entry(answers)  # works while git works
    committed, undone = set_up_git()
    print(f"Made {way_to_project()}{', with a first commit' if committed else ''}.", flush=True)
    notes = [*finish_ssh_entry(entry, answers), *notes, *undone]
    print_next_steps(answers, notes)
    return 0


def is_update(answers: dict[str, object]) -> bool:
    """Return whether cruft generates this in a temporary folder, to compare a project with it."""
    if not answers.get("_commit"):
        return False
    import tempfile

    # A folder as tempfile makes it, and nothing else: a project of one's own may be in /tmp, too.
    around = Path.cwd().resolve().parent
    is_made = around.parent == Path(tempfile.gettempdir()).resolve()
    return is_made and re.fullmatch(r"tmp[a-z0-9_]{8}", around.name) is not None


def remove_caches(project: Path) -> None:
    """Remove caches that were copied along with the template."""
    for path in [path for path in project.rglob("*") if path.name in CACHES]:
        if path.is_dir():
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def make_executable(path: Path) -> None:
    """Make a file executable for all who may read it; cookiecutter loses that from a zip file."""
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)


def set_up_tool(answers: dict[str, object], *, update: bool) -> list[str]:
    """Pin this project's version of the tool in lab.py; return what is left to do.

    That of a repository is pinned in lab.py. That of a folder on this computer is named in
    lab.local.toml, which git ignores; a folder that cruft compares with needs none.
    """
    folder = local_folder(answers)
    if folder is not None:
        return [] if update else name_folder(folder)
    url, commit = source_of_tool(answers)
    if url and COMMIT.fullmatch(commit):
        pin_tool(url, commit)
        return []
    return ["lab.py pins no version of the tool yet. To see how: uv run lab.py"]


def local_folder(answers: dict[str, object]) -> Path | None:
    """Return the folder that the template is, where it is one on this computer and no clone."""
    template = str(answers.get("_template", ""))
    if "_repo_dir" not in answers:  # cruft, which makes a path absolute
        return Path(template) if is_path(template) and Path(template).is_dir() else None
    if os.path.normpath(template) != os.path.normpath(str(answers["_repo_dir"])):
        return None
    return template_folder(answers)


def source_of_tool(answers: dict[str, object]) -> tuple[str | None, str]:
    """Return the address of the template's repository, and the commit this was made from.

    cruft says both. Otherwise the clone does, if it is one: below somebody's own repository git
    would answer for that.
    """
    if "_repo_dir" not in answers:
        return clean_address(str(answers.get("_template", ""))), str(answers.get("_commit", ""))
    clone = template_folder(answers)
    if clone is None:
        return None, ""
    git = git_command("-C", str(clone))
    top, _, commit = output_of(*git, "rev-parse", "--show-toplevel", "HEAD").partition("\n")
    if not top or Path(top).resolve() != clone.resolve():
        return None, ""
    return clean_address(remote_address(git)), commit


def remote_address(git: tuple[str, ...]) -> str:
    """Return where a clone comes from; git calls that `origin`, unless its user has set a name."""
    address = output_of(*git, "config", "--get", "remote.origin.url")
    if address:
        return address
    named = output_of(*git, "config", "--local", "--get-regexp", r"^remote\..*\.url$").splitlines()
    return named[0].partition(" ")[2] if len(named) == 1 else ""


def template_folder(answers: dict[str, object]) -> Path | None:
    """Return where the template is, which cookiecutter may give relative to its own folder.

    That folder is not among the answers. On Linux the process that runs this hook is in the
    template's; elsewhere it is the shell's, or the one that projects are written to.
    """
    name = answers.get("_repo_dir")
    if not name:
        return None
    parents = (os.environ.get("PWD", ""), str(answers.get("_output_dir", "")))
    places = [Path(f"/proc/{os.getppid()}/cwd"), *(Path(parent, str(name)) for parent in parents)]
    if Path(str(name)).is_absolute():
        places = [Path(str(name))]
    return next((one.resolve() for one in places if (one / "cookiecutter.json").is_file()), None)


def is_path(address: str) -> bool:
    """Return whether git would take an address for a path on this computer."""
    return "://" not in address and not re.match(r"[^/\\:]{2,}:", address)


def clean_address(address: str) -> str | None:
    """Return an address of a repository without password and the like, or None if uv has no use.

    `git@host:path` becomes a URL. Who logs in by SSH is a part of the address; by HTTPS it is not.
    """
    from urllib.parse import quote, urlsplit

    if is_path(address) or re.match(r"\w+::", address):  # the latter runs a program of git's
        return None
    if "://" not in address:
        host, _, path = address.partition(":")
        address = f"ssh://{host}/{path.lstrip('/')}"
    try:
        parts = urlsplit(address[4:] if address.startswith("git+") else address)
        place = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        place += f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or bool(place) is (parts.scheme == "file"):
        return None
    if parts.scheme == "ssh" and parts.username:
        place = f"{parts.username}@{place}"
    path = parts.path.rstrip("/")
    path = path[: -len(".git")] if path.endswith(".git") else path
    return f"{parts.scheme}://{quote(place, '@:[]%')}{quote(path, '/%@:+~')}"


def pin_tool(url: str, commit: str) -> None:
    """Write into lab.py which commit of the tool is used, and where its source can be read."""
    shown = f"{url} at commit {commit}."
    if re.match(r"https://[^/]*(github|gitlab)", url):
        shown = f"{url}/tree/{commit}"
    source = f"The tool is pinned above to one commit. Its source:\n{shown}\n"
    content = Path("lab.py").read_bytes().decode("utf-8").replace(NO_SOURCE, source, 1)
    pin = f'# dependencies = ["ml-remote @ git+{url}@{commit}"]\n'
    Path("lab.py").write_bytes(content.replace(NO_PIN, pin, 1).encode("utf-8"))


def name_folder(folder: Path) -> list[str]:
    """Write the folder of the tool's source to lab.local.toml; return what is left to do."""
    quoted = json.dumps(str(folder.resolve()), ensure_ascii=False).replace("\x7f", "\\u007f")
    content = (
        "# Settings for you alone: git ignores this file, and it overrides lab.toml.\n\n"
        f"[tool]\npath = {quoted}  # the source of `lab`\n"
    )
    try:
        Path("lab.local.toml").write_bytes(content.encode("utf-8"))
    except (OSError, UnicodeError) as error:
        return [f"lab.local.toml could not be written: {error}. To see what to do: uv run lab.py"]
    return [
        f"lab.py pins no version of lab; on this computer it uses {folder.resolve()}.",
        "For team mates, generate from the address of a repository: that version is pinned.",
    ]


def start_ssh_entry(answers: dict[str, object]) -> subprocess.Popen[str] | list[str]:
    """Start to write the SSH entry, if asked for; otherwise return what to print instead.

    `lab connect` does it, and says what it wrote; no machine is contacted. The interpreter that
    cookiecutter has can run it from the template's own source; otherwise uv brings both.
    """
    wanted = str(answers["write_ssh_entry"]).lower() in YES  # an old cookiecutter gives a text
    if not (wanted and answers["remote"]):
        return []
    variables = quiet_variables()
    template = template_folder(answers)
    if template is not None and sys.version_info >= (3, 11):  # cookiecutter may have an older one
        command = [sys.executable, "-m", "ml_remote"]
        variables["PYTHONPATH"] = str(template / "src")
    else:
        command = ["uv", "run", "--quiet", "--script", "lab.py"]
    # Both answers, so that lab.toml need not be read again for one of them.
    command += ["connect", "--offline", "--yes", "--alias", str(answers["ssh_alias"])]
    command += ["--", str(answers["remote"])]
    try:
        return subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # ssh would ask in the terminal
        )
    except OSError as error:
        return [f"{command[0]}: {error.strerror}", entry_later(answers)]


def finish_ssh_entry(
    entry: subprocess.Popen[str] | list[str], answers: dict[str, object]
) -> list[str]:
    """Wait for the SSH entry and say what was written; return what is left to do by hand."""
    if isinstance(entry, list):
        return entry
    try:
        said, warned = entry.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        end(entry)
        return [f"`lab connect` did not finish within {SECONDS} seconds.", entry_later(answers)]
    if entry.returncode != 0:
        # Its own next step is advice here: what comes next in the project is said at the end.
        lines = [re.sub("^Next: *", "", line) for line in warned.splitlines()]
        return [*lines, entry_later(answers)]
    # Left out: its own next step, for the hook ends with one that includes it; and the link for VS
    # Code, which without a key asks for a password, and which `lab up` opens.
    unwanted = ("Next:", "In VS Code:")
    print("\n".join(line for line in said.splitlines() if not line.startswith(unwanted)))
    return warned.splitlines()


def end(process: subprocess.Popen[str]) -> None:
    """End a program that has a session of its own, and what it has started."""
    if os.name == "nt":
        process.kill()
    else:
        import signal

        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def entry_later(answers: dict[str, object]) -> str:
    """Return how to get the SSH entry that was not written."""
    return f"No SSH entry was written. Later: {connect_command(answers)}"


def connect_command(answers: dict[str, object]) -> str:
    """Return the command that writes the SSH entry."""
    return f"uv run lab.py connect {answers['remote']}"


def set_up_git() -> tuple[bool, list[str]]:
    """Make the project a git repository; return if a commit was made, and what is left to do."""
    if Path(".git").exists():
        return False, []  # the person's own repository: what it commits is theirs to say
    begin = f"{STEP}git init && git checkout -b main && {COMMIT_ALL}"
    initialised = run_command(*git_command("init", "--quiet"))
    if initialised is None:
        return False, ["git is not installed, and `lab` needs it. Install it first.", begin]
    # A git before 2.28 has no option for the name of the branch.
    branch = git_command("symbolic-ref", "HEAD", "refs/heads/main")
    if initialised.returncode != 0 or not succeeds(*branch):
        return False, ["git init failed.", *initialised.stderr.splitlines(), begin]
    message = ("--message", "Start from ml-remote-template")
    for words in (("add", "."), ("commit", "--quiet", *message)):
        done = run_command(*git_command(*words))
        if done is None or done.returncode != 0:
            return False, why_uncommitted("" if done is None else done.stdout + done.stderr)
    if output_of("git", "config", "--bool", "commit.gpgSign") == "true":
        return True, [
            "The first commit is not signed, because signing may ask for a passphrase. To sign it:",
            "  git commit --amend --no-edit --gpg-sign",
        ]
    return True, []


def why_uncommitted(said: str) -> list[str]:
    """Return why nothing is committed, and what is left to do; `said` is what git printed."""
    if succeeds(*git_command("var", "GIT_AUTHOR_IDENT")):
        return [
            "Nothing was committed: git commit failed.",
            *said.splitlines(),
            f"{STEP}{COMMIT_ALL}",
        ]
    return [
        "Nothing was committed: git does not know who you are.",
        f'{STEP}git config --global user.name "Ada Lovelace"  # your own name',
        f"{STEP}git config --global user.email ada@example.com  # your own address",
        f"{STEP}{COMMIT_ALL}",
    ]


def git_command(*words: str) -> tuple[str, ...]:
    """Return the command that runs git with these words, and with our settings."""
    return ("git", *(word for setting in GIT_SETTINGS for word in ("-c", setting)), *words)


def print_next_steps(answers: dict[str, object], notes: list[str]) -> None:
    """Print what went wrong and what to do next: each line can be run as it is, in this order."""
    steps = [note[len(STEP) :] for note in notes if note.startswith(STEP)]
    for note in notes:
        if not note.startswith(STEP):
            print(f"  {note}", file=sys.stderr)
    # `up` would take the machine that the alias means now, which may be another one.
    wanted = str(answers["write_ssh_entry"]).lower() in YES
    missing = bool(answers["remote"]) and (not wanted or entry_later(answers) in notes)
    steps.append(connect_command(answers) if missing else "uv run lab.py up")
    print("Next:")
    for step in [f"cd {way_to_project()}", *steps]:
        print(f"  {step}")


def way_to_project() -> str:
    """Return the project's folder as the person's shell takes it, from where that shell is.

    PWD says where it is, or where it was before a program went elsewhere and called cookiecutter.
    A project that is not below that folder is named by its whole path.
    """
    project = Path.cwd().resolve()
    shell = os.environ.get("PWD")
    if shell and Path(shell).resolve() in project.parents:
        project = project.relative_to(Path(shell).resolve())
    encoding = sys.stdout.encoding or "utf-8"  # which may lack a letter of a folder above
    shown = str(project).encode(encoding, "backslashreplace").decode(encoding)
    if os.name == "nt":
        return subprocess.list2cmdline([shown])
    import shlex

    return shlex.quote(shown)


def run_command(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a command without asking anything and return what came of it; it never raises.

    None says that it could not be started. One that takes too long has failed.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            env=quiet_variables(),
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            command, 1, "", f"{command[0]} did not end within {SECONDS} seconds."
        )
    except OSError:
        return None


def quiet_variables() -> dict[str, str]:
    """Return the environment for a program that may ask nothing, nor be led to another folder."""
    removed = (*GIT_REMOVED, *PYTHON_REMOVED)
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    return {**kept, **ASK_NOTHING, "PYTHONDONTWRITEBYTECODE": "1"}


def succeeds(*command: str) -> bool:
    """Return whether a command can be run and succeeds."""
    done = run_command(*command)
    return done is not None and done.returncode == 0


def output_of(*command: str) -> str:
    """Return what a command prints, without the last line end; nothing if it fails."""
    done = run_command(*command)
    return done.stdout.rstrip("\r\n") if done is not None and done.returncode == 0 else ""


if __name__ == "__main__":
    raise SystemExit(main())
