"""`lab data` when a transfer is cut, killed or disturbed, and when a list is not complete."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from cutting_proxy import cutting_proxy
from needs import need_program
from openssh_server import OpenSSHServer
from tool.data.folders import MEBIBYTE, NEW, OLD, BothSides, contents

from ml_remote.transfer.data import programs

pytestmark = pytest.mark.slow
LISTING = "ml_remote.transfer.data.remote_files"


@pytest.mark.parametrize("way", ["push", "pull"])
def test_cut_transfer_continues_and_nothing_is_half_there(
    sides: BothSides, server: OpenSSHServer, program: str, way: str
) -> None:
    size = 32 * MEBIBYTE
    source, target = (sides.here, sides.there) if way == "push" else (sides.there, sides.here)
    big = os.urandom(size)
    sides.write(source, "big.bin", big)
    sides.write(source, "a.txt", b"a")
    with cutting_proxy(server.port) as proxy:
        config = Path(os.environ["LAB_SSH_DIR"]) / "config"
        text = config.read_text()
        config.write_text(
            f"Host machine\n  Port {proxy.port}\n  HostKeyAlias [127.0.0.1]:{server.port}\n"
            f"  ControlPath none\n{text}"
        )
        if way == "pull":
            proxy.cut_after = 20 * MEBIBYTE
        else:
            proxy.cut_after_sent = 20 * MEBIBYTE
        code, said = sides.lab(way)
        assert code == 1, said
        assert not (target / "big.bin").exists()
        assert sides.status()[f"{'here' if way == 'push' else 'there'}_only"] >= 1
        sides.does(way)
        assert sides.status() == {"same": 2}
        assert proxy.cuts == 1
        passed = proxy.received if way == "pull" else proxy.sent
    assert (target / "big.bin").read_bytes() == big
    assert size <= passed < 1.35 * size


def test_what_is_written_during_a_transfer_is_kept(
    sides: BothSides, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    send = kind.send

    def sent_slowly(*given: object, **options: object) -> programs.Outcome:
        for name in written:  # one that was downloaded has the time of where it is from
            time = OLD if len(written) == 1 else NEW + 500
            sides.write(sides.there, name, b"by a run there", time=time)
        outcome: programs.Outcome = send(*given, **options)  # type: ignore[arg-type]
        with (sides.here / "log").open("ab") as log:
            log.write(b"more")
        return outcome

    written = ["new"]
    for name in ("new", "log", "result"):
        sides.write(sides.here, name, b"0")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, "send", sent_slowly)
        sides.lab("push", "new")
    assert (sides.there / "new").read_bytes() == b"by a run there"
    (sides.there / "new").unlink()
    (sides.here / "log").write_bytes(b"0")
    written.append("result")
    sides.write(sides.there, "result", b"0", time=NEW)
    sides.does("push", "result")
    sides.write(sides.here, "result", b"11", time=NEW + 10)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, "send", sent_slowly)
        said = sides.lab("push")[1]
    assert "log" in said
    if program == "rsync":
        assert "1 file changed while being sent: log." in said
        assert "2 files changed on machine meanwhile, not sent: new, result." in said
    else:
        assert "failed: log, new, result (they changed while they were sent)" in said
    assert sides.status() == {
        "changed_both": 2,
        "changed_here" if program == "rsync" else "here_only": 1,
    }
    for name in ("new", "result"):
        assert (sides.there / name).read_bytes() == b"by a run there"
    sides.lab("push")
    assert (sides.there / "log").read_bytes() == b"0more"
    sides.does("push", "--overwrite", "new")
    assert (sides.there / "new").read_bytes() == b"0"


def test_signal_ends_a_transfer_as_ctrl_c_does(
    sides: BothSides, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    bring = kind.bring

    def ended(*given: object, **options: object) -> programs.Outcome:
        bring(*given, **options)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    sides.write(sides.there, "a", b"a")
    monkeypatch.setattr(kind, "bring", ended)
    assert sides.lab("pull")[0] == 1
    assert contents(sides.here) == {"a": b"a"}
    assert sides.status() == {"same": 1}


def test_push_that_was_ended_knows_what_it_has_sent(
    sides: BothSides, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    last = "send" if program == "rsync" else "put"
    copy = getattr(kind, last)

    def ended(*given: object, **options: object) -> programs.Outcome:
        copy(*given, **options)
        raise KeyboardInterrupt

    sides.write(sides.here, "a", b"1")
    sides.write(sides.here, "b", b"1")
    sides.does("push", "a")
    sides.write(sides.here, "a", b"22", time=NEW + 1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, last, ended)
        assert sides.lab("push")[0] == 1
    for name in "ab":
        sides.write(sides.here, name, b"333", time=NEW + 2)
    assert sides.status() == {"changed_here": 2}
    sides.write(sides.there, "a", b"4444", time=NEW + 3)
    assert sides.status() == {"changed_here": 1, "changed_both": 1}


# Stand-ins for a find that meets a disk that fails, and for one of BSD, which has no -printf.
FAILING_FIND = """\
{real} "$@"
echo "find: './c': Input/output error" >&2
exit 1
"""
FIND_OF_BSD = """\
#!/bin/sh
for word; do
    case $word in -printf | -readable) echo "find: $word: unknown primary" >&2; exit 1 ;; esac
