"""How long the environment takes: the first by pip, by uv and by ours, a second call, one package.

Run: python benchmarks/environment.py [--ways venv uv auto] [--up]. Each way begins with empty
caches, in a new project and a new home directory, and downloads several gigabytes; `auto` is a
machine that has Python, and neither uv nor conda. Prints seconds, and how many times as long as pip
it takes. With --up it measures the whole of the first `lab up`, against an OpenSSH server, instead
of the project's script. With --conda, real clients and a channel of stand-ins (../shared/conda)
make the environment: what they do themselves, without conda-forge's packages and their download.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

import openssh_server  # noqa: E402
from baking import (  # noqa: E402
    THIS_PYTHON,
    BakedProject,
    bake_project,
    environment_variables,
    install_far,
    isolated_variables,
)
from conda_clients import CLIENTS, conda_client  # noqa: E402
from programs import path_without  # noqa: E402

WAYS = {"venv": "venv and pip", "uv": "uv", "auto": "ours: uv is brought"}
FEW = f"""channels:
  - conda-forge
dependencies:
  - python={THIS_PYTHON}
  - pip
  - hatchling>=1.26
  - pytorch>=2.6
"""
"""A list that the channel of stand-ins can serve."""
PACKAGES = ("PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Variables by which programs find packages."""
PHASES = ("first", "second call", "--check", "one package more")


def main() -> None:
    """Measure each way in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--up", action="store_true", help="the first `lab up` as a whole")
    parser.add_argument("--conda", action="store_true", help="real conda and mamba, stand-ins")
    options = parser.parse_args()
    if options.conda:
        names = {name: name for name in CLIENTS}
        show({name: measured(measure_conda, name) for name in CLIENTS}, names, PHASES, of="")
    elif options.up:
        times = {way: measured(measure_up, way) for way in options.ways}
        show(times, WAYS, ("first lab up",), of="venv")
    else:
        show({way: measured(measure, way) for way in options.ways}, WAYS, PHASES, of="venv")


def measured(measure: Callable[[str, Path], list[float]], way: str) -> list[float]:
    """Measure one way, in a folder that is removed then."""
    with tempfile.TemporaryDirectory(prefix="lab-environment-") as folder:
        times = measure(way, Path(folder))
    print(f"{way}: {times}", flush=True)
    return times


def show(
    taken: dict[str, list[float]], names: dict[str, str], phases: Sequence[str], *, of: str
) -> None:
    """Print a table, with the first phase as a part of what it takes `of`."""
    print(f"| {'':20} | {' | '.join(phases)} | first, ratio |")
    print(f"|{'---|' * (len(phases) + 2)}")
    for way, times in taken.items():
        ratio = f"{times[0] / taken[of][0]:.2f}" if of in taken else "-"
        figures = " | ".join(f"{seconds:.1f}" for seconds in times)
        print(f"| {names[way]:20} | {figures} | {ratio} |")


def measure(way: str, folder: Path) -> list[float]:
    """Return the seconds of each phase."""
    home = folder / "home"
    project = bake_project(folder / "project", home=home, python_version=THIS_PYTHON)
    install_far(project)
    settings = project.path / "lab.local.toml"
    settings.write_text(f'[environment]\nmanager = "{way}"\n')
    managers = ("conda", "mamba", "micromamba") + (() if way == "uv" else ("uv", "uvx"))
    variables = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": path_without(folder, *managers),
        "LAB_PROGRAM_FOLDERS": "",
    }
    times = [run(project, variables), run(project, variables), run(project, variables, "--check")]
    lists = project.path / "pyproject.toml"
    lists.write_text(lists.read_text().replace('    "tqdm', '    "rich>=13",\n    "tqdm'))
    return [*times, run(project, variables)]


def measure_up(way: str, folder: Path) -> list[float]:
    """Return the seconds of the first `lab up` on a machine that has Python."""
    laptop = openssh_server.laptop(folder)
    key = laptop.make_key("id_ed25519")
    managers = ("conda", "mamba", "micromamba") + (() if way == "uv" else ("uv", "uvx"))
    with (
        environment_variables({**isolated_variables(laptop.home), "SSH_AUTH_SOCK": None}),
        openssh_server.account(own=True) as account,
    ):
        account.authorize(key.with_suffix(".pub").read_text())
        variables = {
            "HOME": str(account.home),
            "PATH": path_without(folder, *managers),
            "LAB_PROGRAM_FOLDERS": "",
            "PIP_CONFIG_FILE": os.devnull,  # this computer's may have constraints of its own
            **{name: value for name, value in os.environ.items() if name.startswith(PACKAGES)},
        }
        setting = " ".join(f'"{name}={value}"' for name, value in variables.items())
        with openssh_server.openssh_server(account, SetEnv=setting) as server:
            project = bake_project(
                folder / "project",
                home=laptop.home,
                remote=server.address,
                python_version=THIS_PYTHON,
            )
            own = project.path / "lab.local.toml"
            own.write_text(f'[environment]\nmanager = "{way}"\n')
            start = time.perf_counter()
            project.run(sys.executable, "-B", "lab.py", "up", "--no-code", "--yes")
            return [time.perf_counter() - start]


def measure_conda(name: str, folder: Path) -> list[float]:
    """Return the seconds of each phase, by a real client, from a channel of stand-ins."""
    client = conda_client(name, folder / "person")
    project = bake_project(folder / "project", home=client.home, python_version=THIS_PYTHON)
    install_far(project)
    own = f'[environment]\nmanager = "{client.program}"\n'
    (project.path / "lab.local.toml").write_text(own)
    variables = {**client.variables, "LAB_PROGRAM_FOLDERS": "", "LAB_MINIMUM_FREE_GB": "0"}
    lists = project.path / "environment.yml"
    lists.write_text(FEW)
    times = [run(project, variables), run(project, variables), run(project, variables, "--check")]
    lists.write_text(f"{FEW}  - timm\n")
    return [*times, run(project, variables)]


def run(project: BakedProject, variables: dict[str, str], *arguments: str) -> float:
    """Run the project's script; return how long it took."""
    removed = ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    start = time.perf_counter()
    subprocess.run(
        ["sh", "scripts/setup-environment.sh", *arguments],
        cwd=project.path,
        env=kept | variables,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
