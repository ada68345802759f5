"""The command line: ways to start it, help, exit codes, errors in words."""

from __future__ import annotations

import ast
import errno
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from openssh_server import Laptop
from remote_fixtures import Lab, at_terminal

from ml_remote import cli
from ml_remote.errors import UnsafeEditError
from ml_remote.exit_codes import OWN_FAILURE
from ml_remote.runs.launchers.launcher import Order
from ml_remote.settings import FORMAT

COMMANDS = sorted(cli.lab.commands)
ARGUMENTS = {
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
    for name in COMMANDS:
        if name not in ("completion", "init"):
            code = OWN_FAILURE if name in ("attach", "shell") else 1
            assert cli.main([name, *ARGUMENTS.get(name, [])]) == code, name
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
    default_project: BakedProject, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    for part in ("run.carry_out", "runs.running.attach", "runs.running.wait_for", "shell.shell"):
        monkeypatch.setattr(f"ml_remote.{part}", fail)
    for words in ("run -- true", "attach", "runs --wait", "shell"):
        assert cli.main(words.split(), root=default_project.path) == 125, words
    assert cli.main(["run", "lab"], root=default_project.path) == 1


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
            assert f"{root / link} is a link, and a clone can bring one." in said, name
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
    "arguments",
    [
        ["nonsense"],
        ["connect", "--nonsense"],
        ["connect", "--key-type", "dsa", "ada@gpu.example.com"],
        ["connect", "one", "two"],
        ["connect", "ada@-oProxyCommand=x", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--alias", "Big Machine", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--jump", "a b", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--identity", "/none/key", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--identity", "/none.pub", "--offline", "--yes"],
        ["connect", "ada@gpu.example.com", "--offline"],
        ["disconnect", "--alias", "../x"],
        ["doctor", "--alias", ""],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_exit_code_two_and_a_sentence(
    default_project: BakedProject,
    laptop: Laptop,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = laptop.config.read_bytes()
    monkeypatch.chdir(default_project.path)
    code, printed = cli.main(arguments), capsys.readouterr()
    assert code == 2, printed
    assert "Traceback" not in printed.err
    assert printed.err.strip()
    assert laptop.config.read_bytes() == before


def test_traceback_is_only_shown_on_request(lab: Lab, laptop: Laptop) -> None:
    laptop.config.write_bytes(b"\xff\xfeH")
    quiet = lab("connect", "ada@gpu.example.com", "--offline", "--yes")
    assert quiet.returncode == 1
    assert "Traceback" not in quiet.stderr
    loud = lab("connect", "ada@gpu.example.com", "--offline", "--yes", LAB_DEBUG="1")
    assert loud.returncode == 1
    assert "Traceback" in loud.stderr


def test_error_that_nobody_foresaw_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    def fail_to_read() -> None:
        Path("/none/such").read_text()

    for broken, words in ((fail, "by zero"), (fail_to_read, "/none/such")):
        monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=broken))
        assert cli.main(["doctor"]) == 1
        printed = capsys.readouterr().err
        assert words in printed
        assert "LAB_DEBUG=1" in printed
        assert "Traceback" not in printed
        (log,) = home.rglob("last-error.log")
        assert str(log) in printed
        assert log.stat().st_mode & 0o777 == 0o600
        kept = log.read_text()
        assert "Traceback" in kept
        assert words in kept
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/x")  # there is no place for the file
    assert cli.main(["doctor"]) == 1
    assert "LAB_DEBUG=1" in capsys.readouterr().err


def test_error_has_none_of_the_values_that_a_run_was_given(
    default_project: BakedProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
) -> None:
    def fail(_: object, order: Order) -> int:
        raise ValueError(f"cannot use {dict(order.variables.secret)} {order.variables.recorded}")

    values = ["given-4711-value", "passed-4712-secret", "of-file-4713 'quoted'"]
    (tmp_path / "vars").write_text(f'OF_FILE="{values[2]}"\n')
    monkeypatch.setenv("PASSED", values[1])
    monkeypatch.setattr("ml_remote.run.run", fail)
    given = ["--env", f"ONE={values[0]}", f"--env=TWO={values[0]}", "--env", "PASSED"]
    words = ["run", *given, "--env-file", str(tmp_path / "vars"), "--", "env", "A=b"]
    for debug in ("0", "1"):
        monkeypatch.setenv("LAB_DEBUG", debug)
        monkeypatch.setattr(sys, "argv", ["lab", *words])
        assert cli.main(words, root=default_project.path) == 125
        said = capsys.readouterr().err
        (log,) = home.rglob("last-error.log")
        kept = log.read_text()
        assert kept.splitlines()[0].startswith(
            "lab run --env 'ONE=***' '--env=TWO=***' --env PASSED"
        )
        assert "env A=b" in kept
        assert "cannot use" in kept
        for value in (*values, "4713"):
            assert value not in kept + said


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk of this computer is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not read or change"),
        (errno.EMFILE, "no more files"),
    ],
)
def test_what_the_system_refuses_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, words: str
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/the/file")

    monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=fail))
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert "/the/file" in printed
    assert "Next: " in printed
    assert "did not expect" not in printed


def test_text_to_add_by_hand_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise UnsafeEditError("It is read-only.", instructions="Add:\n    Include x", hint="Do so.")

    monkeypatch.setitem(cli.lab.commands, "doctor", click.Command("doctor", callback=refuse))
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "Error: It is read-only.\nAdd:\n    Include x\nNext: Do so.\n"
    )


def test_broken_lab_toml_is_told(default_project: BakedProject, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(default_project.path, project)
    (project / "lab.toml").write_text("[remote\n")
    done = subprocess.run(
        [sys.executable, "-B", "lab.py", "doctor"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "lab.toml is not valid TOML" in done.stderr


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
