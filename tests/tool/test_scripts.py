"""The sh scripts for the machine: what they are made of, where they run, and how they fail."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from needs import need_program

from ml_remote.errors import LabError, MissingFolderError, RemoteCommandError, UnreachableError
from ml_remote.far import login
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import parse_answer
from ml_remote.machine import Machine
from ml_remote.scripts import ExitCode, failure, script
from ml_remote.ssh.client import Client

FOLDER = Path(login.__file__).parent
FILES = sorted(FOLDER.glob("*.sh"))
RUN = Run(lab="labs/ü.py", parameters=(("text", "it's\t\\n \x1b[1m"),))


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_script_has_what_it_needs_once_and_the_exit_codes_it_names(name: str) -> None:
    text = script(name)
    defined = re.findall(r"(?m)^(\w+)\(\) *\{", text)
    # The functions that are other scripts have their own, and do not see each other's.
    assert len(defined) == len(set(defined)) or "functions: " in (FOLDER / f"{name}.sh").read_text()
    named = set(re.findall(r'exit "\$([A-Z_]+)"', text))
    assert named == set(re.findall(r"(?m)^([A-Z_]+)=\d+$", text))
    assert all(f"{code}={ExitCode[code]}\n" in text for code in named)


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox"])
def test_jobs_are_described_alike_by_every_shell(shell: str, tmp_path: Path) -> None:
    program = "sh" if shell == "sh" else need_program(shell)
    command = [program, "sh"] if shell == "busybox" else [program]
    job = tmp_path / "the project" / ".lab" / "jobs" / "2026-01-02_03-04-05"
    job.mkdir(parents=True)
    about = About(kind="run", title=RUN.title, run=RUN, far=".lab/far/1")
    (job / "about.json").write_text(f"{about.to_json()}\n")
    (job / "started").write_text("100\n")
    (job / "exit").write_text("3   160\n")
    older = job.with_name("2025-01-02_03-04-05")
    older.mkdir()
    (older / "about").write_text("run 90 labs/a.py -p epochs 5\n")
    done = subprocess.run(
        [*command, "-s", "the project"],
        input=script("list-jobs"),
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = parse_answer(done.stdout).jobs
    assert (first.title, first.state) == ("labs/a.py -p epochs 5", "lost")
    assert (second.about, second.state, second.exit_code) == (about, "failed", 3)
    assert second.duration.total_seconds() == 60


def test_key_that_a_full_disk_does_not_take_is_told_by_a_code_alone(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").symlink_to("/dev/full")
    done = subprocess.run(
        ["sh", "-s", "ssh-ed25519 AAAA ada"],
        input=script("copy-key"),
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.NOT_WRITABLE, "", "")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (" ssh-ed25519 AAAA", "present"),
        ('from="10.0.0.1" ssh-ed25519 AAAA ada', "restricted"),
        ('from="10.0.0.1" ssh-ed25519 AAAA\nssh-ed25519 AAAA', "present"),
        ('cert-authority,principals="x" ssh-ed25519 AAAA', "restricted"),
    ],
)
def test_options_of_the_line_that_has_a_key_are_told(
    tmp_path: Path, line: str, answer: str
) -> None:
    file = tmp_path / ".ssh" / "authorized_keys"
    file.parent.mkdir()
    file.write_text(f"{line}\n")
    done = subprocess.run(
        ["sh", "-s", "ssh-ed25519 AAAA ada"],
        input=script("copy-key"),
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.split()[-1]) == (0, answer)
    assert file.read_text() == f"{line}\n"


@pytest.mark.parametrize(
    ("code", "said", "kind", "words"),
    [
        (ExitCode.NO_FOLDER, "", MissingFolderError, "There is no folder lab on gpu."),
        (ExitCode.NO_JOB, "", LabError, "There is no job 14-05 on gpu"),
        (
            ExitCode.DISK,
            "2048",
            RemoteCommandError,
            "Nothing can be written to lab/.lab on gpu: 2",
        ),
        (
            ExitCode.SSH,
            "ssh: connect to host 10.0.0.5 port 22: Connection refused",
            UnreachableError,
            "",
        ),
        (9, "sh: oops", RemoteCommandError, "On gpu, sh ended with exit code 9: sh: oops"),
    ],
)
def test_exit_code_becomes_an_error_in_words(
    code: int, said: str, kind: type[LabError], words: str, tmp_path: Path
) -> None:
    machine = Machine(client=Client(alias="gpu", directory=tmp_path), folder="lab")
    error = failure(code, said, machine=machine, job="14-05")
    assert isinstance(error, kind)
    assert error.message.startswith(words)
    known = failure(code, said, machine=machine, explanations={code: LabError})
    assert known.message == said


def test_free_room_is_found_where_a_disk_has_blanks_in_its_name(tmp_path: Path) -> None:
    df = tmp_path / "df"
    df.write_text(
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\n"
        "echo '//server/my own disk 1000 400 600 40% /mnt/my disk'\n"
    )
    df.chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", f"{script('free-space')}free_kib ."],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "600\n"
