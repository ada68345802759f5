"""What a person waits for until a lab shows something: what is not imported on the way."""

from __future__ import annotations

import pytest
from environment import LabEnvironment

AS_A_HEADLESS_RUN = """
import sys
from ml_remote.far.env.quick_imports import skip_iri_grammar

skip_iri_grammar()
import jupytext
import nbformat

nbformat.validate(jupytext.reads("# %%\\nx = 1\\n", "py"))
print("lark" in sys.modules)
"""


@pytest.mark.slow
def test_headless_run_builds_no_grammar_that_no_notebook_needs(
    environment: LabEnvironment,
) -> None:
    done = environment.project.run(environment.python, "-c", AS_A_HEADLESS_RUN)
    assert done.stdout.strip() == "False"
