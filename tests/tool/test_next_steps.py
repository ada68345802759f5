"""What `Next:` proposes follows from the state of things."""

from __future__ import annotations

import ast
import json
import os
import signal
from functools import partial
from pathlib import Path

import click
import openssh_server
import pytest
from remote_project import RemoteProject
from started import read_until
from tool_source import calls, modules

from ml_remote.cli import lab
from ml_remote.context import Context
from ml_remote.doctor import report
from ml_remote.doctor.findings import Finding, State, ok
from ml_remote.next_steps import Known, read_environment, what_next, what_to_open
from ml_remote.package_lists.local import digest_here
from ml_remote.project import Project
from ml_remote.ui.console import Console

LISTS = "[project]\nname = 'x'\ndependencies = ['numpy']\n"
NO_ENVIRONMENT = Known(has_environment=False)
OLDER = Known(lists="0" * 16)
RUN = "2026-01-02_03-04-05"


@pytest.mark.parametrize(
    ("known", "after", "labs", "step"),
    [
        (Known(is_sent=False), "lab status", ["a"], "lab up"),
        (Known(is_sent=False, has_environment=False), "lab up", ["a"], "lab setup"),
        (NO_ENVIRONMENT, "lab push", ["a"], "lab setup"),
        (NO_ENVIRONMENT, "lab setup", ["a"], "lab run labs/a.py"),
        (OLDER, "lab push", ["a"], "lab setup"),
        (Known(), "lab push", ["a"], "lab run labs/a.py"),
        (Known(), "lab push", ["mnistlab", "a"], "lab run labs/a.py"),
        (Known(), "lab push", ["treelab", "mnistlab"], "lab run labs/mnistlab.py"),
        (Known(), "lab push", ["b", "a"], "lab run labs/a.py"),  # the newest
        (Known(), "lab push", ["it's"], "lab run 'labs/it'\"'\"'s.py'"),
        (Known(), "lab push", [], "lab run -- COMMAND"),
        (Known(running=[RUN]), "lab status", ["a"], f"lab attach {RUN}"),
        (Known(running=[RUN]), f"lab attach {RUN}", ["a"], "lab run labs/a.py"),
        (Known(results="look at x"), "lab pull", ["a"], "look at x"),
        (Known(results="look at x", has_environment=False), "lab pull", ["a"], "lab setup"),
        (Known(results="look at x", running=[RUN]), "lab runs", ["a"], f"lab attach {RUN}"),
        (Known(session="lab jupyter"), "lab jupyter --list", ["a"], "lab jupyter"),
        (Known(), "lab doctor", ["_helpers", "b"], "lab run labs/b.py"),
        (Known(), "lab doctor", ["_helpers"], "lab run -- COMMAND"),
        (Known(is_local=True), "lab setup --local", ["a"], "lab run labs/a.py --local"),
        (
            Known(is_local=True, has_environment=False),
            "lab add --local",
            ["a"],
            "lab setup --local",
        ),
        (Known(is_local=True), "", [], "run your programs with .venv/bin/python"),
        (Known(is_written=False), "", ["a"], "the same without --dry-run"),
        (Known(left="git add a"), "lab add", ["a"], "git add a"),
        (Known(has_way=False, is_connected=False), "", ["a"], "lab connect user@address"),
        (Known(is_connected=False, is_asked=False), "", ["a"], "lab connect"),
        (Known(is_asked=False), "lab init", ["a"], "lab status"),
        (Known(is_project=False), "", [], "git status shows what is left"),
        (Known(data="pull"), "lab data status", ["a"], "lab data pull"),
        (Known(secrets=0), "lab secret list", ["a"], "lab secret set NAME"),
        (Known(secrets=1), "lab secret list", ["a"], "lab run labs/a.py"),
    ],
)
def test_next_step_follows_from_what_is_known(
    tmp_path: Path, known: Known, after: str, labs: list[str], step: str
) -> None:
    (tmp_path / "labs").mkdir()
    for time, name in enumerate(labs):
        (tmp_path / "labs" / f"{name}.py").touch()
        os.utime(tmp_path / "labs" / f"{name}.py", (time, time))
    (tmp_path / "pyproject.toml").write_text(LISTS)
    context = Context(project=Project(root=tmp_path))
    assert what_next(context, known, after=after) == step


def test_every_next_step_is_decided_in_one_place() -> None:
    """What a command proposes is what what_next() returns, or a function that returns that."""
    strange = []
    proposing = {path for path, call in calls() if _name(call) == "next_step"}
    assert len(proposing) > 10
    for path in proposing:
        tree = modules()[path]
        deciding = {"what_next"}
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                ends = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
                if ends and all(_name(one) == "what_next" for one in ends):
                    deciding.add(function.name)
        strange += [
            f"{path}, line {call.lineno}: {ast.unparse(call)}"
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and _name(call) == "next_step"
            and not {*map(_name, call.args)} <= deciding
        ]
    assert strange == []


