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
from environment_events import build_wheel
from hooks_as_modules import load_hook
from remote_project import RemoteProject
from tool.hostile_settings import THERE_TOO, hostile, is_untouched, plain_git

from ml_remote import far, git
from ml_remote.errors import LabError
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
from ml_remote.package_lists.lock import lock_text
from ml_remote.ssh.agents import agent_variables
from ml_remote.ssh.client import Client
from ml_remote.ssh.configuration import home_directory
from ml_remote.ssh.ssh_directory import include_line, ssh_options

LOGIN = Path(far.__file__).parent / "login"
# A server of an ordinary user's starts that user's own shell, by $SHELL.
OWN_SHELL = () if os.geteuid() == 0 else ("BASH_ENV", "SHELL")


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


@pytest.mark.slow
def test_bound_that_is_in_no_list_is_named_where_nothing_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, wanted, own = (tmp_path / name for name in ("wheels", "wanted.txt", "own.txt"))
    build_wheel(wheels, "alpha", "1.0")
    wanted.write_text("alpha>=1\n")
    own.write_text("alpha<1\n")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    monkeypatch.chdir(tmp_path)
    for name in ("UV_CONSTRAINT", "UV_OVERRIDE", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    work = Work(tmp_path, tmp_path / "env", find_lists(tmp_path), Settings())
    python = str(tmp_path / "env" / "bin" / "python")
    source = ["--no-index", "--find-links", str(wheels)]
    commands = {
        "uv": ["uv", "pip", "install", "--python", python, *source, "--requirement", str(wanted)],
        "pip": [python, "-m", "pip", "install", *source, "--requirement", str(wanted)],
    }

    def told(program: str) -> str:
        done = subprocess.run(commands[program], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stdout
        failure = explain_network(done.stdout + done.stderr, work, program=program)
        assert failure is not None
        return "\n".join(failure.hints)

    def locking_says() -> str:
        with pytest.raises(LabError) as caught:
            lock_text(tmp_path, ["alpha>=1"], python="3.11")
        return caught.value.message

    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    for program in ("uv", "pip"):
        name = f"{program.upper()}_CONSTRAINT"
        monkeypatch.setenv(name, str(own))
        said = f"{program} also obeys {own}. To undo that: unset {name}"
        assert said in told(program)
        if program == "uv":
            assert said in locking_says()
        monkeypatch.delenv(name)
    (tmp_path / "uv.toml").write_text('constraint-dependencies = ["alpha<1"]\n')
    assert f"uv also obeys constraint-dependencies in {tmp_path}/uv.toml." in told("uv")
    assert "constraint-dependencies" in locking_says()
    (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {own}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert "To undo that: python3 -m pip config unset global.constraint" in told("pip")


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
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    here, other_here, ran_here = hostile(tmp_path / "strange")
    home = remote_project.server.account.home
    there, other_there, ran_there = hostile(home / "strange")
    settings = home / "strange" / "settings"
    for name, value in THERE_TOO.items():
        plain_git(home, "config", "--file", str(settings), name, value)
    subprocess.run(["chmod", "-R", "a+rX", home / "strange"], check=True)
    remote_project.server.stop()
    set_env = [f'"{name}={value}"' for name, value in there.items() if name not in OWN_SHELL]
    remote_project.server.start(SetEnv=" ".join(set_env))

    done = remote_project.lab("push", **here)
    assert (done.returncode, "Pushed 2 commits" in done.stdout) == (0, True), done.stderr
    head = remote_project.commit("größe.txt", "new")
    done = remote_project.lab("push", **here)
    assert "Pushed 1 commit" in done.stdout, done.stderr
    assert plain_git(remote_project.folder, "rev-parse", "HEAD") == head
    assert (remote_project.folder / "größe.txt").read_text() == "new"

    remote_project.write_there("größe.txt", "there")
    identity = ("-c", "user.name=Tess", "-c", "user.email=t@example.com")
    plain_git(remote_project.folder, *identity, "commit", "--quiet", "--all", "--message", "There")
    subprocess.run(["chown", "-R", f"--reference={home}", remote_project.folder], check=True)
    done = remote_project.lab("pull", **here)
    assert done.returncode == 0, done.stderr
    assert (remote_project.project.path / "größe.txt").read_text() == "there"

    # Runs, results and all that is asked of the machine.
    remote_project.have_environment()
    words = 'echo "größe" >"$LAB_OUTPUT_DIR/größe.txt"; echo "$PAGER"'
    done = remote_project.lab("run", "--name", "mine", "--", "sh", "-c", words, **here)
    assert done.returncode == 0, done.stderr
    assert f"{home}/strange/program" in done.stderr  # what is the person's stays for the program
    (result,) = (remote_project.project.path / "outputs" / "mine").glob("*/größe.txt")
    assert result.read_text() == "größe\n"
    assert "mine" in remote_project.lab("runs", **here).stdout
    assert remote_project.lab("status", "--json", **here).returncode == 0
    checks = json.loads(remote_project.lab("doctor", "--json", **here).stdout)["checks"]
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
    remote_project.commit("new.txt", "new")
    done = remote_project.lab("push", **here)
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
