"""Every document is followed, command by command, by somebody who has what it says they have.

CI's output ends with how many commands were executed (see document_summary.py).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, THIS_PYTHON, BakedProject, environment_variables
from cluster_machine import in_network_of
from cluster_packages import bring_packages
from cluster_site import Factor, site
from docs.documents import Document, all_documents, read_document
from docs.reader import reader_of
from fresh_machine import Kind
from needs import need_root, need_terminals

pytestmark = pytest.mark.slow

GENERATED = "generated README.md"
# What a reader has done before who is told to work in a project; --no-input has nobody to ask.
MADE = (
    "uvx cookiecutter gh:org/ml-remote-template --no-input environment_manager=uv "
    f"python_version={THIS_PYTHON}",
    "cd handwriting-lab",
)
CONNECTED = (*MADE, "uv run lab.py connect --yes ada@gpu.example.com")
BEGUN = (
    "mkdir leaves",
    "cd leaves",
    "git init --quiet --initial-branch main",
    "echo six >requirements.txt",
    "git add . && git commit --quiet --message Begin",
    "uvx --from git+https://github.com/org/ml-remote-template lab init --alias leaves "
    "--address ada@gpu.example.com --yes",
    "git add . && git commit --quiet --message Work",
)
BEFORE: dict[str, tuple[str, ...]] = {
    "docs/guides/jump-host.md": MADE,
    "docs/guides/several-machines.md": CONNECTED,
    "docs/guides/browser.md": CONNECTED,
    "docs/guides/kernels.md": (*CONNECTED, "uv run lab.py push"),
    "docs/guides/team-mates.md": CONNECTED,
    "docs/guides/troubleshooting.md": (*CONNECTED, "uv run lab.py up --no-code"),
    "docs/guides/shell-and-ports.md": (*CONNECTED, "uv run lab.py push"),
    "docs/guides/your-own-images.md": (*CONNECTED, "uv run lab.py up --no-code"),
    "docs/guides/own-repository.md": (
        "mkdir leaves",
        "cd leaves",
        "git init --quiet --initial-branch main",
        "echo six >requirements.txt",
        "echo 'import six; print(six.__version__)' >train.py",
        "git add . && git commit --quiet --message Begin",
    ),
    "docs/guides/compare.md": (
        *BEGUN,
        "uv run lab.py up --no-code --yes",
    ),
    "docs/guides/sweep.md": (
        *BEGUN,
        "uv run lab.py connect --yes ada@gpu.example.com",
        "uv run lab.py push",
        "uv run lab.py shell -- python3 -m venv --without-pip .venv",
    ),
    GENERATED: MADE,
}
CLUSTER = "docs/guides/cluster.md"
# What its reader has done where GitHub and PyPI are; the laptop of the cluster reaches no network.
WITH_TRAINING = (
    *BEGUN[:4],
    "echo 'import os, six; print(six.__version__, os.environ[\"CUDA_HOME\"])' >train.py",
    "git add . && git commit --quiet --message Begin",
    "uvx --from git+https://github.com/org/ml-remote-template lab init --alias leaves --yes",
    "git add . && git commit --quiet --message Work",
    "uv run lab.py --version",
)
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
    before = BEFORE.get(name, ())
    typed = (*before, *(command.text for command in document.executed))
    if any("lab.py shell" in command for command in typed):
        need_terminals()
    if name == CLUSTER:
        print(on_a_cluster(document))
    elif document.executed:
        kind: Kind = "embedded" if name in BY_PASSWORD else "openssh"
        # Not below pytest's own folder: that path is too long for the sockets of connections.
        with (
            tempfile.TemporaryDirectory(prefix="laptop-") as home,
            reader_of(kind, home=Path(home), document=document) as reader,
        ):
            print(reader.follow(document, before=before))
    left = len(document.commands) - len(document.executed)
    record_property("commands", [len(document.executed), left])


def on_a_cluster(document: Document) -> str:
    """Follow a document on a cluster that asks for a password and a code at every login."""
    need_root("make the machines of a cluster")
    with (
        tempfile.TemporaryDirectory(prefix="laptop-") as home,
        site() as cluster,
        cluster.asking(Factor.AFTER_PASSWORD),
        reader_of(cluster, home=Path(home), document=document) as reader,
    ):
        bring_packages(cluster.ada)
        reader.follow(read_document("", name="before"), before=WITH_TRAINING)
        with in_network_of(cluster.laptop), environment_variables({"UV_OFFLINE": "1"}):
            return reader.follow(document, before=("cd leaves",))


def follow(text: str, folder: Path) -> str:
    document = read_document(text, name="a document")
    with reader_of("embedded", home=folder, document=document) as reader:
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
