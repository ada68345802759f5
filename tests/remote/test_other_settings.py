"""Other people's variables and settings of git lead nothing of ours astray, here and there.

Each row is one variable or setting; all of them are set at once, on the laptop and on the machine,
while a project is generated, pushed and pulled. Every program is the real one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from baking import TEMPLATE_ROOT, TOOL
from hooks_as_modules import load_hook
from place import Place

from ml_remote import far, git
from ml_remote.far.login.environment.commands import answer
from ml_remote.far.login.environment.failures import Failure
from ml_remote.far.login.environment.lists import find_lists
from ml_remote.far.login.environment.managers.base import Work
from ml_remote.far.login.environment.managers.installing import refuse_other_target_of_uv
from ml_remote.far.login.environment.managers.network import explain_network
from ml_remote.far.login.environment.managers.pip import Pip
from ml_remote.far.login.environment.settings import Settings
from ml_remote.far.login.variables import REMOVED as PYTHON_REMOVED
from ml_remote.login.host_keys import known_hosts_file
from ml_remote.login.logins import with_key_alone
from ml_remote.ssh.agents import agent_variables
from ml_remote.ssh.client import Client
from ml_remote.ssh.configuration import home_directory
from ml_remote.ssh.ssh_directory import include_line, ssh_options

LOGIN = Path(far.__file__).parent / "login"

# {other} is a repository of somebody else's, {program} a program that must not run.
VARIABLES = {
    "GIT_DIR": "{other}/.git",
    "GIT_WORK_TREE": "{other}",
    "GIT_INDEX_FILE": "{other}/.git/index",
    "GIT_OBJECT_DIRECTORY": "{other}/.git/objects",
    "GIT_COMMON_DIR": "{other}/.git",
    "GIT_PREFIX": "labs/",
    "GIT_NAMESPACE": "other",
    "GIT_SHALLOW_FILE": "/nowhere",
    "GIT_GRAFT_FILE": "/nowhere",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_ALLOW_PROTOCOL": "https",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_EXTERNAL_DIFF": "{program}",
    "GIT_TRACE": "1",
    "GIT_TRACE_PACKET": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.worktree",
    "GIT_CONFIG_VALUE_0": "/nowhere",
    "GIT_ASKPASS": "{program}",
    "GIT_EDITOR": "{program}",
    "GIT_PAGER": "{program}",
    "RSYNC_RSH": "{program}",
    "RSYNC_PROTECT_ARGS": "0",
    "RSYNC_ICONV": "utf-8,latin1",
    "RSYNC_PARTIAL_DIR": "/nowhere",
    "RSYNC_CHECKSUM_LIST": "md4",
    "LC_ALL": "POSIX",
    "LANGUAGE": "de",
    "SSH_ASKPASS": "{program}",
    "SSH_ASKPASS_REQUIRE": "force",
    "SSH_AUTH_SOCK": "",
    "SSH_SK_PROVIDER": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONBREAKPOINT": "nowhere.at_all",
    "PYTHONPYCACHEPREFIX": "/nowhere",
    "PYTHONVERBOSE": "",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONNODEBUGRANGES": "1",
    "PYTHONFAULTHANDLER": "1",
    "TMPDIR": "/nowhere",
    "POSIXLY_CORRECT": "1",
    "CDPATH": "/tmp",
    "BASH_ENV": "{program}",
    "ENV": "{program}",
    "LD_PRELOAD": "/nowhere.so",
    "LD_LIBRARY_PATH": "/nowhere",
    "GREP_OPTIONS": "--color=always",
    "GREP_COLORS": "mt=1",
    "TAR_OPTIONS": "--verbose",
    "LESS": "-e",
    "PAGER": "{program}",
    "EDITOR": "{program}",
    "VISUAL": "{program}",
    "BROWSER": "{program}",
    "COLUMNS": "20",
    "LINES": "3",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "TERM": "dumb",
    "IFS": ",",
    "SHELLOPTS": "xtrace",
    "PS4": "traced ",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "BLOCK_SIZE": "1M",
    "DF_BLOCK_SIZE": "7",
    "TIME_STYLE": "full-iso",
    "QUOTING_STYLE": "shell",
    "TMOUT": "1",
    "TZ": "Nowhere/Land",
    "DISPLAY": ":99",
    "SHELL": "/bin/false",
    "USER": "nobody",
    "LOGNAME": "nobody",
    "HOSTNAME": "elsewhere",
    "PWD": "/nowhere",
    "OLDPWD": "/nowhere",
    "COMP_WORDS": "x",
    "CLICK_COLOR": "always",
    "EMAIL": "x",
    "LAB_DEBUG": "",
}
SETTINGS = {
    "advice.detachedHead": "false",
    "color.diff": "always",
    "color.push": "always",
    "color.remote": "always",
    "color.status": "always",
    "color.transport": "always",
    "color.ui": "always",
    "commit.gpgSign": "true",
    "core.abbrev": "4",
    "core.askPass": "{program}",
    "core.autocrlf": "input",
    "core.editor": "{program}",
    "core.fsmonitor": "{program}",
    "core.pager": "{program}",
    "core.quotePath": "true",
    "core.safecrlf": "true",
    "credential.helper": "!{program}",
    "diff.external": "{program}",
    "diff.ignoreSubmodules": "none",
    "diff.noprefix": "true",
    "diff.orderFile": "/nowhere",
    "diff.renames": "copies",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "fetch.recurseSubmodules": "true",
    "format.pretty": "raw",
    "gpg.program": "{program}",
    "i18n.logOutputEncoding": "latin1",
    "init.defaultBranch": "trunk",
    "log.date": "relative",
    "log.follow": "true",
    "log.showSignature": "true",
    "merge.autoStash": "true",
    "merge.ff": "false",
    "protocol.allow": "never",
    "pull.rebase": "true",
    "push.followTags": "true",
    "push.gpgSign": "true",
    "push.negotiate": "true",
    "push.pushOption": "ci.skip",
    "push.recurseSubmodules": "on-demand",
    "rerere.enabled": "true",
    "safe.bareRepository": "explicit",
    "status.relativePaths": "true",
    "status.renames": "copies",
    "status.showUntrackedFiles": "no",
    "submodule.recurse": "true",
    "url.https://elsewhere.invalid/.insteadOf": "machine:",
    "url.https://elsewhere.invalid/.pushInsteadOf": "machine:",
}
THERE_TOO = {"receive.denyCurrentBranch": "refuse", "receive.denyNonFastForwards": "true"}


def plain_git(folder: Path, *arguments: str) -> str:
    """Run git as nobody's settings have it, and return what it prints."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def filled(table: dict[str, str], **values: str) -> dict[str, str]:
    return {name: value.format(**values) for name, value in table.items()}


