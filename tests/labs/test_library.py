"""What the labs import, tested further than a project's own tests do.

The tests themselves are in library/: they need torch, so the project's interpreter runs them.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from environment import LabEnvironment

pytestmark = pytest.mark.slow

LIBRARY = sorted((Path(__file__).parent / "library").glob("*.py"))


def test_library_keeps_its_promises(environment: LabEnvironment, tmp_path: Path) -> None:
    for path in LIBRARY:
        shutil.copy(path, tmp_path / f"test_{path.name}")
    shutil.copy(environment.project.path / "tests" / "conftest.py", tmp_path)
    done = environment.project.run(
        environment.python,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)),
        *("-c", str(environment.project.path / "pyproject.toml"), str(tmp_path)),
    )
    assert len(LIBRARY) == 10
    assert " passed" in done.stdout


GUIDE = TEMPLATE_ROOT / "docs" / "guides" / "training-loop.md"
# Eight batches an epoch, whose labels and those of the test are contradictory: the test loss rises.
TRAINING = """
import json
from functools import partial
import torch
from torch import nn
from handwriting_lab.training import fit
from torch.optim.optimizer import register_optimizer_step_pre_hook as before_step

norms = []
def note(optimizer, *_):
    gradients = [weight.grad.flatten() for weight in optimizer.param_groups[0]["params"]]
    norms.append(torch.cat(gradients).norm().item())
before_step(note)
torch.manual_seed(0)
inputs = torch.rand(80, 5)
labels = (inputs[:, 0] > 0.5).long()
results = fit(
    nn.Linear(5, 2), (inputs, labels), (inputs, 1 - labels), epochs=8, peak_learning_rate=0.5,
    batch_size=10, loss=lambda outputs, targets: 10 * nn.functional.cross_entropy(outputs, targets),
    device=torch.device("cpu"), make_optimizer=partial(torch.optim.SGD, momentum=0.9),
)
print(json.dumps([len(results), len(norms), max(norms)]))
"""


def changes() -> list[str]:
    """Return the blocks of changes in the guide to the training loop."""
    return re.findall(r"^```diff\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)


def changed(text: str, change: str) -> str:
    """Return the text with the lines of a change taken out and put in."""
    for part in change.split("@@\n"):
        lines = part.splitlines(keepends=True)
        before, after = (
            "".join(line[1:] for line in lines if line[0] != sign) for sign in ("+", "-")
        )
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def test_changes_to_the_loop_that_the_guide_shows_do_what_it_says(
    environment: LabEnvironment, tmp_path: Path
) -> None:
    found = []
    for number, change in enumerate(["", *changes()]):
        source = shutil.copytree(environment.project.path / "src", tmp_path / str(number))
        loop = source / "handwriting_lab" / "training.py"
        loop.write_text(changed(loop.read_text(), change) if change else loop.read_text())
        command = f"import sys; sys.path.insert(0, {str(source)!r})\n{TRAINING}"
        done = environment.project.run(environment.python, "-c", command)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    unchanged, clipped, accumulated, stopped = found
    assert unchanged[:2] == [8, 64]
    assert unchanged[2] > 1
    assert clipped[:2] == [8, 64]
    assert clipped[2] < 1.001
    assert accumulated[:2] == [8, 16]
    assert stopped[0] == 4
