"""The digit lab's training beside other recipes: CPU seconds and seconds to three accuracies.

Run: python benchmarks/training.py [--again RECIPE]... Prints a table, writes docs/training.json and
docs/training.png. What is in docs/training.json is not measured again, unless --again names it.
Needs MNIST in $LAB_DATA_DIR. A GPU is used if there is one. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from children import DOCS, measure_all, project_python

QUICK = ["ours", "--batch-size", "160", "--rate", "0.03"]
RECIPES = {
    "textbook": (5, ["textbook", "--epochs", "6", "--until", "0.9868"]),
    "train_mnist_fast": (5, ["rival"]),
    "ours, 14,000 images": (20, [*QUICK, "--images", "14000"]),
    "ours, 25,000 images": (20, [*QUICK, "--images", "25000"]),
    "ours, the digit lab": (8, ["ours", "--shift", "1"]),
}
"""How many runs, each with a seed of its own, and the words for recipes.py."""
GOALS = {"ours, 14,000 images": 98.68, "ours, 25,000 images": 99.0}
RESULTS = DOCS / "training.json"

Runs = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measure the recipes that are not in the results yet, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="append", default=[], choices=["all", *RECIPES])
    options = parser.parse_args()
    runs: Runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, (count, words) in RECIPES.items():
        if name not in runs or {"all", name} & set(options.again):
            runs[name] = measure_all(*words, "--runs", str(count))
            runs = {name: runs[name] for name in RECIPES if name in runs}
            RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
    print(table(runs))
    draw(runs)


def table(runs: Runs) -> str:
    """Return the medians, with the least and the most, as a Markdown table."""
    head = "| recipe | threads | runs | accuracy | CPU seconds | seconds | memory |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, results in runs.items():
        accuracies = [100 * run["accuracies"][-1] for run in results]
        cpu = [run["cpu"] for run in results if "cpu" in run]
        seconds = [run["seconds"][-1] for run in results]
        memory = max(run["peak_memory"] for run in results) / 2**20
        threads = 1 if name.startswith("ours") else results[0]["device"].split()[1]
        lines.append(
            f"| {name} | {threads} | {len(results)} | {spread(accuracies, 2)} % | "
            f"{spread(cpu, 2) if cpu else 'not measured'} | {spread(seconds, 1)} | "
            f"{memory:.0f} MiB |"
        )
    return "\n".join(lines)


def reached(runs: Runs) -> dict[str, int]:
    """Return how many runs of a recipe have reached the accuracy that it is for."""
    return {
        name: sum(100 * run["accuracies"][-1] >= goal for run in runs[name])
        for name, goal in GOALS.items()
    }


def spread(values: list[float], digits: int) -> str:
    """Return the median, and the smallest and largest value behind it."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def draw(runs: Runs) -> None:
    """Draw accuracy over time, a point an epoch of the textbook and a point a run of others."""
    script = Path(__file__).with_name("draw_training.py")
    subprocess.run([project_python(), script, RESULTS, RESULTS.with_suffix(".png")], check=True)


if __name__ == "__main__":
    main()
