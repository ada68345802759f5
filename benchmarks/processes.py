"""One training process beside two, each with one thread, from a tenth of the data to all of it.

Run: python benchmarks/processes.py [--runs N]. Prints a table of throughputs in images per second.
Needs MNIST in $LAB_DATA_DIR and two cores; on a machine with GPUs each process gets one of them.
"""

from __future__ import annotations

import argparse
import statistics

from children import measure

IMAGES = (6_000, 12_000, 30_000, 60_000)


def main() -> None:
    """Measure both in turn, so that a busy moment hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument(
        "--batch-size", type=int, default=1024, help="images a step, of all processes"
    )
    options = parser.parse_args()
    print("| images | one process | two processes | ratio (each run) |\n|---|---|---|---|")
    for images in IMAGES:
        one, two = [], []
        for seed in range(options.runs):
            words = ["ours", "--epochs", "3", "--hard-epochs", "0", "--seed", str(seed)]
            words += ["--images", str(images)]
            words += ["--batch-size", str(options.batch_size)]
            one.append(throughput(*words))
            two.append(throughput(*words, processes=2))
        ratios = sorted(b / a for a, b in zip(one, two, strict=True))
        print(
            f"| {images:,} | {statistics.median(one):,.0f} | "
            f"{statistics.median(two):,.0f} | {statistics.median(ratios):.2f} "
            f"({', '.join(f'{ratio:.2f}' for ratio in ratios)}) |",
            flush=True,
        )


def throughput(*words: str, processes: int = 0) -> float:
    """Return how many images a second are learned from, the evaluations included."""
    measured = measure(*words, processes=processes, threads=1)
    return float(measured["images"] / measured["fitting"])


if __name__ == "__main__":
    main()
