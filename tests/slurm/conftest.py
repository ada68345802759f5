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
from slurm_cluster import (
    Cluster,
    ClusterProject,
    OrdinaryProject,
    ordinary_project,
    slurm_cluster,
)
from tool_helpers import ready_project_of


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Yield a Slurm of the tests' own."""
    need_root("start a Slurm with its munge")
    with slurm_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def ordinary(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrdinaryProject]:
    """Yield a small project of an ordinary account, for all tests of a file."""
    with ordinary_project(cluster, tmp_path_factory.mktemp("here")) as made:
        yield made


@pytest.fixture
def cluster_project(
    cluster: Cluster,
    environment: LabEnvironment,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ClusterProject]:
    """Yield the laptop, the login node and the cluster, with nothing in the queue."""
    project = bake_project(tmp_path / "here", home=home, ssh_alias="machine")
    # Not below pytest's own folder: that path is too long for the sockets of shared connections.
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder:
        laptop = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with ready_project_of(
            project,
            laptop=laptop,
            environment=environment,
            SLURM_CONF=str(cluster.configuration),
        ) as here:
            yield ClusterProject(here=here, cluster=cluster)
            cluster.end_jobs()
            here.client.close()