def hostile(folder: Path) -> tuple[dict[str, str], Path, Path]:
    """Return variables with all settings, the other repository, and what the program leaves."""
    folder.mkdir(exist_ok=True)
    other, program, ran = folder / "other", folder / "program", folder / "ran"
    plain_git(folder, "init", "--quiet", str(other))
    (other / "file").write_text("theirs\n")
    plain_git(other, "add", ".")
    identity = ("-c", "user.name=Other", "-c", "user.email=o@example.com")
    plain_git(other, *identity, "commit", "--quiet", "--message", "Theirs")
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$0 $*\" >>'{ran}'\nexit 1\n")
    program.chmod(0o755)
    values = {"other": str(other), "program": str(program)}
    settings = {"user.name": "Tess Ter", "user.email": "tess@example.com"}
    settings |= filled(SETTINGS, **values)
    for name, value in settings.items():
        plain_git(folder, "config", "--file", str(folder / "settings"), "--add", name, value)
    variables = filled(VARIABLES, **values)
    return variables | {"GIT_CONFIG_GLOBAL": str(folder / "settings")}, other, ran


def is_untouched(other: Path) -> bool:
    return (
        plain_git(other, "log", "--format=%s", "--all") == "Theirs"
        and plain_git(other, "status", "--porcelain") == ""
        and [path.name for path in other.iterdir() if path.name != ".git"] == ["file"]
    )


def test_every_variable_that_git_calls_local_is_removed_everywhere() -> None:
    listed = plain_git(Path.cwd(), "rev-parse", "--local-env-vars").split()
    assert set(listed) <= set(git.REMOVED)
    assert set(listed) <= set(load_hook("post_gen_project").GIT_REMOVED)
    words = (LOGIN / "git.sh").read_text().split()
    assert set(git.REMOVED) | set(git.SETTINGS) <= set(words)
    assert set(PYTHON_REMOVED) <= set((LOGIN / "clean.sh").read_text().split())


def test_managers_of_an_environment_get_no_variables_that_lead_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    led = (
        *PYTHON_REMOVED, "PIP_TARGET", "PIP_PREFIX", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT",
        "UV_SYSTEM_PYTHON", "CONDA_DRY_RUN",
    )  # fmt: skip
    for name in (*led, "GIT_DIR", "PIP_USER", "PIP_REQUIRE_VIRTUALENV"):
        monkeypatch.setenv(name, "elsewhere")
    listing = "import os; print(*(f'{name}={value}' for name, value in os.environ.items()))"
    told = answer([sys.executable, "-S", "-c", listing])
    assert told is not None
    given = dict(word.partition("=")[::2] for word in told.split())
    assert given.keys().isdisjoint({*led, "GIT_DIR"})
    assert given["PIP_USER"] == given["PIP_REQUIRE_VIRTUALENV"] == "0"


