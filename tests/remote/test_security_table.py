"""`docs/security.md` names a test for every hazard, and these tests exist and run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from needs import IS_ROOT
from security_table import PAGE, named_tests, rows

TESTS = TEMPLATE_ROOT / "tests"


def functions_and_texts() -> dict[str, set[str]]:
    """Return all test functions, each with the literal texts of its file, where its cases stand."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name not in found, f"two tests are called {node.name}"
                found[node.name] = texts
    return found


def test_every_hazard_has_a_measure_and_a_test_that_exists() -> None:
    functions = functions_and_texts()
    table = rows(PAGE.read_text())
    assert len(table) >= 50
    assert len({hazard for hazard, _, _ in table}) == len(table)
    for hazard, measure, tests in table:
        assert measure.strip(), hazard
        assert tests, f"no test is named for: {hazard}"
        for function, case in tests:
            assert function in functions, f"{function} does not exist"
            assert not case or case in functions[function], f"{function} has no case {case}"


def test_every_table_on_the_page_is_read() -> None:
    text = PAGE.read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = [line for line in lines if line.startswith(("| Hazard", "|---"))]
    assert len(rows(text)) == len(lines) - len(heads)


@pytest.mark.skipif(not IS_ROOT, reason="only root can run all the tests")
def test_a_named_test_that_is_skipped_fails(tmp_path: Path) -> None:
    name = min(named_tests(PAGE.read_text()))
    source = "import pytest\n\n@pytest.mark.skip\ndef {}():\n    pass\n"
    (tmp_path / "test_x.py").write_text(source.format(name))
    (tmp_path / "test_y.py").write_text(source.format("test_that_nobody_names"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "security_table", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert "1 skipped, 1 error" in done.stdout
    assert f"{name} is named in docs/security.md" in done.stdout
