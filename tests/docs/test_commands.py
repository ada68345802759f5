"""Every document is followed, command by command, by somebody who has what it says they have.

CI's output ends with how many commands were executed (see document_summary.py).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, THIS_PYTHON, BakedProject
from docs.documents import all_documents, read_document
from docs.world import world
from fresh_machine import Kind

pytestmark = pytest.mark.slow

GENERATED = "generated README.md"
# What a reader has done before who is told to work in a project; --no-input has nobody to ask.
MADE = (
    "uvx cookiecutter gh:org/ml-remote-template --no-input environment_manager=uv "
    f"python_version={THIS_PYTHON}",
    "cd handwriting-lab",
)
CONNECTED = (*MADE, "uv run lab.py connect --yes ada@gpu.example.com")
BEFORE: dict[str, tuple[str, ...]] = {
    "docs/guides/jump-host-and-cluster.md": MADE,
    "docs/guides/several-machines.md": CONNECTED,
    "docs/guides/browser.md": CONNECTED,
    "docs/guides/kernels.md": (*CONNECTED, "uv run lab.py push"),
    "docs/guides/team-mates.md": CONNECTED,
    "docs/guides/troubleshooting.md": (*CONNECTED, "uv run lab.py up --no-code"),
    "docs/guides/shell-and-ports.md": (*CONNECTED, "uv run lab.py push"),
    "docs/guides/own-repository.md": (
        "mkdir leaves",
        "cd leaves",
        "git init --quiet --initial-branch main",
        "echo six >requirements.txt",
        "echo 'import six; print(six.__version__)' >train.py",
        "git add . && git commit --quiet --message Begin",
    ),
    GENERATED: MADE,
}
# Those in which a password is typed; the other readers have a key that is let in.
BY_PASSWORD = ("README.md", "docs/guides/first-hour.md")


def names() -> list[str]:
    """Return the documents that are read by users."""
    paths = [TEMPLATE_ROOT / "README.md", *sorted((TEMPLATE_ROOT / "docs").rglob("*.md"))]
    return [*(str(path.relative_to(TEMPLATE_ROOT)) for path in paths), GENERATED]


@pytest.mark.parametrize("name", names())
def test_document_can_be_followed(
    name: str, default_project: BakedProject, record_property: Callable[[str, object], None]
) -> None:
    documents = {made.name: made for made in all_documents(default_project.path / "README.md")}
    document = documents[name]
    if document.executed:
        kind: Kind = "embedded" if name in BY_PASSWORD else "openssh"
        # Not below pytest's own folder: that path is too long for the sockets of connections.
        with (
            tempfile.TemporaryDirectory(prefix="laptop-") as home,
            world(kind, home=Path(home), document=document) as reader,
        ):
            print(reader.follow(document, before=BEFORE.get(name, ())))
    left = len(document.commands) - len(document.executed)
    record_property("commands", [len(document.executed), left])


def follow(text: str, folder: Path) -> str:
    document = read_document(text, name="a document")
    with world("embedded", home=folder, document=document) as reader:
        return reader.follow(document)


@pytest.fixture
def short_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="laptop-") as home:
        yield Path(home)


def test_command_that_fails_is_named_with_its_line(short_home: Path) -> None:
    text = "```sh\ncd /\n```\n\nThen\n\n```sh\ntrue\nls nowhere || false\necho never\n```\n"
    with pytest.raises(AssertionError, match=r"a document, line 9: exit code 1") as failure:
        follow(text, short_home)
    assert "No such file" in str(failure.value)
    assert "$ echo never" not in str(failure.value)


def test_blocks_share_one_shell_and_files_are_written(short_home: Path) -> None:
    text = (
        "```sh\nmkdir here\ncd here\nWORD=kept\n```\n\n<!-- file: note.txt -->\n```\nit's $HOME\n"
        "```\n\n```sh\ncat note.txt; echo $WORD\n```\n"
    )
    assert re.search(r"it's \$HOME\s+kept", follow(text, short_home))


def test_command_that_stays_is_ended_once_the_browser_shows_it(short_home: Path) -> None:
    text = "```sh\nsh -c 'echo \"[the browser shows it]\"; sleep 60' || echo ended\necho on\n```\n"
    assert re.search(r"ended\s+\$ echo on\s+on", follow(text, short_home))