def test_uninstalling_leaves_the_packages_of_the_home_directory(tmp_path: Path) -> None:
    """pip takes what is in ~/.local first where it sees it, as in an environment of conda."""
    python = tmp_path / "bin" / "python"  # a stand-in, which only tells how it was started
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$PYTHONNOUSERSITE $*" >"{tmp_path}/told"\n')
    python.chmod(0o755)
    nothing: Any = None
    Pip("pip").remove(Work(tmp_path, tmp_path, lists=nothing, settings=nothing), ["a"])
    assert (tmp_path / "told").read_text().startswith("1 -m pip uninstall --yes ")


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ('native-tls = true\n[pip]\nno-deps = false\ntarget = "/x"\n', True),
        ('[pip]\nprefix = "/x"\n', True),
        ('[pip]\n# target = "/x"\n[[index]]\nprefix = "/x"\n', False),
        ('target = "/x"\n', False),
    ],
)
def test_uv_that_would_install_elsewhere_is_named_with_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, is_refused: bool
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "uv" / "uv.toml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(Failure) if is_refused else nullcontext() as caught:
        refuse_other_target_of_uv(tmp_path)
    if caught is not None:
        assert f"{file} says " in str(caught.value)
        assert '= "/x" under [pip]' in str(caught.value)


@pytest.mark.parametrize(
    ("program", "variable", "text"),
    [
        ("uv", "UV_OFFLINE", "cause: Because numpy was not found in the cache\n\nhint: Packages "
         "were unavailable because the network was disabled."),
        ("pip", "PIP_NO_INDEX", "ERROR: Could not find a version that satisfies the requirement "
         "numpy (from versions: none)"),
    ],
)  # fmt: skip
def test_variable_that_forbids_the_network_is_named_with_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, variable: str, text: str
) -> None:
    work = Work(tmp_path, tmp_path, find_lists(tmp_path), Settings())
    monkeypatch.setenv(variable, "1")
    found = explain_network(text, work, program=program)
    assert f"the variable {variable} is 1." in str(found)
    monkeypatch.setenv(variable, "0")
    found = explain_network(text, work, program=program)
    assert variable not in str(found)
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("LAB_WHEELS", "/wheels")
    assert variable not in str(explain_network(text, work, program=program))


def test_tilde_means_the_home_directory_that_ssh_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/elsewhere")
    agent = {"identityagent": ["~/.ssh/agent"]}
    assert agent_variables(agent) == {"SSH_AUTH_SOCK": str(home_directory() / ".ssh/agent")}
    assert known_hosts_file({"userknownhostsfile": ["~/.ssh/known_hosts"]}) == (
        home_directory() / ".ssh/known_hosts"
    )


def test_key_of_an_entry_is_the_only_one_in_another_directory_too(tmp_path: Path) -> None:
    """ssh tries its default keys only where no other is named; so a proof must not, either."""
    (tmp_path / "ml-remote.d").mkdir()
    (tmp_path / "config").write_text(f"{include_line(tmp_path)}\n")
    (tmp_path / "ml-remote.d" / "named.conf").write_text('Host named\n  IdentityFile "/a"\n')
    own = tmp_path / "id_ed25519"
    own.touch()
    named, other = (Client(alias=alias, directory=tmp_path) for alias in ("named", "other"))
    assert named.resolve()["identityfile"] == ["/a"]
    assert other.resolve()["identityfile"] == [str(own)]
    assert with_key_alone(other, Path("/b")).resolve()["identityfile"] == ["/b"]
    shutil.rmtree(Path(ssh_options(tmp_path)[1]).parent)  # as what tidies /tmp does
    assert named.resolve()["identityfile"] == ["/a"]


@pytest.mark.parametrize(
    ("version", "is_old"),
    [
        ("git version 1.8.3.1", True),
        ("git version 2.9.5", True),
        ("git version 2.10.0", True),
        ("git version 2.11.0", False),
        ("git version 2.39.5 (Apple Git-154)", False),
        ("git version 3.0.0-rc1", False),
    ],
)
def test_old_git_is_told_by_its_version_here_and_there(
    tmp_path: Path, version: str, is_old: bool
) -> None:
    assert git.is_old(version) is is_old
    stand_in = tmp_path / "git"  # a stand-in: an old git answers this, and is asked nothing else
    stand_in.write_text(f"#!/bin/sh\necho '{version}'\n")
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", (LOGIN / "git.sh").read_text() + "is_old_git"],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )
    assert (done.returncode == 0) is is_old


def test_a_cookiecutter_that_renders_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = load_hook("pre_gen_project")
    # A stand-in for cookiecutter 1.7, which leaves what begins with two underscores unrendered.
    answers = (TEMPLATE_ROOT / "cookiecutter.json").read_text(encoding="utf-8")
    monkeypatch.setattr(hook, "ANSWERS_AS_JSON", answers)
    assert hook.main() == 1
    assert "is too old; this template needs 2.0 or newer" in capsys.readouterr().err


