"""What commands print where colours are unwanted, and where nobody looks at a terminal."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from baking import BakedProject
from openssh_server import Laptop
from remote_fixtures import Lab, at_terminal

import ml_remote
from ml_remote import cli
from ml_remote.ui.console import Console

# What sets a colour of the text or behind it: 30-49 and 90-107, of 256 or of 16 million.
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)(?:;\d+)*m")
# What a command needs to get as far as it can without a machine, where that is more than its name.
ARGUMENTS = {
    "connect": ["ada@gpu.example.com", "--alias", "other", "--offline", "--dry-run"],
    "disconnect": ["--yes"],
    "run": ["labs/mnistlab.py"],
    "jupyter": ["--no-browser"],
    "tensorboard": ["--no-browser"],
    "completion": ["bash"],
}
WORDS = [[name, *ARGUMENTS.get(name, [])] for name in cli.lab.commands]
# A long command with its steps, and a transfer.
PROGRESS = """
from ml_remote.ui.display import steps, transfer_bar
with steps() as shown:
    shown.begin("[1/2] The data")
    shown.line("reading")
    shown.begin("[2/2] The network")
with transfer_bar("outputs") as tell:
    if tell is not None:
        tell(50, 100)
        tell(100, 100)
"""


@pytest.fixture
def no_machine(laptop: Laptop) -> None:
    """An entry for the machine that leads nowhere, so that every command ends soon."""
    entry = "Host handwriting-lab\n  HostName 127.0.0.1\n  Port 1\n"
    laptop.config.write_text(entry + laptop.config.read_text())


def screen_of(words: list[str], project: BakedProject, **variables: str) -> str:
    _, screen = at_terminal(
        [sys.executable, "-B", "lab.py", *words],
        answers={},
        folder=project.path,
        variables={"LAB_EDITOR": "true", **variables},
    )
    assert screen.strip()
    return screen


@pytest.mark.slow
@pytest.mark.usefixtures("no_machine")
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_no_command_uses_colours_where_they_are_unwanted(
    words: list[str], default_project: BakedProject, lab: Lab
) -> None:
    assert not COLOUR.search(screen_of(words, default_project, TERM="xterm", NO_COLOR="1"))
    assert "\x1b" not in screen_of(words, default_project, TERM="dumb")
    piped = lab(*words, LAB_EDITOR="true", TERM="xterm")
    assert "\x1b" not in piped.stdout + piped.stderr


@pytest.mark.usefixtures("no_machine")
@pytest.mark.parametrize("words", [["push"], ["doctor"]], ids=" ".join)
def test_colours_are_used_at_a_terminal(words: list[str], default_project: BakedProject) -> None:
    assert COLOUR.search(screen_of(words, default_project, TERM="xterm"))


@pytest.mark.parametrize(
    ("variables", "coloured", "drawn"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
    ],
    ids=["a terminal", "without colours", "a dumb one"],
)
def test_progress_is_drawn_as_the_terminal_can(
    default_project: BakedProject, variables: dict[str, str], coloured: bool, drawn: bool
) -> None:
    _, screen = at_terminal(
        [sys.executable, "-B", "-c", PROGRESS],
        answers={},
        folder=default_project.path / "src",
        variables=variables,
    )
    assert "[2/2] The network" in screen
    assert bool(COLOUR.search(screen)) is coloured
    assert ("\x1b" in screen) is drawn


def test_progress_is_lines_of_text_in_a_file(default_project: BakedProject) -> None:
    done = default_project.run(sys.executable, "-B", "-c", PROGRESS, TERM="xterm")
    assert done.stderr == "[1/2] The data\n[2/2] The network\n"
    assert done.stdout == ""


WRITING = re.compile(
    r"print|pprint|(click\.|)(secho|echo|echo_via_pager|style|prompt|confirm|progressbar)"
    r"|sys\.(__)?std(out|err)(__)?\.(write|writelines|buffer\.\w+)|os\.write\([12].*"
    r"|(traceback|logging|warnings)\.(?!format|catch_warnings|simplefilter)\w+|(sys\.)?exit\(f.*|SystemExit\(f.*"
)


def test_two_modules_of_the_command_alone_write_to_the_terminal() -> None:
    folder = Path(ml_remote.__file__).parent
    writers = set()
    for path in folder.rglob("*.py"):
        if path.is_relative_to(folder / "far") or path == folder / "carrying" / "build_needs.py":
            continue  # programs of their own, whose output the tool reads
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            written = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            whole = ast.unparse(node) if written else ""
            imported = node.module if isinstance(node, ast.ImportFrom) else None
            if (
                WRITING.fullmatch(written)
                or WRITING.fullmatch(whole)
                or (imported and imported.startswith("rich"))
            ):
                writers.add(path.relative_to(folder).as_posix())
    assert writers == {"ui/console.py", "ui/display.py"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lab push", "lab push --alias second"),
        ("Send it: lab push; then: lab run LAB", None),
        ("lab setup --local", "lab setup --local"),
        ("lab push --alias third", "lab push --alias third"),
        ("uv run lab.py, or lab connect user@address", None),
    ],
)
def test_proposed_commands_are_for_the_machine_that_was_named(
    capsys: pytest.CaptureFixture[str], text: str, named: str | None
) -> None:
    console = Console()
    console.next_step(text)
    console.alias = "second"
    console.next_step(text)
    console.error("It failed.", hint=text)
    console.warn(text)
    plain, _, other = capsys.readouterr().out.partition("\n")
    assert plain == f"Next: {text}"
    expected = named or text.replace("lab push", "lab push --alias second").replace(
        "lab run", "lab run --alias second"
    ).replace("lab connect", "lab connect --alias second")
    assert other == f"Next: {expected}\n"
