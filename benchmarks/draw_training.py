"""Draw what training.py has measured; run by it, in an environment with matplotlib.

Usage: draw_training.py RESULTS.json PICTURE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

SECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100]  # what the logarithmic axis shows


def main() -> None:
    """Draw accuracy over seconds: a line a run of the textbook recipe, a point a run of ours."""
    results, picture = map(Path, sys.argv[1:])
    runs = json.loads(results.read_text())
    figure, axes = plt.subplots(figsize=(7, 4))
    looks = {
        "textbook": ("#0072B2", "o"),
        "train_mnist_fast": ("#CC79A7", "v"),
        "ours, 14,000 images": ("#D55E00", "s"),
        "ours, 25,000 images": ("#009E73", "D"),
        "ours, the digit lab": ("#000000", "^"),
    }
    for name, (colour, marker) in looks.items():
        for number, run in enumerate(runs.get(name, [])):
            accuracies = run["accuracies"][-len(run["seconds"]) :]
            axes.plot(
                run["seconds"],
                [100 * accuracy for accuracy in accuracies],
                color=colour,
                marker=marker,
                linewidth=1,
                alpha=0.8,
                label=name if number == 0 else None,
            )
    axes.axhline(98.68, color="grey", linestyle="--", linewidth=1)
    axes.annotate("98.68 %", (0.01, 98.68), xycoords=("axes fraction", "data"), va="bottom")
    axes.set_xscale("log")
    axes.set_xticks(SECONDS, SECONDS)
    axes.minorticks_off()
    axes.set_xlabel("seconds since the files were opened (logarithmic)")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(f"Training on MNIST, {runs['textbook'][0]['device'].split(',')[0]}")
    axes.legend(title="recipe", loc="lower center")
    figure.savefig(picture, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