@pytest.mark.slow
def test_generating_in_a_hook_of_another_repository_leaves_that_alone(tmp_path: Path) -> None:
    variables, other, ran = hostile(tmp_path / "strange")
    command = [sys.executable, "-m", "cookiecutter", "--no-input", str(TEMPLATE_ROOT)]
    done = subprocess.run(
        [*command, "--output-dir", str(tmp_path), "write_ssh_entry=no"],
        cwd=tmp_path,
        env={**os.environ, **variables, "PYTHONSTARTUP": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    project = tmp_path / "handwriting-lab"
    assert plain_git(project, "log", "--format=%an", "main") == "Tess Ter"
    assert plain_git(project, "status", "--porcelain") == ""
    assert plain_git(project, "rev-parse", "--show-object-format") == "sha1"
    assert "The first commit is not signed" in done.stderr
    assert is_untouched(other)
    assert not ran.exists(), ran.read_text()


@pytest.mark.slow
def test_commits_go_there_and_back_with_everything_set_on_both_sides(
    place: Place, tmp_path: Path
) -> None:
    here, other_here, ran_here = hostile(tmp_path / "strange")
    home = place.server.account.home
    there, other_there, ran_there = hostile(home / "strange")
    settings = home / "strange" / "settings"
    for name, value in THERE_TOO.items():
        plain_git(home, "config", "--file", str(settings), name, value)
    subprocess.run(["chmod", "-R", "a+rX", home / "strange"], check=True)
    place.server.stop()
    place.server.start(SetEnv=" ".join(f'"{name}={value}"' for name, value in there.items()))

    done = place.lab("push", **here)
    assert (done.returncode, "Pushed 2 commits" in done.stdout) == (0, True), done.stderr
    head = place.commit("größe.txt", "new")
    done = place.lab("push", **here)
    assert "Pushed 1 commit" in done.stdout, done.stderr
    assert plain_git(place.folder, "rev-parse", "HEAD") == head
    assert (place.folder / "größe.txt").read_text() == "new"

    place.write_there("größe.txt", "there")
    identity = ("-c", "user.name=Tess", "-c", "user.email=t@example.com")
    plain_git(place.folder, *identity, "commit", "--quiet", "--all", "--message", "There")
    subprocess.run(["chown", "-R", f"--reference={home}", place.folder], check=True)
    done = place.lab("pull", **here)
    assert done.returncode == 0, done.stderr
    assert (place.project.path / "größe.txt").read_text() == "there"

    # Runs, results and all that is asked of the machine.
    place.write_there(".lab/envs/one/bin/python", '#!/bin/sh\nexec python3 "$@"\n')
    (place.folder / ".lab/envs/one/bin/python").chmod(0o755)
    (place.folder / ".venv").symlink_to(".lab/envs/one")
    words = 'echo "größe" >"$LAB_OUTPUT_DIR/größe.txt"; echo "$PAGER"'
    done = place.lab("run", "--name", "mine", "--", "sh", "-c", words, **here)
    assert done.returncode == 0, done.stderr
    assert f"{home}/strange/program" in done.stderr  # what is the person's stays for the program
    (result,) = (place.project.path / "outputs" / "mine").glob("*/größe.txt")
    assert result.read_text() == "größe\n"
    assert "mine" in place.lab("runs", **here).stdout
    assert place.lab("status", "--json", **here).returncode == 0
    checks = json.loads(place.lab("doctor", "--json", **here).stdout)["checks"]
    wrong = {check["name"] for check in checks if check["state"] not in ("ok", "skipped")}
    assert wrong == {"temporary"}, checks

    assert is_untouched(other_here)
    assert is_untouched(other_there)
    assert not ran_here.exists(), ran_here.read_text()
    assert not ran_there.exists(), ran_there.read_text()

    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text("#!/bin/sh\necho 'No pushes on Fridays' >&2\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    plain_git(tmp_path, "config", "--file", here["GIT_CONFIG_GLOBAL"], "core.hooksPath", str(hooks))
    place.commit("new.txt", "new")
    done = place.lab("push", **here)
    assert done.returncode == 1
    assert "No pushes on Fridays" in done.stderr


def test_another_click_on_pythonpath_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('another click')\n")
    done = subprocess.run(
        [sys.executable, "-c", "from ml_remote.cli import main; print('ours')"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{TOOL}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ours\n", done.stderr


def test_plain_words_reach_nushell_unquoted(tmp_path: Path) -> None:
    client = Client(alias="machine", directory=tmp_path)  # nushell prints a quoted word
    assert client.command("sh")[-1] == "sh"
    assert client.command("git", "a b")[-1] == "git 'a b'"
