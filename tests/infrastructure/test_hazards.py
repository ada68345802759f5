"""`hazards.toml` names a test for every hazard, and these tests exist and run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from hazards import hazards, named_functions
from needs import IS_ROOT

TESTS = TEMPLATE_ROOT / "tests"
PAGE = TEMPLATE_ROOT / "docs" / "security.md"


def functions_and_texts(path: Path) -> tuple[set[str], set[str]]:
    """Return the test functions of a file, and the literal texts, where their cases are.

    They may be in the folder's conftest.py, or in a table beside it: `from tool.edit_cases import`.
    """
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    functions = {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    tables = [TESTS / f"{name.replace('.', '/')}.py" for name in modules if "." in name]
    for table in filter(Path.is_file, [path.with_name("conftest.py"), *tables]):
        nodes += ast.walk(ast.parse(table.read_text(encoding="utf-8")))
    return functions, {str(node.value) for node in nodes if isinstance(node, ast.Constant)}


def test_every_hazard_has_a_measure_and_a_test_that_exists() -> None:
    table = hazards()
    assert len(table) >= 71
    assert len({hazard.id for hazard in table}) == len(table)
    assert len({hazard.sentence for hazard in table}) == len(table)
    files = {test.file for hazard in table for test in hazard.tests}
    known = {file: functions_and_texts(TESTS / file) for file in files}
    for hazard in table:
        assert re.fullmatch(r"[a-z0-9-]+", hazard.id)
        assert hazard.where.strip(), hazard.id
        assert hazard.sentence.strip(), hazard.id
        assert hazard.measure.strip(), hazard.id
        assert hazard.tests, f"no test is named for: {hazard.id}"
        for test in hazard.tests:
            functions, texts = known[test.file]
            assert test.function in functions, f"{test.file} has no {test.function}"
            assert not test.case or test.case in texts, f"{test.function} has no {test.case}"


def test_every_heading_of_the_list_is_a_row_of_the_page() -> None:
    rows = re.findall(r"^\| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {hazard.where for hazard in hazards()} <= set(rows)


@pytest.mark.slow
@pytest.mark.skipif(not IS_ROOT, reason="only root can run all the tests")
def test_a_named_test_that_is_skipped_fails(tmp_path: Path) -> None:
    name = min(named_functions())
    source = "import pytest\n\n@pytest.mark.skip\ndef {}():\n    pass\n"
    (tmp_path / "test_x.py").write_text(source.format(name))
    (tmp_path / "test_y.py").write_text(source.format("test_that_nobody_names"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "hazards", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert "1 skipped, 1 error" in done.stdout
    assert f"{name} is named in tests/hazards.toml" in done.stdout
