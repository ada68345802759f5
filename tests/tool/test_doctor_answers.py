"""`lab doctor`: what it makes of answers of programs and of the machine, without either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_remote import processes
from ml_remote.cluster import parse_partitions
from ml_remote.context import Context
from ml_remote.doctor import checks, folder_checks, local_checks, machine_checks, report
from ml_remote.doctor.cluster_checks import check_cache, check_prepare, check_wishes
from ml_remote.doctor.findings import Finding, State, ok, skipped, unknown
from ml_remote.doctor.tool_checks import check_rsync, check_tools
from ml_remote.project import Project
from ml_remote.slurm_options import SlurmOptions, read_options
from ml_remote.ssh.address import Destination
from ml_remote.ssh.entry import Entry
from ml_remote.tables import Tables

QUOTA = "quota\tquota\tDisk quotas for user ada (uid 5): \nquota\tquota\t/ 9* 8 9 none 1 0 0"
COLUMNS = ("gpu*", "n1", "mix", "2-00:00:00", "gpu:a100:4(S:0-1)", "gpu:a100:3(IDX:0-2)")
NODE = "slurm-node\t" + "".join(map(str.ljust, COLUMNS, (60, 80, 20, 20, 200, 200)))


def wishes(output: str, *, ping: str | None = "up", **asked: int | str) -> Finding:
    """Compare what [slurm] asks for with what sinfo says."""
    options = read_options(Tables(project=Path("lab.toml"), shared={"slurm": asked}, local={}))
    return check_wishes(options, parse_partitions(output), ping=ping)


def prepares(said: str | None) -> Finding:
    """Judge what came of the lines of prepare."""
    return check_prepare(SlurmOptions(prepare=("module load x",)), said)


def caches(said: str, quotas: str = "") -> Finding:
    """Judge what the machine says of the folder for downloads."""
    return check_cache("/scratch/ada", {"cache": said}, quotas, alias="gpu")


RSYNC = "rsync  version 3.2.7  protocol version 31"
ENTRY = Entry(alias="gpu", destination=Destination(host="gpu.example.com"))
# What no machine of the tests can be made to answer: the answers themselves are the stand-ins.
ANSWERS: dict[str, tuple[Finding, State, str]] = {
    "git": (machine_checks.check_git("git version 1.8.3.1"), "failed", "1.8.3.1 is too old"),
    "git?": (machine_checks.check_git("git version next"), "unknown", "cannot be read"),
    "rsync 2": (check_rsync("rsync  version 2.6.9  protocol version 29", RSYNC, sftp="ok"),
        "warning", "2.6.9  protocol version 29 on the machine; 3.0 or newer is needed"),
    "openrsync": (check_rsync("openrsync: protocol version 29", RSYNC, sftp="ok"),
        "warning", "openrsync: protocol version 29 on the machine; 3.0 or newer is needed"),
    "openrsync here": (check_rsync(RSYNC, "openrsync: protocol version 29", sftp="unknown"),
        "warning", "on this computer; 3.0 or newer is needed on both sides, so results are copied"),
    "entry unread": (checks.check_entry(ENTRY, "gpu", {"hostname": ["gpu"]}),
        "failed", "ssh does not read lab's entry for gpu"),
    "no rsync, no sftp": (check_rsync("", RSYNC, sftp="failed"), "failed", "no sftp either"),
    "rsync?": (check_rsync(None, RSYNC, sftp="ok"), "unknown", "did not say"),
    "tools?": (check_tools(None), "unknown", "did not say"),
    "python?": (machine_checks.check_python("three"), "unknown", "cannot be read"),
    "disk?": (machine_checks.check_disk(""), "unknown", "df did not say"),
    "quota": (machine_checks.check_quota("asked", QUOTA), "failed", "GiB (/); it is used up"),
    "quota?": (machine_checks.check_quota("asked", "quota\tquota\tlots"), "unknown", "cannot be"),
    "no word of a quota": (machine_checks.check_quota(None), "unknown", "did not say"),
    "no quota": (machine_checks.check_quota("none"), "skipped", "no program"),
    "clock?": (machine_checks.check_clock("", before=1, after=2), "unknown", "the machine's time"),
    "clock": (machine_checks.check_clock("99", before=1, after=2), "failed", "97 s ahead"),
    "slow": (machine_checks.check_clock("99", before=1, after=200), "ok", "agrees"),
    "logout": (machine_checks.check_logout("ends"), "warning", "ends what you left running"),
    "logout?": (machine_checks.check_logout("x"), "unknown", "cannot be read"),
    "no word of logout": (machine_checks.check_logout(None), "unknown", "did not say"),
    "no logind": (machine_checks.check_logout(""), "skipped", "no systemd-logind"),
    "kept": (machine_checks.check_logout("keeps"), "ok", "continues"),
    "no slurm": (wishes("", ping=None, gpus=1), "failed", "there is no sbatch"),
    "nothing of slurm": (wishes("", ping=None), "skipped", "does not use it"),
    "slurm?": (wishes("", gpus=1), "unknown", "does not answer"),
    "slurm": (wishes(NODE, partition="gpu", gpus=4, time="2-00"), "ok", "partitions: gpu"),
    "partition": (wishes(NODE, partition="gpus"), "failed", "no partition gpus, only gpu"),
    "time of a run": (wishes(NODE, time="2-01"), "failed", "allows 2-00:00:00"),
    "nodes": (wishes(NODE, nodes=2), "failed", "partition gpu has 1"),
    "cards": (wishes(NODE, gpus=5), "failed", "has more than 4"),
    "closed partition": (wishes(NODE + "down", time="30"), "failed", "gpu accepts jobs now"),
    "prepare": (prepares("91 This line failed: module load x"), "failed", "module load x"),
    "prepare?": (prepares(None), "unknown", "did not say"),
    "prepared": (prepares("0 "), "ok", "runs it"),
    "nothing prepared": (check_prepare(SlurmOptions(), None), "skipped", "has no prepare"),
    "cache": (caches("works 99000000 /dev/a"), "ok", '{"gpu": "/scratch/ada"}'),
    "cache?": (caches("lots"), "unknown", "did not say"),
    "no cache": (check_cache("", {}, "", alias="gpu"), "skipped", "default places"),
    "cache closed": (caches("closed 99000000 /dev/a"), "failed", "may not write to it"),
    "cache at home": (caches("home 99000000 /dev/a"), "warning", "of your home directory"),
    "cache full": (caches("works 900000 /dev/a"), "failed", "0.9 GiB are free"),
    "quota of the cache": (caches("works 99000000 /", QUOTA), "failed", "GiB (/)"),
    "data": (folder_checks.check_data("1000", folder="yours"), "warning", "0.0 GiB are free"),
    "data gone": (folder_checks.check_data("dangling", folder="yours"), "failed", "is gone"),
    "data?": (folder_checks.check_data(None, folder="yours"), "unknown", "did not say"),
    "programs?": (folder_checks.check_outside([], folder="yours"), "unknown", "did not say"),
    "environment?": (folder_checks.check_environment(None, folder="yours"), "unknown", "its state"),
    "folder?": (
        folder_checks.check_folder("lab", "", repository="", branch="", here=Path()),
        "unknown", "did not say",
    ),
    "temporary": (
        folder_checks.check_writing("temporary", "full", runs_programs=False), "failed", "is full",
    ),
    "temporary?": (
        folder_checks.check_writing("temporary", "", runs_programs=False), "unknown", "not say",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("finding", "state", "words"), ANSWERS.values(), ids=ANSWERS)
def test_answer_is_judged(finding: Finding, state: State, words: str) -> None:
    assert finding.state == state
    assert words in finding.detail


@pytest.mark.parametrize(
    ("printed", "state"),
    [("git version 2.5.0", "failed"), ("git next", "unknown"), ("git version 2.39.5", "ok")],
)
def test_git_here_is_judged(
    printed: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text(f"#!/bin/sh\necho {printed}\n")  # a stand-in of that version
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_checks.check_git_here().state == state


def test_editor_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "code"
    program.write_text("#!/bin/sh\n")  # a stand-in without extensions
    program.chmod(0o755)
    monkeypatch.setenv("LAB_EDITOR", str(program))
    assert local_checks.check_editor().state == "warning"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert local_checks.check_editor().state == "unknown"
    monkeypatch.setenv("LAB_EDITOR", str(tmp_path / "none"))
    assert local_checks.check_editor().state == "unknown"


def test_what_nobody_knows_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "machine"\nfolder = "lab"\n')
    context = Context(project=Project(root=tmp_path))
    secret = Finding(name="x", state="ok", detail="says s3cret", quoted=("s3cret",))
    found = [secret, skipped("y", "no"), unknown("z", "no answer", remedy="lab setup")]
    monkeypatch.setattr(report, "examine", lambda *_: iter(found))
    assert not report.doctor(context)
    assert capsys.readouterr().out.endswith(
        "\nSome checks could not decide: 1 ok, 1 unknown, 1 skipped.\nNext: lab setup\n"
    )
    assert not report.doctor(context, as_json=True, copy=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["well"], printed["counts"]["unknown"]) == (False, 1)
    assert printed["checks"][0] == {
        "name": "x", "state": "ok", "detail": "says <text>", "remedy": None,
    }  # fmt: skip
    monkeypatch.setattr(report, "examine", lambda *_: iter([ok("x", "fine"), skipped("y", "no")]))
    assert report.doctor(context)
    assert "All checks passed: 1 ok, 1 skipped." in capsys.readouterr().out


def test_folder_is_unknown_where_there_is_no_git_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = folder_checks.check_folder(
        "lab", "yours", repository=f"{1:040}", branch="main", here=tmp_path
    )
    assert found.state == "unknown"
    assert "git" in found.detail


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada@10.0.0.7 refused", "<address> refused"),
        ("it is 192.168.1.12, port 22", "it is <address>, port 22"),
        ("connect to fe80::1 or [2001:db8::1]:22", "connect to <address> or [<address>]:22"),
        ('chmod 600 "/home/ada/.ssh/id"', 'chmod 600 "<path>"'),
        ("in ~/.ssh/config, line 3", "in <path>, line 3"),
        (r"C:\Users\Ada\.ssh\config is open", "<path> is open"),
        ("gpu-17 and agpu-17b", "<host> and agpu-17b"),
        ("key SHA256:abc+/DEF", "key <fingerprint>"),
        ("at 10:05:33 it took 3 s", "at 10:05:33 it took 3 s"),
    ],
)
def test_text_is_redacted(text: str, left: str) -> None:
    assert report.redact(text, {"gpu-17": "<host>"}) == left


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("", "ok"),
        ("/ 500 0 0 1 0 0", "ok"),
        ("/ 1000 99000000 99000000 1 0 0", "ok"),
        ("/ 98000000 99000000 99500000 1 0 0", "failed"),
        ("/ 100 0 1000 1 0 0", "failed"),
        ("/ 900* 800 1000 6days 1 0 0", "failed"),
        ("/ 900 0 0 1000* 900 1000 none", "failed"),
    ],
)
def test_quota_is_read_as_the_program_prints_it(line: str, state: str) -> None:
    heading = "Disk quotas for user ada (uid 1000): "
    said = "".join(f"quota\tquota\t{one}\n" for one in (heading, " Filesystem blocks", line))
    assert machine_checks.check_quota("asked", said).state == state


@pytest.mark.parametrize(
    ("version", "state"),
    [("3.10.12", "warning"), ("3.11.0", "ok"), ("3.14.0", "ok"), ("", "warning")],
)
def test_python_that_is_too_old_is_told(version: str, state: str) -> None:
    assert machine_checks.check_python(version).state == state


def test_room_is_asked_for_until_the_environment_is_there() -> None:
    assert machine_checks.check_disk("1048576").state == "failed"
    assert machine_checks.check_disk("1048576", needed=0).state == "ok"


def test_ssh_version_of_this_machine_is_understood() -> None:
    assert "OpenSSH" in processes.run(["ssh", "-V"]).stderr
    assert checks.check_version().state == "ok"