def _name(call: ast.AST | None) -> str:
    """Return the name of the function that a call is of; empty for all else."""
    if not isinstance(call, ast.Call):
        return ""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def test_environment_made_from_the_lists_that_are_here_is_not_older(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(LISTS)
    context = Context(project=Project(root=tmp_path))
    known = read_environment(["complete", digest_here(tmp_path)])
    assert what_next(context, known) == "lab run -- COMMAND"
    (tmp_path / "pyproject.toml").write_text(LISTS.replace("numpy", "scipy"))
    assert what_next(context, known) == "lab setup"
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")  # told by what reads the lists
    assert what_next(context, known) == "lab run -- COMMAND"


def test_no_setup_is_proposed_that_would_find_no_list(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "x"\n')
    context = Context(project=Project(root=tmp_path))
    assert what_next(context, NO_ENVIRONMENT).startswith("list the packages in requirements.txt")
    (tmp_path / "Pipfile").touch()
    assert "pipenv requirements" in what_next(context, NO_ENVIRONMENT)
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert what_next(context, NO_ENVIRONMENT) == "lab setup"


def test_answer_about_the_environment_that_cannot_be_so_tells_nothing() -> None:
    for fields in ([], ["x"], ["complete\x1b[2J", "abc"], ["; reboot"]):
        assert read_environment(fields) == Known()
    assert read_environment(["complete", "$(id)"]) == Known()
    assert read_environment(["incomplete", "-"]) == NO_ENVIRONMENT


def test_editor_is_told_to_open_what_is_there(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    assert what_to_open(project) == "a script with cells (# %%)"
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "a.py").touch()
    assert what_to_open(project) == "labs/a.py"


def test_every_command_for_another_machine_is_proposed_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.alias = "second"
    context = click.Context(lab)
    for name in lab.list_commands(context):
        command = lab.get_command(context, name)
        assert command is not None
        console.next_step(f"lab {name}")
        # `lab init` names a machine, and speaks to none.
        takes_alias = name != "init" and any("--alias" in one.opts for one in command.params)
        assert ("--alias second" in capsys.readouterr().out) == takes_alias, name


@pytest.mark.parametrize(
    ("environment", "step"), [("ok", "lab run labs/a.py"), ("warning", "lab setup")]
)
def test_doctor_proposes_what_is_left_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: State,
    step: str,
) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "a.py").touch()
    (tmp_path / "pyproject.toml").write_text(LISTS)
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "x"\n')
    finding = Finding(name="environment", state=environment, detail="x", remedy="lab setup")
    monkeypatch.setattr(report, "examine", lambda *_: [ok("ssh", "x"), finding])
    assert report.doctor(Context(project=Project(root=tmp_path)))
    assert capsys.readouterr().out.splitlines()[-1] == f"Next: {step}"


def step_after(remote_project: RemoteProject, *command: str) -> str:
    """Run a command, which must not fail; return what it proposes to do next."""
    done = remote_project.lab(*command)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Next: "), done.stdout
    proposed = last.removeprefix("Next: ")
    assert proposed != f"lab {' '.join(command)}"
    return proposed


@pytest.mark.slow
def test_each_command_proposes_what_the_state_of_things_asks_for(
    remote_project: RemoteProject,
) -> None:
    step = partial(step_after, remote_project)
    assert step("connect", "--offline") == "lab connect"
    assert step("init") == "uv run lab.py status"
    assert step("connect") == "lab up"
    assert step("status") == "lab up"
    assert step("push") == "lab setup"
    assert step("connect") == step("status") == "lab setup"
    remote_project.server.account.write(
        f"{remote_project.name}/.venv/bin/python", "#!/bin/sh\n", mode=0o755
    )
    for command in (["connect"], ["push"], ["status"], ["runs"], ["stop"], ["jupyter", "--stop"]):
        assert step(*command) == "lab run labs/mnistlab.py", command
    assert step("secret", "list") == "lab secret set NAME"
    remote_project.server.account.write(
        f"{remote_project.name}/.lab/secrets/A_KEY", "secret value", mode=0o600
    )
    assert step("secret", "list") == step("secret", "remove", "A_KEY") == "lab run labs/mnistlab.py"
    assert step("stop", "--kernel") == "lab run labs/mnistlab.py"
    (remote_project.project.path / "data").mkdir(exist_ok=True)
    (remote_project.project.path / "data" / "x").write_text("x")
    assert step("data", "status") == "lab data push"
    assert step("data", "push") == step("data", "status") == "lab run labs/mnistlab.py"
    assert step("code").startswith("in VS Code, open labs/mnistlab.py")
    way = remote_project.start_lab("forward", f"{openssh_server.free_port()}:./app.sock")
    read_until(way, "Next: Ctrl-C closes the tunnel")
    way.send_signal(signal.SIGINT)
    assert read_until(way, "Next: ").splitlines()[-1] == "Next: lab status"
    assert step("disconnect", "--yes") == "lab connect"  # the person's own entry leads there
    assert step("disconnect", "--alias", "x", "--yes") == "lab connect --alias x user@address"
    assert step("jupyter", "--list") == "lab jupyter starts one"
    attach = step("run", "--detach", "--", "sleep", "600")
    assert attach.startswith("lab attach 2")
    assert step("runs") == step("status") == attach
    assert step("stop") == step("runs") == "lab pull fetches all results"
    assert step("run", "--", "true") == "lab runs"  # it left no results
    latest = json.loads(remote_project.lab("runs", "--json").stdout)["runs"][-1]["id"]
    assert step("runs", "--remove", latest, "--yes") == "lab pull fetches all results"
    assert step("pull") == "lab run labs/mnistlab.py"
    (remote_project.project.path / "labs" / "mnistlab.py").rename(
        remote_project.project.path / "labs" / "zoo.py"
    )
    (remote_project.project.path / "labs" / "treelab.py").unlink()
    assert step("push") == step("pull") == "lab run labs/zoo.py"
    (remote_project.project.path / "labs" / "zoo.py").unlink()
    assert step("push") == step("pull") == "lab run -- COMMAND"
    results = remote_project.project.path / "outputs" / "mine"
    results.mkdir(parents=True)
    assert step("pull") == "look at outputs/"
