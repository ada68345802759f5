"""Runs of programs are shown, compared, repeated, resumed and removed."""

from __future__ import annotations

import json
import shutil

import pytest
from remote_project import RemoteProject
from tool.programs.newest import newest
from tool_helpers import at

from ml_remote import jobs
from ml_remote.ui.console import Console

pytestmark = pytest.mark.slow
FIGURES = """\
import json, os, sys
rate = float(sys.argv[sys.argv.index("--rate") + 1])
folder = os.environ["LAB_OUTPUT_DIR"]
with open(folder + "/metrics.jsonl", "w") as file:
    for epoch in range(3):
        print(json.dumps({"epoch": epoch, "loss": rate + 1 / (1 + epoch)}), file=file)
with open(folder + "/metrics.json", "w") as file:
    json.dump({"loss": rate, "code": 1}, file)
"""
COMMAND = ("python", "measure.py", "--rate")


def test_runs_are_shown_compared_repeated_and_removed(there: RemoteProject) -> None:
    """One project for all of it: its runs leave metrics, in the code as it is then."""
    first, second, third = make_runs(there)
    check_comparison(there, first, second, third)
    check_what_is_shown(there, second)
    changed = check_repeating(there, second)
    check_removing(there, {first, third}, second, changed)
    check_sweep(there)


def make_runs(there: RemoteProject) -> list[str]:
    """Make three runs, whose metrics are shown at their ends; return their ids."""
    there.commit("measure.py", FIGURES)
    there.push()
    ids = []
    for rate in ("0.5", "0.25", "0.75"):
        done = there.lab("run", "--", *COMMAND, rate)
        assert done.returncode == 0, done.stderr
        ids.append(newest(there).id)
        results = there.project.path / "outputs" / "measure" / ids[-1]
        shown = done.stdout.splitlines()
        position = shown.index(f"Results: {results}")
        assert shown[position + 1 : position + 3] == [f"  loss  {rate}", "  code  1"]
    return ids


def check_comparison(there: RemoteProject, first: str, second: str, third: str) -> None:
    for folder in (there.project.path / "outputs" / "measure").iterdir():
        shutil.rmtree(folder)  # what is deleted here stays deleted, and is compared no more
    assert "No run has results" in there.lab("runs", "--compare").stderr
    (there.project.path / ".lab" / "fetched").unlink()
    table = there.lab("runs", "--compare", "--by", "min:loss").stdout.splitlines()
    assert [line.split()[:3] for line in table[:4]] == [
        ["RUN", "rate", "loss"],
        ["*", second, "0.25"],
        [first, "0.5", "0.5"],
        [third, "0.75", "0.75"],
    ]
    assert table[-1] == f"Next: lab show {second}"


def check_what_is_shown(there: RemoteProject, second: str) -> None:
    folder = there.project.path / "outputs" / "measure" / second
    assert {path.name for path in folder.iterdir()} == {"run.json", "metrics.json", "metrics.jsonl"}
    document = json.loads(there.lab("show", second, "--json").stdout)
    head = there.git("rev-parse", "HEAD")
    assert (document["commit"], document["dirty"], document["exit_code"]) == (head, False, 0)
    assert document["metrics"] == {"loss": 0.25, "code": 1.0}
    assert document["job"]["state"] == "done"
    said = there.lab("show", second).stdout
    assert f"  commit      {head[:12]}\n" in said
    assert "  command     python measure.py --rate 0.25\n" in said
    assert said.splitlines()[-1] == f"Next: lab run --repeat {second}"
    drawn = there.lab("runs", "--compare", "--plot", "loss.png")
    assert (drawn.returncode, "needs matplotlib, which is neither here" in drawn.stderr) == (
        1,
        True,
    )


