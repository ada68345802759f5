"""The command line: ways to start it, help, exit codes, errors in words."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from openssh_server import Laptop
from tool_helpers import Lab, at_terminal

from ml_remote import cli
from ml_remote.exit_codes import OWN_FAILURE
from ml_remote.settings import FORMAT

COMMANDS = sorted(cli.lab.commands)
ARGUMENTS = {
    "new": ["leaves"],
    "run": ["labs/a.py"],
    "add": ["x"],
    "remove": ["x"],
    "forward": ["80"],
    "shell": ["ls"],
    "secret": ["list"],
    "data": ["status"],
}


def test_starts_as_a_script_and_as_a_module(lab: Lab, default_project: BakedProject) -> None:
    as_script = lab("--help")
    as_module = default_project.run(sys.executable, "-B", "-m", "ml_remote", "--help")
    elsewhere = subprocess.run(
        [sys.executable, "-B", default_project.path / "lab.py", "--help"],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert as_script.returncode == 0
    assert as_script.stdout.startswith("Usage: lab [OPTIONS] COMMAND")
    assert as_script.stdout == as_module.stdout == elsewhere.stdout


@pytest.mark.slow
@pytest.mark.parametrize("start", [["./lab.py"], ["uv", "run", "lab.py"]], ids=" ".join)
def test_starts_by_its_own_metadata(default_project: BakedProject, start: list[str]) -> None:
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    before = sorted(default_project.path.iterdir())
    done = default_project.run(
        *start,
        "--help",
        PATH=search,
        PYTHONPATH="",
        UV_PYTHON=sys.executable,
        LAB_TOOL=str(TEMPLATE_ROOT),
    )
    assert done.stdout.startswith("Usage: lab")
    assert sorted(default_project.path.iterdir()) == before  # no .venv, no uv.lock


@pytest.mark.slow
def test_package_asks_for_what_it_imports() -> None:
    metadata = tomllib.loads((TEMPLATE_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {
        re.split(r"[^\w-]", name)[0].replace("-", "_")
        for name in metadata["project"]["dependencies"]
    }
    imported = set()
    for path in (TOOL / "ml_remote").rglob("*.py"):
        if "far" in path.relative_to(TOOL).parts:
            continue  # has the machine's own packages
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names - {"ml_remote"} == asked


def test_help_imports_nothing_heavy(default_project: BakedProject) -> None:
    show = (
        "import sys; from ml_remote.cli import main; main(['--help']); print(*sorted(sys.modules))"
    )
    done = default_project.run(sys.executable, "-B", "-c", show)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ml_remote.cli" in loaded
    assert not {"rich.console", "subprocess", "tomllib", "asyncio"} & loaded


def test_run_of_one_lab_imports_nothing_of_sweeps_or_of_copying_before_it_begins() -> None:
    show = (
        "import sys, ml_remote.commands.run, ml_remote.run, ml_remote.runs.launchers.one_machine; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "ml_remote.jobs" in loaded
    late = ("ml_remote.runs.sweeps", "ml_remote.transfer", "ml_remote.runs.listing")
    assert not [name for name in loaded if name.startswith(late)]


def test_version_names_the_tool_its_commit_and_the_format(
    default_project: BakedProject, tmp_path: Path
) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=TEMPLATE_ROOT, capture_output=True, text=True
    ).stdout.strip()
    said = default_project.run(sys.executable, "-B", "-m", "ml_remote", "--version").stdout
    assert said == f"lab 0.1.0 from {TEMPLATE_ROOT}, commit {commit}, format {FORMAT}\n"


def test_folder_without_a_project_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--help"], ["--version"], ["up", "--help"], ["completion", "bash"]):
        assert cli.main(words) == 0
    capsys.readouterr()
    lines = [[name, *ARGUMENTS.get(name, [])] for name in COMMANDS]
    for name, *words in [*lines, ["show", "2026-01-02"]]:
        if name not in ("completion", "init"):
            code = OWN_FAILURE if name in ("attach", "shell") else 1
            assert cli.main([name, *words]) == code, name
            printed = capsys.readouterr().err
            assert f"There is no lab.toml in {tmp_path}" in printed
            assert len(printed.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("run --", 125),
        ("run --bogus -- true", 125),
        ("run lab -- true", 125),
        ("run --env 1A=x -- true", 125),
        ("run lab --bogus", 2),
        ("runs --wait --bogus", 125),
        ("runs --wait --all", 125),
        ("runs --bogus", 2),
        ("attach --bogus", 125),
        ("shell --bogus", 125),
        ("--bogus shell", 125),
        ("status --bogus", 2),
    ],
)
def test_own_failures_are_told_from_those_of_a_program(
    default_project: BakedProject, words: str, code: int
) -> None:
    assert cli.main(words.split(), root=default_project.path) == code


@pytest.mark.parametrize("failure", [KeyboardInterrupt, BrokenPipeError, ZeroDivisionError])
def test_whatever_ends_lab_itself_is_told_from_a_program(
    default_project: BakedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: type[BaseException],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    for part in (
        "run.run",
        "runs.following.attach",
        "runs.following.wait_for",
        "shell.shell",
    ):
        monkeypatch.setattr(f"ml_remote.{part}", fail)
    for words in ("run -- true", "attach", "runs --wait", "shell"):
        assert cli.main(words.split(), root=default_project.path) == 125, words
    capsys.readouterr()
    assert cli.main(["run", "lab"], root=default_project.path) == 1
    interrupted = failure is KeyboardInterrupt
    assert ("Interrupted. What was done" in capsys.readouterr().err) is interrupted


@pytest.mark.parametrize("link", [".lab", ".lab/fetched", ".lab/forwards", ".lab/lists/x"])
def test_link_that_a_clone_brings_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    root, outside = tmp_path / "clone", tmp_path / "outside"
    outside.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside)
    (root / "lab.toml").write_text('format = 2\n[remote]\nalias = "gpu"\nfolder = "x"\n')
    subprocess.run(["git", "init", "-q", root], check=True)
    monkeypatch.chdir(root)
    before = sorted(root.rglob("*"))
    for name in COMMANDS:
        if name not in ("completion", "connect", "disconnect"):
            code = cli.main([name, *ARGUMENTS.get(name, [])])
            said = capsys.readouterr().err
            assert code == (OWN_FAILURE if name in ("attach", "shell") else 1), (name, said)
            assert f"{root / link} is a link, perhaps from the repository." in said, name
    assert list(outside.iterdir()) == []
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_shows_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"Example: lab {name}" in printed
    summary = cli.lab.commands[name].get_short_help_str(200)
    assert summary.endswith(".")
    assert summary in printed


def test_every_command_is_listed_under_one_heading() -> None:
    modules = [
        importlib.import_module(f"ml_remote.commands.{path.stem}")
        for path in (TOOL / "ml_remote" / "commands").glob("[a-z]*.py")
    ]
    groups = [one for module in modules for one in vars(module).values()
              if isinstance(one, click.Group)]  # fmt: skip
    below = [command for group in groups for command in group.commands.values()]
    written = {
        command.name
        for module in modules
        for command in vars(module).values()
        if isinstance(command, click.Command) and command not in below
    }
    assert written <= set(COMMANDS)
    listed = cli.lab.list_commands(click.Context(cli.lab))
    assert sorted(listed) == COMMANDS


def test_summaries_stand_in_one_column_below_their_headings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    columns = set()
    for heading, names in cli.lab.sections.items():
        below = lines[lines.index(f"{heading}:") + 1 :]
        for name in names:
            (line,) = [line for line in below if line.startswith(f"  {name} ")]
            summary = cli.lab.commands[name].get_short_help_str(200)
            columns.add(line.index(summary.split()[0], len(f"  {name}")))
    assert len(columns) == 1


def test_list_of_commands_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) in (0, 2)  # click 8.2 counts a missing command as wrong usage
    printed = capsys.readouterr()
    assert "..." not in (printed.out + printed.err).replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("variables", "coloured"), [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)]
)
def test_colours_only_on_a_terminal_that_wants_them(
    default_project: BakedProject,
    lab: Lab,
    laptop: Laptop,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    command = ["connect", "ada@gpu.example.com", "--dry-run", "--offline"]
    _, screen = at_terminal(
        [sys.executable, "-B", "lab.py", *command],
        answers={},
        folder=default_project.path,
        variables={"TERM": "xterm", **variables},
    )
    assert ("\x1b[" in screen) is coloured
    assert "\x1b[" not in lab(*command, **variables).stdout


def test_output_that_the_terminal_cannot_show_does_not_end_the_program(
    lab: Lab, laptop: Laptop
) -> None:
    laptop.config.write_text("# größer → 日本\n" + laptop.config.read_text())
    done = lab("connect", "ada@gpu.example.com", "--dry-run", "--offline", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
