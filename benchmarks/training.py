"""The digit lab's training beside other recipes: CPU seconds and seconds to three accuracies.

Run: python benchmarks/training.py [--again RECIPE]... [--results FILE]. Prints a table, writes the
results, docs/training.json by default, and a picture beside them. What is in the file is not
measured again, unless --again names it. Needs MNIST in $LAB_DATA_DIR. A GPU is used if there is
one; give its results a file of their own: --results docs/training-gpu.json. Takes ten minutes.
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

Runs = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measure the recipes that are not in the results yet, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="append", default=[], choices=["all", *RECIPES])
    parser.add_argument("--results", type=Path, default=DOCS / "training.json")
    options = parser.parse_args()
    kept = options.results
    runs: Runs = json.loads(kept.read_text()) if kept.exists() else {}
    for name, (count, words) in RECIPES.items():
        if name not in runs or {"all", name} & set(options.again):
            runs[name] = measure_all(*words, "--runs", str(count))
            runs = {name: runs[name] for name in RECIPES if name in runs}
            kept.write_text(json.dumps(runs, indent=1) + "\n")
    print(table(runs))
    draw(kept)


def table(runs: Runs) -> str:
    """Return the medians, with the least and the most, as a Markdown table."""
    head = "| recipe | computed by | runs | accuracy | CPU seconds | seconds | memory |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, results in runs.items():
        accuracies = [100 * run["accuracies"][-1] for run in results]
        cpu = [run["cpu"] for run in results if "cpu" in run]
        seconds = [run["seconds"][-1] for run in results]
        memory = max(run["peak_memory"] for run in results) / 2**20
        device = results[0]["device"].removeprefix("CPU, ")
        if name.startswith("ours") and device.endswith("threads"):
            device = "1 thread"
        lines.append(
            f"| {name} | {device} | {len(results)} | {spread(accuracies, 2)} % | "
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


def draw(results: Path) -> None:
    """Draw accuracy over time, a point an epoch of the textbook and a point a run of others."""
    script = Path(__file__).with_name("draw_training.py")
    subprocess.run([project_python(), script, results, results.with_suffix(".png")], check=True)


if __name__ == "__main__":
    main()
