"""Fixtures for `lab run --slurm`: a cluster, and a laptop that is let in on its login node."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import bake_project
from environment import LabEnvironment
from needs import need_root
from remote_fixtures import workplace_of
from slurm_cluster import Cluster, ClusterPlace, slurm_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Slurm of the tests' own."""
    need_root("start a Slurm with its munge")
    with slurm_cluster() as running:
        yield running


@pytest.fixture
def place(
    cluster: Cluster,
    environment: LabEnvironment,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ClusterPlace]:
    """The laptop, the login node and the cluster, with nothing in the queue."""
    project = bake_project(tmp_path / "here", home=home, ssh_alias="machine")
    # Not below pytest's own folder: that path is too long for the sockets of shared connections.
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder:
        laptop = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with workplace_of(
            project,
            laptop=laptop,
            environment=environment,
            SLURM_CONF=str(cluster.configuration),
        ) as here:
            yield ClusterPlace(here=here, cluster=cluster)
            cluster.end_jobs()
            here.client.close()