done
"""


@pytest.mark.parametrize("printf", [True, False], ids=["GNU", "BSD"])
def test_list_that_is_not_complete_is_not_believed(
    sides: BothSides, server: OpenSSHServer, printf: bool
) -> None:
    sides.write(sides.here, "a", b"mine", time=NEW)
    sides.write(sides.there, "a", b"newer", time=NEW + 5)
    sides.write(sides.there, "sub/b\nc", b"b")
    (sides.there / "l").symlink_to("a")
    real = shutil.which("find") or "/usr/bin/find"
    begins = "#!/bin/sh\n" if printf else FIND_OF_BSD
    find = sides.account.write("bin/find", f'{begins}exec {real} "$@"\n', mode=0o755)
    server.stop()
    server.start(SetEnv=f'"PATH={find.parent}:/usr/bin:/bin"')
    assert sides.status() == {"there_only": 1, "changed_both": 1}
    find.write_text(begins + FAILING_FIND.format(real=real))
    for words in (("push", "--overwrite"), ("pull", "--delete", "--yes"), ("status",)):
        code, said = sides.lab(*words)
        assert code == 1
        assert f"Not all files of {sides.there} on machine can be listed (find: './c'" in said
        assert "Next: Check that this folder and its disk can be read there" in said
    assert (contents(sides.here), (sides.there / "a").read_bytes()) == ({"a": b"mine"}, b"newer")


def test_reason_is_not_taken_from_a_banner(sides: BothSides, server: OpenSSHServer) -> None:
    """What the machine says is no word of ssh; what to do is of `lab data`."""
    real = need_program("rsync")
    banner = sides.account.write("banner", "ada@machine: Permission denied (publickey).\n")
    rsync = sides.account.write(
        "bin/rsync",
        f'#!/bin/sh\n[ "$1" != --version ] || exec {real} --version\n'
        "echo 'rsync: [Receiver] mkdir \"/x\" failed: Permission denied (13)' >&2\nexit 11\n",
        mode=0o755,
    )
    sides.write(sides.here, "a")
    config = Path(os.environ["LAB_SSH_DIR"]) / "config"
    config.write_text(f"Host machine\n  ControlPath none\n{config.read_text()}")
    server.stop()
    server.start(SetEnv=f'"PATH={rsync.parent}:/usr/bin:/bin"', Banner=str(banner))
    code, said = sides.lab("push")
    assert code == 1
    assert "Sending 1 of 1 file failed: you cannot read or write some of the files" in said
    assert "or skip these files: name them in .labignore" in said


def test_machine_that_runs_nothing_is_not_waited_for(
    sides: BothSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{LISTING}.SCRIPT_COMMAND", ("echo", "no login"))
    code, said = sides.lab("status")
    assert code == 1
    assert "does not run commands. It says: no login" in said
    monkeypatch.setattr(f"{LISTING}.SCRIPT_COMMAND", ("sleep", "20"))
    monkeypatch.setattr(f"{LISTING}._TO_BEGIN", 0.5)
    code, said = sides.lab("status")
    assert code == 1
    assert "machine did not list the files of data/ in time." in said


def test_index_that_cannot_be_written(sides: BothSides) -> None:
    (sides.root / ".lab/data/index").mkdir(parents=True)
    code, said = sides.lab("status")
    assert code == 1
    assert "which records what was copied, cannot be used (unable to open database file)" in said


def test_part_that_came_stays_when_other_files_are_brought(sides: BothSides) -> None:
    part = sides.write(sides.here, ".lab-partial/rsync/big.bin", b"x" * 1000)
    sides.write(sides.there, "big.bin", b"x" * 2000)
    sides.write(sides.there, "sub/small/a", b"a")
    sides.does("pull", "sub")
    assert part.read_bytes() == b"x" * 1000
    assert [*part.parent.iterdir()] == [part]
    sides.does("pull")
    assert (sides.here / "big.bin").read_bytes() == b"x" * 2000
    assert not (sides.here / ".lab-partial").exists()


def test_file_of_a_pull_that_was_killed_is_not_written_into(
    sides: BothSides, tmp_path: Path
) -> None:
    """It has two names then, until the next pull that is about it."""
    need_program("rsync")
    sides.write(sides.there, "a", b"1" * 1000)
    sides.does("pull")
    part = sides.here / ".lab-partial/rsync/a"
    part.parent.mkdir(parents=True)
    part.hardlink_to(sides.here / "a")
    other = tmp_path / "another name"
    other.hardlink_to(part)
    sides.write(sides.there, "a", b"2" * 2000, time=NEW + 1)
    sides.does("pull")
    assert (sides.here / "a").read_bytes() == b"2" * 2000
    assert other.read_bytes() == b"1" * 1000


def test_second_one_at_a_time(sides: BothSides) -> None:
    import fcntl

    sides.write(sides.here, "a")
    sides.does("push")
    with (sides.root / ".lab/data/lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, said = sides.lab("push")
    assert code == 1
    assert "Another `lab data` command is copying files of this project." in said
    # What was remembered is damaged: both sides are compared again.
    (sides.root / ".lab/data/index").write_bytes(b"not a database" * 100)
    assert sides.status() == {"same": 1}
