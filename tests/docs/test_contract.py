"""docs/contract.md says what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from template_copy import TEMPLATE_FOLDER, tracked_files

from ml_remote.jobs.about import About, Run
from ml_remote.jobs.document import job_document
from ml_remote.jobs.job import Job
from ml_remote.machine import Machine
from ml_remote.project import Project
from ml_remote.settings import ENVIRONMENT_MANAGERS, FORMAT
from ml_remote.ssh.client import Client
from ml_remote.status import Gpu, Load, status_document
from ml_remote.tables import KEYS

CONTRACT = (TEMPLATE_ROOT / "docs" / "contract.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", CONTRACT)


def rows(heading: str) -> dict[str, str]:
    """Return the first two columns of the first table below a heading."""
    below = CONTRACT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (first, *_) = re.findall(r"(?m)(?:^\|.*\n)+", below)
    cells = [line.split(" | ") for line in first.splitlines()[2:]]
    return {row[0].removeprefix("| ").strip("`"): row[1] for row in cells}


def test_newest_format_is_the_one_that_the_tool_knows(default_project: BakedProject) -> None:
    assert [int(number) for number in re.findall(r"(?m)^\| (\d+) \|", CONTRACT)] == [
        *range(1, FORMAT + 1)
    ]
    assert Project(root=default_project.path).settings.format == FORMAT


def test_every_key_is_named() -> None:
    named = {
        table.strip("[]"): set(re.findall(r"`([a-z_]+)`", keys))
        for table, keys in rows("Settings").items()
    }
    assert named == {table: set(keys) for table, keys in KEYS.items()}


def test_keys_of_json_are_those_that_are_listed() -> None:
    """Those of a job, and of `lab status`."""
    started = datetime(2026, 1, 1, tzinfo=UTC)
    job = Job(
        id="1", about=About(kind="run", title="", run=Run(lab="a.py")), state="done",
        started=started, ended=None, exit_code=0, host="", duration=timedelta(),
    )  # fmt: skip
    load = Load(gpus=[Gpu(index="0", name="", busy_percent=0, used=0, total=1)], jobs=[job])
    machine = Machine(client=Client(alias="gpu"), folder="my-lab")
    below = CONTRACT.partition("## JSON\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([a-z_]+)`", below))
    found = {*job_document(job), *vars(job.run), *status_document(load, machine, [])}
    assert found | {*status_document(load, machine, [])["gpus"][0]} <= listed


def test_smallest_project_is_one(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(blocks("toml")[0], encoding="utf-8")
    settings = Project(root=tmp_path).settings
    assert (settings.alias, settings.folder, settings.format) == ("gpu", "my-lab", FORMAT)


def test_every_setting_of_a_project_is_named(default_project: BakedProject) -> None:
    without_marks = re.sub(r"(?m)^# (?=\[|\w+ = )", "", default_project.read("lab.toml"))
    tables = tomllib.loads(without_marks)
    named = rows("Settings")
    for table, keys in tables.items():
        for key in keys if isinstance(keys, dict) else ():
            assert f"`{key}`" in named[f"[{table}]"], f"{key} in [{table}]"
    for manager in ENVIRONMENT_MANAGERS:
        assert manager in named["[environment]"]


def test_every_key_of_a_job_is_named() -> None:
    run = Run(
        lab="labs/a.py",
        command=("python", "train.py"),
        name="train",
        tty=True,
        variables=(("LR", "0.1"),),
        secrets=("TOKEN",),
        parameters=(("epochs", "5"),),
        hosts=("anna", "bert"),
        processes=2,
        gpus=0,
        until_done=True,
        resume="2026-01-02_03-04-05",
        sweep="2026-01-02_03-04-05",
        swept=("epochs",),
        optimize="max:accuracy",
        spread=("anna", "bert"),
    )
    job = About(kind="worker", title="a", run=run, part_of="2026", host="bert", far=".lab/far/1")
    job = replace(job, lists=".lab/lists/1", folders=("checkpoints",))
    below = CONTRACT.partition("`about.json` is one line of ASCII")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\|(.*?)\|", below)))
    assert set(json.loads(job.to_json())) == set(named)


def test_every_variable_is_named() -> None:
    files = [TEMPLATE_ROOT / name for name in tracked_files() if name.startswith(TEMPLATE_FOLDER)]
    files += [path for path in TOOL.rglob("*") if path.suffix in (".py", ".sh", ".fish")]
    used = {
        name
        for path in files
        if path.suffix not in (".ipynb", ".md")
        for name in re.findall(r"(?<![A-Z_])LAB_[A-Z_]+", path.read_text("utf-8", "replace"))
    }
    named = {name for names in rows("Variables") for name in re.findall(r"LAB_\w+", names)}
    assert used == named


@pytest.mark.parametrize("block", blocks("json"))
def test_examples_are_json_on_one_line(block: str) -> None:
    assert json.loads(block)
    assert block.count("\n") == 1
