"""What a newcomer waits for, step by step, beside what each step cannot be faster than.

Run: python benchmarks/journey.py [--runs N] [--delay SECONDS] [--only WORD] [--here]. Prints a
table of Markdown. The machine is an OpenSSH server on loopback. At last every step that needs it is
done over a network on which a round trip takes the delay, and its exchanges are counted.
A first `lab up` comes before it all: it takes a minute or two, and installs from uv's cache. With
`--here` it does not, and only the steps that need no machine are measured.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import generation
from rig import ALIAS, TEMPLATE_ROOT, Rig, Step, answers, measure, print_table, rig

FIRST_LINE = "the first line"
NOTHING = "# /// script\n# dependencies = []\n# ///\n"


def main() -> None:
    """Measure everything, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each step is measured")
    parser.add_argument("--delay", type=float, default=0.1, help="seconds of a round trip")
    parser.add_argument("--only", default="", help="the steps with this word in their names")
    parser.add_argument("--here", action="store_true", help="only what needs no machine")
    options = parser.parse_args()
    with (
        rig(has_environment=not options.here) as made,
        tempfile.TemporaryDirectory(prefix="lab-") as folder,
    ):
        steps = at_home(Path(folder)) + ([] if options.here else away(made))
        steps = [step for step in steps if options.only in step.name]
        measure(steps, runs=options.runs, network=made.network, delay=options.delay)
        print(
            f"{options.runs} runs each; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
        )
        print_table(steps, delay=options.delay)


def at_home(folder: Path) -> list[Step]:
    """Return the steps that need no machine."""
    variables = generation.make_home(folder / "home")
    number = 0

    def generate(*words: str) -> float:
        nonlocal number
        number += 1
        return generation.seconds([*words], folder / str(number), variables)

    pinned = pinned_script(folder / "pinned")
    nothing = folder / "nothing.py"
    nothing.write_text(NOTHING)
    template = str(TEMPLATE_ROOT)
    return [
        Step("cookiecutter, answered, to a project with its first commit and SSH entry",
             lambda: generate(template, generation.MACHINE),
             "the same files, without hooks",
             lambda: generate(template, "--accept-hooks", "no"), is_remote=False),
        Step("`uv run lab.py --help`", lambda: uv_run(pinned, "--help"),
             "`uv run` of an empty script", lambda: uv_run(nothing), is_remote=False),
    ]  # fmt: skip


def pinned_script(folder: Path) -> Path:
    """Make a lab.py that pins this checkout's commit, which uv makes an environment for."""
    folder.mkdir()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=TEMPLATE_ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    text = (TEMPLATE_ROOT / "{{cookiecutter.project_slug}}/lab.py").read_text()
    pin = f'# dependencies = ["ml-remote @ git+file://{TEMPLATE_ROOT}@{commit}"]'
    (folder / "lab.py").write_text(text.replace("# dependencies = []", pin))
    (folder / "lab.toml").write_text('format = 2\n[remote]\nalias = "gpu"\nfolder = "lab"\n')
    return folder / "lab.py"


