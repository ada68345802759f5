"""The page that says which helper to use knows every helper."""

from __future__ import annotations

import re

from baking import TEMPLATE_ROOT

TESTS = TEMPLATE_ROOT / "tests"


def test_page_names_every_helper_and_no_other() -> None:
    page = (TESTS / "README.md").read_text(encoding="utf-8")
    helpers = {path.name for path in TESTS.glob("*.py")} - {"conftest.py"}
    named = set(re.findall(r"`([\w]+\.py)`", page)) - {"conftest.py"}
    assert named == helpers


def test_page_names_every_fixture_for_the_machine() -> None:
    page = (TESTS / "README.md").read_text(encoding="utf-8")
    source = (TESTS / "tool" / "conftest.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"@pytest\.fixture.*\ndef (\w+)", source)
    assert len(fixtures) > 5
    assert not [name for name in fixtures if not re.search(rf"`{name}\b", page)]
