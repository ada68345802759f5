"""CONTRIBUTING.md, followed in a copy of the template: to the letter, and with a step left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from template_copy import make_repository

pytestmark = pytest.mark.slow

PROJECT = "{{cookiecutter.project_slug}}"
TOOL = "src/ml_remote"
ENTRY = '"whoami": ("whoami", "Say who you are there."),'
LAB = """\
# %% [markdown]
# # A lab that counts

# %% tags=["parameters"]
up_to = 3  # how far it counts

# %%
print(*range(up_to))
"""
LAB_TEST = '''\
"""The counting lab."""

import sys

from baking import BakedProject


def test_it_counts(default_project: BakedProject) -> None:
    assert default_project.run(sys.executable, "labs/countlab.py").stdout == "0 1 2\\n"
'''
COMMAND_MODULE = '''\
"""`lab whoami`: who you are on the machine."""

from __future__ import annotations

from .context import Context

__all__ = ["whoami"]


def whoami(context: Context, *, alias: str | None = None) -> None:
    """Carry out `lab whoami`. Raises LabError when the machine cannot be asked."""
    context.console.say(context.machine(alias).client.run("id", "-un").stdout.strip())
'''
COMMAND = '''\
"""`lab whoami`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option

__all__ = ["whoami"]


@click.command(epilog="Example: lab whoami --alias gpu")
@alias_option
@click.pass_obj
def whoami(context: Context, alias: str | None) -> None:
    """Say who you are there."""
    from ..whoami import whoami as carry_out

    carry_out(context, alias=alias)
