"""What holds for every document, without running anything in it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import click
import pytest
from baking import TEMPLATE_ROOT, BakedProject
from docs.documents import Document, File, all_documents, read_document
from docs.messages import (
    is_said,
    said_about_copies,
    said_about_git,
    said_about_ssh,
)
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tool_source import nodes

from ml_remote.cli import lab

TROUBLESHOOTING = TEMPLATE_ROOT / "docs" / "guides" / "troubleshooting.md"
PAGES = "https://github.com/org/ml-remote-template/blob/main/"
# What a line begins with that somebody is meant to type.
COMMAND = re.compile(r"\s*(?:\$ )?(?:uvx?|\./lab\.py|git|ssh|cd|make|sudo|python3?|curl) ")


@pytest.fixture(scope="module")
def documents(default_project: BakedProject) -> list[Document]:
    return all_documents(default_project.path / "README.md")


def tokens(document: Document) -> Iterator[Token]:
    """Yield every piece of a document, those inside of lines and tables too."""
    for token in MarkdownIt("commonmark").enable("table").parse(document.text):
        yield token
        yield from token.children or ()


# --- the convention


def test_blocks_become_commands_with_their_lines() -> None:
    text = (
        "# Title\n\n```sh\nfirst --option \\\n  more  # why\n\n# a remark\nsecond\n```\n\n"
        "1. In a list:\n\n   <!-- not executed: no such machine -->\n   ```powershell\n   third\n"
        "   ```\n\n<!-- file: notes.txt -->\n```\nabc\n```\n"
    )
    document = read_document(text, name="x")
    assert [(made.line, made.text, made.reason) for made in document.commands] == [
        (4, "first --option \\\n  more  # why", None),
        (8, "second", None),
        (15, "third", "no such machine"),
    ]
    assert document.steps[-1] == File(line=19, name="notes.txt", text="abc\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```bash\nls\n```\n", "only `sh` can be executed"),
        ("<!-- not executed -->\n```sh\nls\n```\n", "say why"),
        ("<!-- not executed: -->\n```sh\nls\n```\n", "say why"),
        ("<!-- not executed: no reason -->\n```toml\na = 1\n```\n", "no command"),
    ],
)
def test_block_that_breaks_the_convention_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_document(text, name="x")


# --- the documents


def test_fewer_than_one_command_in_five_is_not_executed(documents: list[Document]) -> None:
    commands = [command for document in documents for command in document.commands]
    left = [command for command in commands if command.reason is not None]
    assert len(commands) > 60, "so few: are the documents being read?"
    assert len(left) < len(commands) / 5


def test_no_command_stands_where_it_is_not_counted(documents: list[Document]) -> None:
    for document in documents:
        counted = {line for made in document.commands for line in made.text.splitlines()}
        for token in tokens(document):
            if token.type in ("fence", "code_block"):
                found = [line for line in token.content.splitlines() if COMMAND.match(line)]
                assert set(found) <= counted, f"{document.name}: {found}"


def test_every_lab_command_in_the_text_can_be_typed_like_that(documents: list[Document]) -> None:
    seen = 0
    for document in documents:
        texts = [token.content for token in tokens(document) if token.type == "code_inline"]
        texts += [command.text for command in document.commands]
        for text in texts:
            found = re.match(r"(?:lab|(?:uv run|python) lab\.py|\./lab\.py) ([a-z].*)", text)
            if found is None or "..." in text:
                continue
            name, *arguments = shlex.split(found[1], comments=True)
            command = lab.get_command(click.Context(lab), name)
            assert command is not None, f"{document.name}: {text}"
            seen += 1
            if not arguments or "--help" in arguments:
                continue  # only its name is mentioned
            try:
                command.make_context(name, arguments)
            except click.UsageError as error:
                pytest.fail(f"{document.name}: {text}: {error.message}")
    assert seen > 100


def test_links_lead_to_what_is_there(documents: list[Document]) -> None:
    for document in documents[:-1]:
        folder = (TEMPLATE_ROOT / document.name).parent
        for token in tokens(document):
            target = str(token.attrGet("href") or token.attrGet("src") or "")
            path = unquote(target.partition("#")[0])
            if path and not re.match(r"[a-z]+:", path):
                assert (folder / path).exists(), f"{document.name}: {target}"


def test_every_picture_says_what_it_shows(documents: list[Document]) -> None:
    for document in documents:
        for token in tokens(document):
            if token.type == "image":
                assert len(token.content.split()) >= 3, f"{document.name}: {token.attrGet('src')}"


def test_links_of_the_generated_readme_lead_to_pages_of_the_template(
    documents: list[Document],
) -> None:
    """It lies in a repository of its own, so they are whole addresses."""
    pages = 0
    for token in tokens(documents[-1]):
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        assert "://" in target or not target, target
        if target.startswith(PAGES):
            assert (TEMPLATE_ROOT / target.removeprefix(PAGES)).is_file(), target
            pages += 1
    assert pages > 5


def test_project_is_described_as_it_is(default_project: BakedProject) -> None:
    readme = default_project.read("README.md")
    inside = (TEMPLATE_ROOT / "docs" / "project.md").read_text(encoding="utf-8")
    guide = (TEMPLATE_ROOT / "docs" / "template.md").read_text(encoding="utf-8")
    in_tables = r"(?m)^\| `((?:labs|src|scripts|tests|\.github)/[\w./-]*|lab\.\w+|[A-Z]+\.md)` \|"
    named = re.findall(in_tables, readme) + re.findall(in_tables, inside)
    named += re.findall(r"(?m)^├── ([\w.-]+(?:/[\w.-]+)*)", guide)
    assert len(named) > 10
    assert not [path for path in named if not (default_project.path / path).exists()]


def test_index_leads_to_every_page(documents: list[Document]) -> None:
    (index,) = (document.text for document in documents if document.name == "docs/README.md")
    pages = {
        document.name.removeprefix("docs/")
        for document in documents
        if document.name.startswith("docs/")
    }
    assert "(docs/README.md)" in documents[0].text
    assert {page for page in pages if f"({page})" in index} == pages - {"README.md"}


# --- the messages


def messages() -> list[str]:
    """Return the messages of lab that are explained, each once."""
    page = TROUBLESHOOTING.read_text("utf-8")
    tables = re.findall(r"(?m)^\| message \|.*\n\|---.*\n((?:\| .*\n)+)", page)
    return list(dict.fromkeys(re.findall(r"(?m)^\| (.+?) \| ", "".join(tables))))


def test_every_message_is_one_that_lab_prints() -> None:
    assert not [message for message in messages() if not is_said(message)]


@pytest.mark.parametrize("said", [said_about_git, said_about_copies, said_about_ssh])
def test_every_reason_is_explained(said: Callable[[], Iterator[str]]) -> None:
    listed = messages()
    assert not [
        pattern
        for pattern in said()
        if not any(re.fullmatch(pattern, message) for message in listed)
    ]


def test_message_that_nobody_prints_would_be_found() -> None:
    assert not is_said("gpu is made of green cheese, and answers to nobody.")
    assert len(messages()) > 40


def test_text_that_only_stands_in_the_source_is_not_taken_for_printed() -> None:
    summaries = {
        line
        for _, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        if (line := (ast.get_docstring(node) or "").partition("\n")[0])
    }
    assert len(summaries) > 300
    assert not [line for line in summaries if is_said(line)]
