"""What a set of a sweep costs beside a turn of a shell loop: seconds for each, on this computer.

Run: python benchmarks/sweep.py [--sets N] [--runs N]. Both start the same program, which does
nothing. A set has its claim, a checkout of the code, a record, a log and a note of its end; the
loop has none of these. No network is between: a sweep needs none once it has begun.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ml_remote.far.installed import install
from ml_remote.jobs.about import About, Run
from ml_remote.runs.shell_lines import command_lines, variable_lines
from ml_remote.scripts import script

COMMAND = ("python", "nothing.py")


def main() -> None:
    """Measure both in turn, so that a busy moment hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=50, help="how many programs are run")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    options = parser.parse_args()
    loops, sweeps = [], []
    with tempfile.TemporaryDirectory() as folder:
        project = project_in(Path(folder) / "project")
        for _ in range(options.runs):
            loops.append(loop(project, options.sets) / options.sets)
            sweeps.append(sweep(project, options.sets) / options.sets)
    print(f"| {options.sets} programs, seconds for each | median | fastest | slowest |")
    print("|---|---|---|---|")
    for name, found in (("a shell loop", loops), ("a sweep, one at once", sweeps)):
        middle = statistics.median(found)
        print(f"| {name} | {middle:.3f} | {min(found):.3f} | {max(found):.3f} |")


def project_in(root: Path) -> Path:
    """Make a project with a program that does nothing, and this Python as its environment."""
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / ".gitignore").write_text("/.lab/\n/.venv\n/outputs/\n")
    (root / "nothing.py").write_text("")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Begin"]):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        subprocess.run(["git", *identity, *words], cwd=root, check=True)
    install(root / ".lab/far")
    return root


def loop(project: Path, sets: int) -> float:
    """Return how long a shell takes to run the program so often."""
    words = shlex.join([str(project / ".venv/bin/python"), "nothing.py"])
    line = f"n=0; while [ $n -lt {sets} ]; do seed=$n {words}; n=$((n + 1)); done"
    return seconds(["sh", "-c", line], project)


def sweep(project: Path, sets: int) -> float:
    """Return how long one worker takes for a sweep of so many sets."""
    (far,) = (path for path in (project / ".lab/far").iterdir() if path.is_dir())
    far_folder = f".lab/far/{far.name}"
    run = Run(command=COMMAND, name="nothing", parameters=(("seed", "0.."),), swept=("seed",))
    about = json.loads(About(kind="sweep", title=run.title, run=run, far=far_folder).to_json())
    about |= {"at_once": 1, "output_folder": "nothing", "folders": []}
    lines = [
        json.dumps({"set": number, "parameters": [["seed", str(number)]]})
        for number in range(1, sets + 1)
    ]
    set_command = (
        f"{variable_lines(run)}LAB_GIVEN=${{LAB_GIVEN-}}${{LAB_SET_GIVEN-}}\nexport LAB_GIVEN\n"
        + command_lines('"$@"', far=far_folder)
    )
    made = subprocess.run(
        ["sh", "-s", "--", project.name, json.dumps(about), set_command, "\n".join(lines),
         far_folder],
        input=script("make-sweep"),
        env={**os.environ, "HOME": str(project.parent)},
        text=True,
        capture_output=True,
        check=True,
    )  # fmt: skip
    own = made.stdout.rpartition("made\t")[2].strip()
    job = project / ".lab/jobs" / own
    job.mkdir(parents=True)
    command = f"FAR={far_folder} sweep={own}\n{script('sweep')}"
    return seconds(["sh", "-c", command], project, LAB_JOB=own, LAB_JOB_FOLDER=f"{job}/")


def seconds(command: list[str], project: Path, **variables_of_it: str) -> float:
    """Return how long a command takes."""
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=project,
        env={**os.environ, **variables_of_it},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
