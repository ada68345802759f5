"""What commands print where colours are unwanted, and where nobody looks at a terminal."""

from __future__ import annotations

import ast
import re
import sys

import pytest
from baking import BakedProject
from conftest import Bake
from openssh_server import Laptop
from tool_helpers import at_terminal
from tool_source import nodes

from ml_remote import cli
from ml_remote.login.entries import say_how_it_opens
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
def test_no_command_uses_colours_where_they_are_unwanted(words: list[str], bake: Bake) -> None:
    project = bake(copied=True)  # `lock` writes its file without a machine, too
    assert not COLOUR.search(screen_of(words, project, TERM="xterm", NO_COLOR="1"))
    assert "\x1b" not in screen_of(words, project, TERM="dumb")
    command = [sys.executable, "-B", "lab.py", *words]
    piped = project.run(*command, check=False, LAB_EDITOR="true", TERM="xterm")
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

LEAVING = ("exit", "sys.exit", "SystemExit")


def dotted(called: ast.expr) -> str:
    """Return the name of what is called, such as sys.stdout.write; empty where it has none."""
    if isinstance(called, ast.Attribute):
        owner = dotted(called.value)
        return f"{owner}.{called.attr}" if owner else ""
    return called.id if isinstance(called, ast.Name) else ""


def test_two_modules_of_the_command_alone_write_to_the_terminal() -> None:
    writers = set()
    for path, node in nodes():
        if path.startswith("far/") or path == "carrying/build_needs.py":
            continue  # programs of their own, whose output the tool reads
        written = dotted(node.func) if isinstance(node, ast.Call) else ""
        # With what is passed only where that matters: to a channel, or as a text with values.
        whole = ast.unparse(node) if written in ("os.write", *LEAVING) else ""
        imported = node.module if isinstance(node, ast.ImportFrom) else None
        if (
            WRITING.fullmatch(written)
            or WRITING.fullmatch(whole)
            or (imported and imported.startswith("rich"))
        ):
            writers.add(path)
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


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("lab connect", "uv run lab.py connect"),
        ("`lab run` or lab --help; lab up", "`uv run lab.py run` or uv run lab.py --help; {} up"),
        ("a lab of labs/; uv run lab.py up", "a lab of labs/; uv run lab.py up"),
        ("rm '/home/ada/the lab run'; the lab's own: lab push", None),
    ],
)
def test_proposed_commands_begin_as_the_person_began(
    capsys: pytest.CaptureFixture[str], text: str, typed: str | None
) -> None:
    console = Console()
    console.commands_of_script = list(cli.lab.commands)
    console.next_step(text)
    expected = (typed or text.replace("lab push", "{} push")).replace("{}", "uv run lab.py")
    assert capsys.readouterr().out == f"Next: {expected}\n"


def test_commands_in_what_is_said_begin_as_the_person_began(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.commands_of_script = list(cli.lab.commands)
    console.say("To fetch them: lab pull")
    console.remedy("-> lab setup")
    console.output("lab pull")  # a script or a table for another program
    console.note("To follow it: lab attach")
    printed = capsys.readouterr()
    fetched, fix, kept = printed.out.splitlines()
    assert (fetched, fix) == ("To fetch them: uv run lab.py pull", "-> uv run lab.py setup")
    assert kept == "lab pull"
    assert printed.err == "To follow it: uv run lab.py attach\n"


def test_advice_below_an_error_begins_as_the_person_began(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.commands_of_script = list(cli.lab.commands)
    console.error("The lab run ended.\n  On your laptop: lab setup --carry", hint="lab up")
    assert capsys.readouterr().err == (
        "Error: The lab run ended.\n"
        "  On your laptop: uv run lab.py setup --carry\n"
        "Next: uv run lab.py up\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "command"), [({}, "lab"), ({"UV": "/usr/bin/uv"}, "uv run lab.py")]
)
def test_a_person_who_typed_uv_run_reads_it_in_what_comes_next(
    default_project: BakedProject, variables: dict[str, str], command: str
) -> None:
    said = screen_of(["status"], default_project, **variables)
    assert f"address: {command} connect user@address" in said


def test_no_link_is_shown_where_the_project_will_be_opened(
    capsys: pytest.CaptureFixture[str], laptop: Laptop
) -> None:
    console = Console()
    with console.part_of_more():
        say_how_it_opens("gpu", laptop.ssh, console, folder="/")
    assert "vscode://" not in capsys.readouterr().out
    say_how_it_opens("gpu", laptop.ssh, console, folder="/")
    assert "In VS Code: vscode://vscode-remote/ssh-remote+gpu/" in capsys.readouterr().out
