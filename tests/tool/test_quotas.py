"""Quotas and clusters in the words of their programs, as sites have shown them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ml_remote.cluster import cluster_lines, parse_cluster_jobs, parse_partitions
from ml_remote.machine import Machine
from ml_remote.quotas import is_short, parse_quotas, quota_error
from ml_remote.scripts import script
from ml_remote.ssh.client import Client

OF_QUOTA = """\
Disk quotas for user ada (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nfs.example.com:/home/ada
                20971520* 20971520 26214400   6days    5120       0       0
"""
OF_LUSTRE = """\
Disk quotas for usr ada (uid 1471600598):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
/home/site/a/ada
                95747836       0 104857600       -  908722       0 1048576       -
uid 1471600598 is using default block quota setting
"""
OF_A_GROUP = """\
Disk quotas for grp lab (gid 5):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
      /project 6715       0       0       - 1000000*      0 1000000       -
"""
OF_GPFS = """\
                         Block Limits                                      |     File Limits
Filesystem Fileset type     KB      quota      limit   in_doubt grace |  files quota limit in_doubt
rs_gpfs    homes   USR   444181792 1073741824 1073741824 6072144 none | 815985 1000000 1000000 2462
fs1        FILESET         0    2097152    2097152          0    none |      1       0       0    0
"""
EVIL = "Disk quotas for user $(x) (uid 1):\n/ 9 9 9 1 0 0\n"


def said(tool: str, text: str) -> str:
    """Return what quota.sh prints of what a program says."""
    return "quota-of\tada\tlab\n" + "".join(f"quota\t{tool}\t{one}\n" for one in text.splitlines())


@pytest.mark.parametrize(
    ("tool", "text", "expected"),
    [
        ("quota", OF_QUOTA, ["ada: 20 of 25 GiB (nfs.example.com:/home/ada)"]),
        ("lfs", OF_LUSTRE, ["ada: 91 of 100 GiB, 908,722 of 1,048,576 files (/home/site/a/ada)"]),
        ("lfs", OF_A_GROUP, ["group lab: 1,000,000 of 1,000,000 files (/project)"]),
        (
            "mmlsquota",
            OF_GPFS,
            [
                "ada: 424 of 1024 GiB, 815,985 of 1,000,000 files (rs_gpfs:homes)",
                "fileset fs1: 0.0 of 2.0 GiB (fs1)",
            ],
        ),
        ("quota", "Disk quotas for user ada (uid 1000): none", []),
        ("quota", EVIL, []),
    ],
)
def test_quota_is_read_as_its_program_prints_it(tool: str, text: str, expected: list[str]) -> None:
    assert [str(one) for one in parse_quotas(said(tool, text))] == expected


def test_quota_that_is_used_up_names_whose_it_is_and_what_could_be_elsewhere() -> None:
    assert is_short(parse_quotas(said("lfs", OF_LUSTRE)))
    assert not is_short(parse_quotas(said("quota", "Disk quotas for user ada (uid 1): none")))
    sizes = "size\t5242880\t/home/ada/.cache\nsize\t9437184\t.lab/envs\n"
    sizes += "size\tx\t/\nsize\t9\toutputs\n"
    machine = Machine(client=Client(alias="gpu"), folder="my-lab")
    error = quota_error(f"quota exceeded\n{said('lfs', OF_A_GROUP)}{sizes}", machine)
    assert "on gpu: a quota is used up. group lab: 1,000,000 of 1,000,000 files" in error.message
    assert ".lab/envs takes 9.0 GiB: folder in [environment]" in error.message
    assert "/home/ada/.cache takes 5.0 GiB: cache in [environment]" in error.message
    assert "outputs" not in error.message
    assert "No program on the machine reports" in quota_error("quota exceeded", machine).message


def node(*columns: str, available: str = "up") -> str:
    """Return a line of sinfo, whose columns have the widths that cluster.sh asks for."""
    widths = (60, 80, 20, 20, 200, 200, 10)
    return "slurm-node\t" + "".join(
        text.ljust(size) for text, size in zip((*columns, available), widths, strict=True)
    )


def test_cluster_is_told_by_its_free_cards_and_the_jobs_of_a_person() -> None:
    output = "\n".join(
        [
            node("gpu*", "n1", "mix", "2-00:00:00", "gpu:a100:4(S:0-1)", "gpu:a100:3(IDX:0-2)"),
            node("gpu*", "n2", "idle~", "2-00:00:00", "gpu:v100:2", "gpu:v100:0(IDX:N/A)"),
            node("gpu*", "n3", "down*", "2-00:00:00", "gpu:a100:4", "gpu:a100:0"),
            node("any", "n4", "alloc", "1:00:00", "gpu:2,shard:8", "gpu:(null):2(IDX:0-1)"),
            node("cpu", "n5", "idle", "infinite", "(null)", "(null)"),
            node("off", "n6", "drain", "1:00", "gpu:2", "gpu:0"),
            node("shut", "n5", "idle", "1:00", "gpu:2", "gpu:0", available="down"),
            "slurm-job\t7|gpu|RUNNING|1:02:03|n1|None|train|x",
            "slurm-job\t8|gpu|PENDING|2:00:00|n/a|Priority|setup",
            "slurm-job\t$(x)|gpu|PENDING|2:00:00|n/a|Priority|setup",
            "slurm-job\t9|gpu",
        ]
    )
    lines = list(cluster_lines(parse_partitions(output), parse_cluster_jobs(output)))
    assert lines == [
        "Partition   gpu: 3 of 6 cards free (1 of 4 a100, 2 of 2 v100), 1 of 2 nodes idle; "
        "at most 2-00:00:00",
        "Partition   any: 0 of 2 cards free, 0 of 1 nodes idle; at most 1:00:00",
        "Partition   cpu: 1 of 1 nodes idle, no cards; at most infinite",
        "Partition   off: no node accepts jobs; at most 1:00",
        "Partition   shut: no node accepts jobs; at most 1:00",
        "Slurm job   7  train|x (gpu): running on n1, 1:02:03 left",
        "Slurm job   8  setup (gpu): other jobs are ahead of it (Priority)",
    ]


def test_program_for_quotas_that_does_not_answer_is_asked_once(tmp_path: Path) -> None:
    for name, body in (
        ("quota", "echo asked >>asked; exec sleep 60"),
        ("lfs", r"""printf '\000\033]0;x\007\n%s\n' "$*"; exit 1"""),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"{script('quota')}\npatiently='timeout 0.05'\nquotas /a /b"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert done.stdout.count("quota\tlfs\tquota -") == 4
    assert parse_quotas(done.stdout) == []
