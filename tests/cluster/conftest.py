"""Fixtures for tests on a cluster as people have it (cluster_site.py)."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cluster_site
import openssh_server
import pytest
from cluster_machine import in_network_of
from cluster_site import Site
from needs import IS_ROOT
from openssh_server import Laptop
from started import end_started


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Yield the cluster, for all tests of a file. Root never skips them."""
    if not IS_ROOT:
        pytest.skip(f"only root can make the machines of a cluster: {request.node.nodeid}")
    with cluster_site.site() as running:
        yield running


@pytest.fixture
def laptop(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """Yield the laptop, which reaches the gateway; the test and what it starts are in its network.

    After the test nothing of it is left: no shared connection, no job, no process, no file.
    """
    # Not below pytest's own folder: that path is too long for the sockets of shared connections.
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder, in_network_of(site.laptop):
        made = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(made.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield made
        end_started()  # what a test that failed has left would go on below the next one
        for path in filter(Path.is_socket, made.ssh.rglob("*")):
            subprocess.run(["ssh", "-S", path, "-O", "exit", "any"], capture_output=True)
        site.clear()
