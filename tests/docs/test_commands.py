"""Every document is followed, command by command, by somebody who has what it says they have."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from baking import BakedProject
from docs.documents import Document, all_documents
from docs.world import world
from fresh_machine import Kind

pytestmark = pytest.mark.slow

KINDS: dict[str, Kind] = {"README.md": "embedded"}


@pytest.fixture
def document(request: pytest.FixtureRequest, default_project: BakedProject) -> Document:
    documents = {made.name: made for made in all_documents(default_project.path / "README.md")}
    return documents[request.param]


@pytest.mark.parametrize("document", ["README.md"], indirect=True)
def test_document_can_be_followed(document: Document) -> None:
    with (
        # Not below pytest's own folder: that path is too long for the sockets of connections.
        tempfile.TemporaryDirectory(prefix="laptop-") as home,
        world(KINDS.get(document.name, "openssh"), home=Path(home)) as reader,
    ):
        screen = reader.follow(document)
    print(screen)
