"""A login on a compute node by `lab node`, beside a plain ProxyJump to the same node.

Run as root: python benchmarks/node.py [--runs N]. On a cluster in network namespaces; prints the
seconds from a running job to the first output of a shell, over a connection of its own to the node,
and for 100 MB to the laptop. Both go through the same shared connection to the login node.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

import cluster_site  # noqa: E402
import openssh_server  # noqa: E402
from baking import bake_project, environment_variables, isolated_variables  # noqa: E402
from cluster_machine import in_network_of  # noqa: E402
from cluster_site import Site  # noqa: E402
from openssh_server import Laptop  # noqa: E402

MEGABYTES = 100


def main() -> None:
    """Measure both ways in turn, so that a busy moment hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with (
        cluster_site.site() as site,
        tempfile.TemporaryDirectory(prefix="laptop-") as folder,
        in_network_of(site.laptop),
    ):
        laptop = openssh_server.laptop(Path(folder))
        variables = {**isolated_variables(laptop.home), "SSH_AUTH_SOCK": None}
        with environment_variables(variables):
            measure(site, laptop, runs)


def measure(site: Site, laptop: Laptop, runs: int) -> None:
    """Get a node and print how long logins and copies take by each way."""
    aliases = {"lab node": "cluster-node", "ProxyJump": "plain"}
    get_node(site, laptop)
    taken: dict[str, dict[str, list[float]]] = {way: {"shell": [], "copy": []} for way in aliases}
    copying = f"head -c {MEGABYTES}000000 /dev/zero"
    for _ in range(runs):
        for way, alias in aliases.items():
            taken[way]["shell"].append(seconds(laptop, alias, "echo"))
            taken[way]["copy"].append(seconds(laptop, alias, copying))
    print(f"{'':12}{'shell':>8}{'fastest':>9}{f'{MEGABYTES} MB':>9}{'fastest':>9}  ({runs} runs)")
    for way, times in taken.items():
        columns = [
            figure(times[what]) for what in ("shell", "copy") for figure in (statistics.median, min)
        ]
        print(f"{way:12}{columns[0]:8.2f}{columns[1]:9.2f}{columns[2]:9.2f}{columns[3]:9.2f}")


def get_node(site: Site, laptop: Laptop) -> None:
    """Run `lab node` as Ada, and make an entry that leads to the node's own SSH server."""
    site.known(laptop, site.ada)
    project = bake_project(laptop.home / "here", home=laptop.home, ssh_alias="cluster")
    there = site.ada.home / project.path.name
    shutil.copytree(project.path, there, ignore=shutil.ignore_patterns(".git", ".venv"))
    owner = site.ada.home.stat()
    for path in (there, *there.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    project.run(sys.executable, "-B", "lab.py", "node", "--yes")
    node = site.slurm("squeue", "--noheader", "--states=RUNNING", "--format=%B").strip()
    keys = site.login1.run("ssh-keyscan", "-t", "ed25519", node).splitlines()
    with laptop.known_hosts.open("a") as known:
        known.write("".join(f"{line}\n" for line in keys if not line.startswith("#")))
    with laptop.config.open("a") as config:
        config.write(f"Host plain\n  HostName {node}\n  User ada\n  ProxyJump cluster\n")


def seconds(laptop: Laptop, alias: str, command: str) -> float:
    """Return how long a login of its own with a command takes."""
    start = time.perf_counter()
    subprocess.run(
        ["ssh", "-F", str(laptop.config), "-o", "ControlPath=none", alias, command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