def check_repeating(there: RemoteProject, second: str) -> str:
    """Repeat a run with the code as it is and as it was; return the id of the first one."""
    folder, head = there.project.path / "outputs" / "measure", there.git("rev-parse", "HEAD")
    there.write_there("measure.py", FIGURES.replace('"code": 1', '"code": 2'))
    done = there.lab("run", "--repeat", second)
    assert (done.returncode, "  code  2" in done.stdout.splitlines()) == (0, True), done.stderr
    changed = newest(there).id
    record = json.loads((folder / changed / "run.json").read_text())
    assert (record["commit"], record["dirty"]) == (head, True)
    assert (
        '+    json.dump({"loss": rate, "code": 2}'
        in (folder / changed / "difference.patch").read_text()
    )
    assert f"with changes (outputs/measure/{changed}/difference.patch)" in there.lab("show").stdout
    there.write_there("measure.py", "raise SystemExit(9)\n")
    for run, code in ((second, 1), (changed, 2)):
        done = there.lab("run", "--repeat", run, "--from-commit", "--env", "SEED=3")
        assert done.returncode == 0, done.stderr
        assert f"  code  {code}" in done.stdout.splitlines()
        assert newest(there).run.variables == (("SEED", "3"),)
    assert there.lab("run", "--repeat", second).returncode == 9
    check_resuming(there, second)
    (there.folder / "outputs" / "measure" / changed / "difference.patch").unlink()
    refused = there.lab("run", "--repeat", changed, "--from-commit")
    assert "its changes on top of commit" in refused.stderr
    return changed


def check_resuming(there: RemoteProject, second: str) -> None:
    assert "No checkpoint of measure" in there.lab("run", "--resume", second).stderr
    there.write_there(f"outputs/measure/{second}/checkpoint.pt", "the weights")
    there.write_there("measure.py", FIGURES)
    resumed = there.lab("run", "--resume", second)
    assert resumed.returncode == 0, resumed.stderr
    assert (newest(there).run.resume, newest(there).run.command) == (second, (*COMMAND, "0.25"))
    own = there.folder / f"outputs/measure/{newest(there).id}/checkpoint.pt"
    assert own.read_text() == "the weights"
    assert there.lab("runs", "--remove", newest(there).id, "--yes").returncode == 0
    refused = there.lab("run", "--repeat", second, "-p", "a=1")
    assert "ran a program, which has no parameters." in refused.stderr


def check_removing(there: RemoteProject, gone: set[str], second: str, changed: str) -> None:
    kept = there.lab("runs", "--remove", "measure", "--keep-best", "2", "--by", "min:loss", "--yes")
    assert kept.returncode == 0, kept.stderr
    left = {job.id for job in jobs.list_jobs(at(there.client, there.name), console=Console())}
    assert kept.stdout.splitlines()[0] == f"Kept: {second}, {changed}"
    assert {second, changed} <= left
    assert not gone & left
    assert there.lab("runs", "--remove", second, changed, "--yes").returncode == 0
    assert not (there.folder / "outputs" / "measure" / changed).exists()
    assert not (there.project.path / "outputs" / "measure" / second).exists()


def check_sweep(there: RemoteProject) -> None:
    there.write_there("measure.py", FIGURES)
    rates = ("--sweep", "rate=0.5,0.25,0.75")
    done = there.lab("run", "--name", "many", *rates, "--", *COMMAND, "{rate}")
    assert done.returncode == 0, done.stderr
    sweep = newest(there).run.sweep
    assert there.lab("show", sweep).stdout == there.lab("runs", sweep).stdout
    document = json.loads(there.lab("show", f"{sweep}-2", "--json").stdout)
    assert (document["sweep"], document["set"], document["metrics"]["loss"]) == (sweep, 2, 0.25)
    table = there.lab("runs", "--compare", sweep, "--by", "min:loss").stdout.splitlines()
    assert [line.split()[:3] for line in table[:2]] == [
        ["RUN", "rate", "loss"],
        ["*", f"{sweep}-2", "0.25"],
    ]
    refused = there.lab("run", "--repeat", sweep)
    assert "is a sweep, and only one run can be repeated at a time." in refused.stderr
    done = there.lab("run", "--repeat", f"{sweep}-2")
    assert (done.returncode, "  loss  0.25" in done.stdout.splitlines()) == (0, True), done.stderr
    assert dict(newest(there).run.variables)["rate"] == "0.25"
    kept = there.lab("runs", "--remove", sweep, "--keep-best", "1", "--by", "min:loss", "--yes")
    assert kept.returncode == 0, kept.stderr
    left = {path.name for path in (there.folder / "outputs" / "many").iterdir()}
    assert left == {f"{sweep}-2", newest(there).id}