'''


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return the template with uncommitted changes, as a repository of its own."""
    return make_repository(tmp_path / "template")


def insert(path: Path, before: str, text: str) -> None:
    """Insert text before the first place where `before` is."""
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, text + before, 1), encoding="utf-8")


def write_lab(template: Path) -> None:
    labs = template / PROJECT / "labs"
    header = (labs / "treelab.py").read_text(encoding="utf-8").partition("# %%")[0]
    (labs / "countlab.py").write_text(header + LAB)


def write_notebook(template: Path) -> None:
    # What `make notebooks` runs, without making tools of its own.
    command = [sys.executable, "scripts/sync_pairs.py", "--keep", "script"]
    subprocess.run(command, cwd=template / PROJECT, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(template / PROJECT / ".lab")


def write_test_of_lab(template: Path) -> None:
    (template / "tests" / "labs" / "test_countlab.py").write_text(LAB_TEST)


def write_module(template: Path) -> None:
    (template / TOOL / "whoami.py").write_text(COMMAND_MODULE)


def write_command(template: Path) -> None:
    (template / TOOL / "commands" / "whoami.py").write_text(COMMAND)


def write_command_without_example(template: Path) -> None:
    command = COMMAND.replace('epilog="Example: lab whoami --alias gpu"', "")
    (template / TOOL / "commands" / "whoami.py").write_text(command)


def import_it_at_once(template: Path) -> None:
    insert(template / TOOL / "cli.py", "from .context import", "from .status import look_at\n")


def put_under_heading(template: Path) -> None:
    insert(template / TOOL / "cli.py", '            "status": (\n', f"            {ENTRY}\n")


def tell_of_it(template: Path) -> None:
    page = template / "docs" / "commands.md"
    insert(page, "| `lab status` |", "| `lab whoami` | says who you are on the machine |\n")


def name_the_other_machine(template: Path) -> None:
    insert(template / TOOL / "ui" / "console.py", "doctor|status|", "whoami|")


def have_the_machine_lie(template: Path) -> None:
    rows = template / "tests" / "tool" / "test_lying_machine.py"
    insert(rows, '    "status": [', '    "whoami": ["whoami"],\n')


def _ask(template: Path, *, sentence: str | None) -> None:
    path = template / "cookiecutter.json"
    questions = json.loads(path.read_text(encoding="utf-8"))
    questions["course"] = "Machine Learning 101"
    if sentence is not None:
        questions["__prompts__"]["course"] = sentence
    path.write_text(json.dumps(questions), encoding="utf-8")


def ask(template: Path) -> None:
    _ask(template, sentence="Which course is it for?")


def ask_without_a_sentence(template: Path) -> None:
    _ask(template, sentence=None)


def check_answer(template: Path) -> None:
    hook = template / "hooks" / "pre_gen_project.py"
    insert(hook, '        "author": check_text,\n', '        "course": check_text,\n')
    insert(hook, '"author"):\n        printable', '"course", ')


def show_what_is_refused(template: Path) -> None:
    tests = template / "tests" / "hooks" / "test_answers.py"
    insert(tests, '    "author": TEXT_KINDS,\n', '    "course": TEXT_KINDS,\n')
    insert(tests, '        "author": "Ada",\n', '        "course": "ML",\n')


def use_answer(template: Path) -> None:
    insert(template / PROJECT / "README.md", "\n## Connect", "\nFor {{ cookiecutter.course }}.\n")


def tell_the_question(template: Path) -> None:
    page = template / "docs" / "template.md"
    insert(page, "| `author` |", "| `course` | Machine Learning 101 | which course it is for |\n")


def put_into_a_combination(template: Path) -> None:
    tests = template / "tests" / "bake" / "test_matrix.py"
    insert(tests, '        "remote": "ada@192.168.1.20",\n', '        "course": "Clay 1",\n')


Step = Callable[[Path], None]
A_LAB = (write_lab, write_notebook, write_test_of_lab)
A_COMMAND = (
    write_module,
    write_command,
    put_under_heading,
    tell_of_it,
    name_the_other_machine,
    have_the_machine_lie,
)
A_QUESTION = (
    ask,
    check_answer,
    show_what_is_refused,
    put_into_a_combination,
    use_answer,
    tell_the_question,
)


def follow(template: Path, *steps: Step) -> None:
    for step in steps:
        step(template)
    subprocess.run(["git", "add", "--force", "."], cwd=template, check=True)


def run_tests(template: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *arguments],
        cwd=template,
        capture_output=True,
        text=True,
    )


# Of the several hundred answers that are tried, those to the new question.
# A lab more is more than the template itself may hold.
NEW_ANSWERS = "(course or every_free_answer or not test_answers) and not holds_little"


def test_lab_command_and_question_can_be_added_as_the_page_says(template: Path) -> None:
    follow(template, *A_LAB, *A_COMMAND, *A_QUESTION)
    tool = [f"tool/test_{name}.py" for name in ("cli", "next_steps", "lying_machine")]
    parts = ["bake", "labs", "editor/test_files.py", *tool, "hooks/test_answers.py"]
    done = run_tests(template, *(f"tests/{part}" for part in parts), "-vv", "-k", NEW_ANSWERS)
    assert done.returncode == 0, done.stdout
    for passed in (
        "test_it_counts",
        "test_shipped_pair_is_equal[countlab]",
        "test_help_of_every_command_shows_an_example[whoami]",
        "test_every_command_has_a_row",
        "test_bad_answer_is_found_and_the_suggestion_is_not[course-empty-0]",
    ):
        assert f"::{passed} PASSED" in done.stdout


LEFT_OUT = [
    ([write_lab, write_test_of_lab], "labs/test_pairs.py", "test_shipped_pair_is_equal"),
    (
        [write_lab, write_notebook],
        "labs/test_pairs.py",
        "test_every_lab_is_run_by_a_test_of_its_own",
    ),
    (
        [write_module, write_command_without_example, put_under_heading, tell_of_it],
        "tool/test_cli.py",
        "test_help_of_every_command_shows_an_example",
    ),
    (
        [*A_COMMAND, import_it_at_once],
        "tool/test_cli.py",
        "test_help_imports_nothing_heavy",
    ),
    (
        [write_module, write_command, tell_of_it],
        "tool/test_cli.py",
        "test_every_command_is_listed_under_one_heading",
    ),
    (
        [write_module, write_command, put_under_heading],
        "bake/test_papers.py",
        "test_every_command_has_a_row_in_the_page_of_commands",
    ),
    (
        [write_module, write_command, put_under_heading, tell_of_it, have_the_machine_lie],
        "tool/test_next_steps.py",
        "test_every_command_for_another_machine_is_proposed_for_it",
    ),
    (
        [write_module, write_command, put_under_heading, tell_of_it, name_the_other_machine],
        "tool/test_lying_machine.py",
        "test_every_command_has_a_row",
    ),
    (
        [ask_without_a_sentence, check_answer, show_what_is_refused, tell_the_question],
        "bake/test_papers.py",
        "test_every_question_has_a_sentence_to_ask_it",
    ),
    (
        [ask, check_answer, tell_the_question],
        "hooks/test_answers.py",
        "test_every_free_answer_is_tried_with_bad_ones",
    ),
    (
        [ask, check_answer, show_what_is_refused],
        "bake/test_papers.py",
        "test_every_question_is_explained",
    ),
    (
        [ask, check_answer, show_what_is_refused, tell_the_question],
        "bake/test_matrix.py",
        "test_list_has_every_value_of_every_question",
    ),
]


@pytest.mark.parametrize(
    ("steps", "file", "complaint"),
    LEFT_OUT,
    ids=[
        "lab without a notebook",
        "lab without a test",
        "command without an example",
        "command that is imported at once",
        "command under no heading",
        "command that the page does not have",
        "command that is proposed for the wrong machine",
        "command that no lying machine answers",
        "question without a sentence",
        "question without bad answers",
        "question that is not explained",
        "question in no combination",
    ],
)
def test_step_left_out_is_noticed_by_the_test_that_the_page_names(
    template: Path, steps: list[Step], file: str, complaint: str
) -> None:
    page = (TEMPLATE_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"`{complaint}`" in page
    follow(template, *steps)
    done = run_tests(template, f"tests/{file}", "-k", complaint)
    assert done.returncode == 1, done.stdout
    assert f"::{complaint}" in done.stdout
    assert "error" not in done.stdout.splitlines()[-1]
