"""What each choice in the training gives: the same run again with one of them undone.

Run: python benchmarks/choices.py [--runs N]. Prints a table: CPU seconds of the digit lab's
training, from reading the files to the last test, and the accuracy. Needs MNIST in $LAB_DATA_DIR.
"""

from __future__ import annotations

import argparse
import statistics

from children import measure

CHOICES = (
    "batches from one tensor",
    "channels last",
    "mixed precision",
    "a short memory",
    "the hardest third",
    "one thread",
    "no compiler",
    "one-cycle schedule",
    "label smoothing",
)


def main() -> None:
    """Measure all variants in turn, so that a busy moment hits all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    runs = parser.parse_args().runs
    variants: dict[str, list[str]] = {"all of them": []}
    variants |= {f"without: {name}": ["--without", name] for name in CHOICES}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    accuracies: dict[str, list[float]] = {name: [] for name in variants}
    for seed in range(runs):
        for name, words in variants.items():
            measured = measure("ours", "--shift", "1", "--seed", str(seed), *words)
            seconds[name].append(measured["cpu"])
            accuracies[name].append(100 * measured["accuracies"][-1])
    print(f"| {runs} runs each | CPU seconds | accuracy |\n|---|---|---|")
    for name in variants:
        print(
            f"| {name} | {statistics.median(seconds[name]):.1f} "
            f"({min(seconds[name]):.1f} to {max(seconds[name]):.1f}) | "
            f"{statistics.median(accuracies[name]):.2f} % |"
        )
    read = [measure("reading") for _ in range(runs)]
    for how in ("ours", "torchvision"):
        took = [one[how] for one in read]
        print(f"reading MNIST into tensors, {how}: {statistics.median(took):.2f} s")


if __name__ == "__main__":
    main()
