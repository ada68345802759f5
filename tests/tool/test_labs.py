"""What is known of a lab before it is run."""

from __future__ import annotations

import pytest
from baking import TEMPLATE_ROOT
from template_copy import TEMPLATE_FOLDER

from ml_remote.errors import UsageError
from ml_remote.runs.labs import check_parameters

LAB = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "labs" / "mnistlab.py").read_text(encoding="utf-8")


def test_parameter_that_a_lab_does_not_have_is_told_before_it_starts() -> None:
    check_parameters(LAB, [("epochs", "5"), ("seed", "1")])
    with pytest.raises(UsageError, match="no parameter 'epohcs'") as refused:
        check_parameters(LAB, [("epohcs", "5")])
    assert refused.value.hint == "Did you mean -p epochs?"


@pytest.mark.parametrize("source", ["", "print(1)\n", '# %% tags=["parameters"]\nx = (\n# %%\n'])
def test_lab_whose_parameters_cannot_be_read_has_its_own_say(source: str) -> None:
    check_parameters(source, [("epochs", "5")])