def uv_run(script: Path, *arguments: str) -> float:
    """Return how long uv takes to run a script."""
    variables = {name: value for name, value in os.environ.items() if name != "LAB_TOOL"}
    start = time.perf_counter()
    subprocess.run(
        ["uv", "run", "--quiet", "--script", str(script), *arguments],
        check=True,
        env=variables,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def away(made: Rig) -> list[Step]:
    """Return the steps that reach the machine."""
    shared, own = "`ssh MACHINE true`, shared connection", "`ssh MACHINE true`, its own connection"

    def one() -> float:
        return made.ssh(ALIAS, "true")

    def own_connection() -> float:
        return made.ssh("-o", "ControlPath=none", ALIAS, "true")

    def push() -> float:
        made.commit()
        return made.lab("push")

    python = str(made.there / ".venv/bin/python")
    far = f"cd {made.there} && LAB_OUTPUT_DIR=/tmp/lab-journey-$$ .venv/bin/python"
    headless = f"{far} .lab/far/current headless labs/empty.py; rm -r /tmp/lab-journey-$$"
    return [
        Step("`lab status`", lambda: made.lab("status"), shared, one),
        Step("`lab runs`", lambda: made.lab("runs"), shared, one),
        Step("`lab doctor`", lambda: made.lab("doctor"), own, own_connection),
        Step("`lab push`, nothing to do", lambda: made.lab("push"), shared, one),
        Step("`lab push`, one commit", push, "`git push`, shared connection", made.git_push),
        Step("`lab pull`, nothing to do", lambda: made.lab("pull"), shared, one),
        Step("`lab up` again", lambda: made.lab("up", "--no-code", "--yes"), shared, one),
        Step("`lab run -- true`, results brought home", lambda: made.lab("run", "--", "true"),
             own, own_connection),
        Step("`lab run` to the first line", lambda: first_line(made), own, own_connection),
        Step("`lab run` of an empty lab", lambda: made.lab("run", "labs/empty.py"),
             "the same by ssh, no results", lambda: made.ssh(ALIAS, headless)),
        Step("the digit lab, from its start to the first picture", lambda: first_picture(made),
             "`import torch` alone", lambda: made.time([python, "-c", "import torch"]),
             is_remote=False),
        Step("`lab jupyter` to its first answer", lambda: jupyter(made),
             "JupyterLab alone, on the machine", lambda: jupyterlab_alone(made)),
        Step("`lab jupyter`, it runs already", lambda: jupyter(made, keep=True), own,
             own_connection),
    ]  # fmt: skip


def first_line(made: Rig) -> float:
    """Return how long it takes until a program has printed its first line."""
    command = made.command("run", "--again", "--", "echo", FIRST_LINE)
    return until(made, command, FIRST_LINE)


def first_picture(made: Rig) -> float:
    """Return how long the digit lab takes on the machine until its first picture is written.

    With a kernel that runs already that is what *Run All Cells* takes to it.
    """
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        start = time.perf_counter()
        with subprocess.Popen(
            [".venv/bin/python", "labs/mnistlab.py", "-p", "dataset", "digits"],
            cwd=made.there,
            env={**os.environ, "LAB_OUTPUT_DIR": folder},
            stdout=subprocess.DEVNULL,
        ) as process:
            while not list(Path(folder).glob("*.png")):
                assert process.poll() is None, "the lab has ended without a picture"
                time.sleep(0.01)
            took = time.perf_counter() - start
            process.terminate()
    return took


def jupyter(made: Rig, *, keep: bool = False) -> float:
    """Return how long `lab jupyter` takes until it has had an answer; a new session, unless `keep`.

    The session continues.
    """
    if not keep:
        made.lab("jupyter", "--stop")
    return until(made, made.command("jupyter", "--no-browser"), "Next:", interrupt=True)


def until(made: Rig, command: list[str], text: str, *, interrupt: bool = False) -> float:
    """Return how long a command takes to print a text; it is left to end, or interrupted, then."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=made.project.path,
        env=made.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        took = None
        for line in process.stdout:
            lines.append(line)
            if took is None and text in line:
                took = time.perf_counter() - start
                if interrupt:
                    process.send_signal(signal.SIGINT)
    assert took is not None, "".join(lines)
    return took


def jupyterlab_alone(made: Rig) -> float:
    """Return how long JupyterLab takes on the machine until it answers, started without ssh."""
    made.lab("jupyter", "--stop")
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        start = time.perf_counter()
        with subprocess.Popen(
            [".venv/bin/python", ".lab/far/current", "serve", "jupyter"],
            cwd=made.there,
            env={**os.environ, "LAB_JOB_FOLDER": f"{folder}/", "HOME": str(made.home)},
            stderr=subprocess.DEVNULL,
        ) as process:
            session = Path(folder) / "session"
            while not (
                session.exists()
                and answers(socket.AF_UNIX, f"{session.read_text().strip()}/socket")
            ):
                assert process.poll() is None, "JupyterLab has ended"
                time.sleep(0.01)
            took = time.perf_counter() - start
            process.terminate()
    return took


if __name__ == "__main__":
    main()
