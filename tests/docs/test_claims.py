"""What README says was measured is in a table of the page that it names."""

from __future__ import annotations

import re

from baking import TEMPLATE_ROOT

A_NUMBER = re.compile(r"(?<![\w.])[0-9][0-9,]*(?:\.[0-9]+)?(?![\w.]*[0-9])")
MEASURED = re.compile(r"\(?\[measured\]\((?P<page>docs/[\w-]+\.md)(?:#[\w-]+)?\)")


def numbers_in(text: str) -> list[str]:
    return [found.replace(",", "") for found in A_NUMBER.findall(text)]


def numbers_of_tables(page: str) -> list[float]:
    """Return the numbers in the tables of a page."""
    text = (TEMPLATE_ROOT / page).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [float(number) for line in lines for number in numbers_in(line)]


def is_said(number: str, known: list[float]) -> bool:
    """Return whether a number is one of those, rounded to as many places as it has."""
    places = len(number.partition(".")[2])
    return any(round(one, places) == float(number) for one in known)


def test_what_readme_says_was_measured_is_in_the_tables() -> None:
    readme = (TEMPLATE_ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if MEASURED.search(line)]
    assert rows
    for row in rows:
        known = [
            number
            for found in MEASURED.finditer(row)
            for number in numbers_of_tables(found["page"])
        ]
        claims = numbers_in(re.sub(r"\]\([^)]*\)", "]", row))
        assert claims, f"nothing is claimed in {row!r}"
        assert not [claim for claim in claims if not is_said(claim, known)]


def test_claim_that_no_table_has_is_found() -> None:
    assert numbers_in("in 2 seconds instead of 88, 99.5 % in 17.25, 60,000 images") == [
        "2", "88", "99.5", "17.25", "60000",
    ]  # fmt: skip
    assert is_said("88", [87.8])
    assert is_said("99.5", [99.52])
    assert not is_said("99.5", [99.62])
