"""`lab data`: data/ both ways between here and a real OpenSSH server, by rsync and by sftp."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import pytest
from baking import TOOL
from cutting_proxy import cutting_proxy
from needs import need_program, need_root
from openssh_server import Account, OpenSSHServer
from remote_fixtures import at

from ml_remote import cli
from ml_remote.context import Context
from ml_remote.data_there import settings_there
from ml_remote.errors import ConfigurationError
from ml_remote.jobs.about import Run
from ml_remote.machine import Machine
from ml_remote.project import Project
from ml_remote.runs.reading import paths_read, warn_of_missing_data
from ml_remote.ssh.client import Client
from ml_remote.tables import Tables
from ml_remote.transfer.data import programs
from ml_remote.transfer.data.selection import is_inside
from ml_remote.transfer.data.there import There
from ml_remote.transfer.rsync import version_in

pytestmark = pytest.mark.slow

OLD = 1_600_000_000
NEW = 1_700_000_000
LISTING = "ml_remote.transfer.data.there"
MEBIBYTE = 2**20
AWKWARD = (
    "two words/and more.txt",
    "it's.txt",
    'say "hi".txt',
    "back\\slash.txt",
    "glob*?[a]{b}.txt",
    "-n",
    "#hash $HOME `id` !.txt",
    "größe → 世界.txt",
    ".hidden",
    "..cache/two dots",
    os.fsdecode(b"caf\xe9.png"),
    os.fsdecode(b"\xff\xfe/\x80"),
)
BROKEN = ("with\nbreak", "with\rreturn/file")


@dataclass(frozen=True)
class World:
    """A project on the laptop, the same on the machine, and what `lab` has said."""

    root: Path
    account: Account
    machine: Client
    folder: Path
    """The project's folder on the machine."""
    capsys: pytest.CaptureFixture[str]

    @property
    def here(self) -> Path:
        return self.root / "data"

    @property
    def there(self) -> Path:
        return self.folder / "data"

    def lab(self, *words: str) -> tuple[int, str]:
        """Run `lab data`; return its exit code and all that it said."""
        return self.run("data", *words)

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command of `lab`; return its exit code and all that it said."""
        code = cli.main(list(words), root=self.root)
        said = self.capsys.readouterr()
        return code, said.out + said.err

    def does(self, *words: str) -> str:
        """Run `lab data`, which must not fail; return what it said."""
        code, said = self.lab(*words)
        assert code == 0, said
        return said

    def status(self, *words: str) -> dict[str, int]:
        """Return how many files are in each state that any is in."""
        said = json.loads(self.does("status", "--json", *words))
        return {
            state: value["files"]
            for state, value in said.items()
            if isinstance(value, dict) and value["files"]
        }

    def write(self, side: Path, name: str, content: bytes = b"x", *, time: int = NEW) -> Path:
        """Write a file on a side."""
        path = side / name
        if side == self.there:
            self.account.write(str(path.relative_to(self.account.home)), "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time, time))
        return path

    def settings(self, text: str = "") -> None:
        (self.root / "lab.local.toml").write_text(text)

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.root), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def world(
    machine: Client, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> World:
    root = tmp_path / "small"
    (root / "data").mkdir(parents=True)
    name = "my päper lab"
    (root / "lab.toml").write_text(f'[remote]\nalias = "{machine.alias}"\nfolder = "{name}"\n')
    (root / ".gitignore").write_text("/data\n/.lab\n/outputs\nlab.local.toml\n")
    made = World(root, account, machine, account.home / name, capsys)
    subprocess.run(["git", "init", "--quiet", "-b", "main", root], check=True)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Begin")
    code, said = made.run("push")
    assert code == 0, said
    return made


@pytest.fixture(params=["rsync", "sftp"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The program that copies; without rsync here it is sftp."""
    if request.param == "sftp":
        monkeypatch.setattr(programs, "_rsync_here", lambda: ())
    else:
        need_program("rsync")
    return str(request.param)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_both_ways_only_what_changed(world: World, program: str) -> None:
    for number, name in enumerate((*AWKWARD, *BROKEN)):
        world.write(world.here, name, b"x" * number, time=NEW + number)
    (world.here / "run.sh").write_text("#!/bin/sh\n")
    (world.here / "run.sh").chmod(0o700)
    said = world.does("push")
    came = contents(world.here)
    if program == "sftp":
        assert "2 files left out: only rsync can copy names with line breaks" in said
        came = {name: text for name, text in came.items() if name not in BROKEN}
    assert contents(world.there) == came
    assert not list(world.there.rglob(".lab-partial"))
    assert (world.there / "it's.txt").stat().st_mtime == (world.here / "it's.txt").stat().st_mtime
    assert (world.there / "run.sh").stat().st_mode & 0o777 == 0o700
    assert world.status()["same"] == len(came)
    assert "Nothing to send" in world.does("push", "data/-n", "two words")

    # The other way, into an empty folder: the same again, and a changed file in place of its old.
    shutil.rmtree(world.here)
    world.write(world.there, "it's.txt", b"longer than it was", time=NEW + 100)
    world.does("pull")
    assert contents(world.here) == {**came, "it's.txt": b"longer than it was"}
    assert not list(world.here.rglob(".lab-partial"))
    world.write(world.here, "it's.txt", b"short", time=NEW + 50)  # an older time than there
    assert world.status() == {"same": len(came) - 1, "changed_here": 1}
    world.does("push")
    assert (world.there / "it's.txt").read_bytes() == b"short"
    assert world.status() == {"same": len(came)}


def test_changes_on_both_sides_are_named_and_kept(world: World, program: str) -> None:
    for name in ("mine", "theirs", "both", "touched"):
        world.write(world.here, name, b"0")
    world.does("push")
    mine = world.write(world.here, "mine", b"1")  # the same size and second as before
    os.utime(mine, ns=(NEW * 10**9 + 5000, NEW * 10**9 + 5000))
    world.write(world.there, "theirs", b"22", time=OLD)  # an older time, but changed since
    world.write(world.here, "both", b"333")
    world.write(world.there, "both", b"4444")
    os.utime(world.there / "touched", (OLD, OLD))
    assert world.status() == {"changed_here": 1, "changed_there": 2, "changed_both": 1}
    said = world.does("push")
    assert "1 file changed on machine, not sent: theirs." in said
    assert "1 file different here and on machine, not sent: both." in said
    assert contents(world.there) == {
        "mine": b"1", "theirs": b"22", "both": b"4444", "touched": b"0"
    }  # fmt: skip
    assert world.status() == {"same": 2, "changed_there": 1, "changed_both": 1}
    assert "1 file different here and on machine, kept: both." in world.does("pull")
    assert (world.here / "theirs").read_bytes() == b"22"
    assert (world.here / "both").read_bytes() == b"333"
    world.does("pull", "--overwrite", "both")
    assert world.status() == {"same": 4}
    # Never copied by us: the later time may be a wrong clock's, so neither is replaced.
    for name, ours, theirs in (("a", NEW, OLD), ("b", OLD, NEW), ("c", OLD, NEW)):
        world.write(world.here, name, b"same" if name == "c" else b"here", time=ours)
        world.write(world.there, name, b"same" if name == "c" else b"THERE", time=theirs)
    assert "2 files different here and on machine, not sent: a, b." in world.does("push")
    assert "2 files different here and on machine, kept: a, b." in world.does("pull")
    assert {contents(world.here)[name] for name in "ab"} == {b"here"}
    assert {contents(world.there)[name] for name in "ab"} == {b"THERE"}
    world.does("push", "--overwrite", "a")
    world.does("pull", "--overwrite", "b")
    assert world.status() == {"same": 7}
    assert [contents(world.here)[name] for name in "ab"] == [b"here", b"THERE"]


def test_nothing_is_deleted_unless_the_list_was_agreed_to(world: World) -> None:
    for name in ("keep", "old/a", "old/b"):
        world.write(world.here, name)
    world.does("push")
    shutil.rmtree(world.here / "old")
    world.write(world.there, "new")
    assert "3 files (3 bytes) only on machine stay there" in world.does("push")
    code, said = world.lab("push", "--delete")
    assert code == 2
    assert "  old/a\n" in said
    assert "(1 of them were never here)? There is no terminal" in said
    assert "Next: To answer yes beforehand, add --yes" in said
    assert len(contents(world.there)) == 4
    assert "Deleted 3 files on machine." in world.does("push", "--delete", "--yes")
    assert contents(world.there) == {"keep": b"x"}
    assert not (world.there / "old").exists()
    world.write(world.here, "mine/too")
    assert "(1 of them were never on machine)" in world.lab("pull", "--delete")[1]
    assert "Deleted 1 file here." in world.does("pull", "--delete", "--yes")
    assert not (world.here / "mine").exists()
    # An empty side is more likely a disk that is missing than the wish to lose all.
    (world.here / "keep").unlink()
    code, said = world.lab("push", "--delete", "--yes")
    assert (code, contents(world.there)) == (1, {"keep": b"x"})
    assert "a disk may be missing" in said


def test_ignored_files_are_the_same_for_both_ways_and_programs(world: World, program: str) -> None:
    (world.root / ".labignore").write_text("*.tmp\n/data/raw/*\n!/data/raw/keep.txt\ncache/\n")
    (world.here / ".labignore").write_text("/top.txt\n")
    taken = ("a.txt", "raw/keep.txt", "sub/top.txt", ".labignore")
    ignored = ("b.tmp", "raw/big.bin", "sub/cache/x", "top.txt")
    for side in (world.here, world.there):
        for name in (*taken[:-1], *ignored):
            if side == world.here or name in ignored:
                world.write(side, name, side.parent.name.encode())
    world.does("push")
    assert set(contents(world.there)) == {*taken, *ignored}
    assert all(contents(world.there)[name] == b"my p\xc3\xa4per lab" for name in ignored)
    shutil.rmtree(world.here)
    world.here.mkdir()
    world.does("pull")
    assert "top.txt" in contents(world.here)  # its own list was not here yet
    assert set(contents(world.here)) == {*taken, "top.txt"}
    for pattern in ("!", "[z-a]", "a\\"):
        (world.root / ".labignore").write_text(f"{pattern}\n")
        code, said = world.lab("status")
        assert code == 1
        assert f"{world.root / '.labignore'} has a pattern that cannot be read" in said


def test_links_and_what_is_no_file(world: World, program: str, tmp_path: Path) -> None:
    world.write(world.here, "a.txt", b"a")
    (world.here / "sub").mkdir()
    (world.here / "sub/inside").symlink_to("../a.txt")
    (world.here / "out").symlink_to("/etc/passwd")
    (world.here / "up").symlink_to("../lab.toml")
    os.mkfifo(world.here / "pipe")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    world.write(world.here, "linked/x.txt", b"x")
    world.write(world.here, "file", b"x")
    world.write(world.there, "file/is a folder.txt")
    (world.there / "linked").symlink_to(elsewhere)
    said = world.does("push")
    assert "2 files left out, a link that leads out of data/ here: out, up." in said
    assert "1 file left out, no ordinary file here: pipe." in said
    assert "a link or another kind of file on one of the sides, or are below one" in said
    assert (world.there / "sub/inside").readlink() == Path("../a.txt")
    assert (world.there / "linked").is_symlink()
    assert not list(elsewhere.iterdir())
    assert not (world.there / "out").exists()
    # The folder itself may be a link, on both sides, and stays one.
    for side in (world.here, world.there):
        moved = side.rename(side.with_name("moved"))
        side.symlink_to(moved.name)
    world.write(world.there, "b.txt", b"b")
    world.does("pull")
    assert (world.here / "b.txt").read_bytes() == b"b"
    assert world.here.is_symlink()
    assert world.there.is_symlink()
    # One that a commit brought decides nothing.
    subprocess.run(["git", "-C", world.root, "add", "-f", "data"], check=True)
    code, said = world.lab("pull")
    assert code == 1
    assert "Next: Make it yours alone: git rm --cached data" in said


def test_links_lead_nowhere_else(world: World, tmp_path: Path) -> None:
    world.write(world.there, "a.txt", b"a")
    (world.there / "d").symlink_to(".")
    (world.there / "e").symlink_to("d/d/d/../../../secret")
    world.account.write("institute/x", "x")
    institute = world.account.home / "institute"
    (world.there / "ext").symlink_to(institute)
    (world.here / "ext").mkdir()
    (world.here / "ext/l").symlink_to("../a.txt")
    said = world.does("pull")
    assert "Links made here: 1." in said
    assert "a link that leads out of data/ on machine: e, ext." in said
    assert not (world.here / "e").is_symlink()
    said = world.does("push")
    assert "Links that cannot be made on machine, as something is in their way" in said
    assert [path.name for path in institute.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("name", "target", "inside"),
    [
        ("a", "b", True),
        ("a", "./b//c", True),
        ("x/a", "../b", True),
        ("x/y/a", "../../b/c", True),
        ("a", "", False),
        ("a", "/etc", False),
        ("a", "..", False),
        ("x/a", "../../b", False),
        ("a", "b/../c", False),
        ("x/a", "b/../../c", False),
        ("a", "b\\c", False),
    ],
)
def test_link_that_is_made_on_the_other_side(name: str, target: str, inside: bool) -> None:
    assert is_inside(name, target) is inside


@pytest.mark.parametrize("way", ["push", "pull"])
def test_cut_transfer_continues_and_nothing_is_half_there(
    world: World, server: OpenSSHServer, program: str, way: str
) -> None:
    size = 32 * MEBIBYTE
    source, target = (world.here, world.there) if way == "push" else (world.there, world.here)
    big = os.urandom(size)
    world.write(source, "big.bin", big)
    world.write(source, "a.txt", b"a")
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
        code, said = world.lab(way)
        assert code == 1, said
        assert not (target / "big.bin").exists()
        assert world.status()[f"{'here' if way == 'push' else 'there'}_only"] >= 1
        world.does(way)
        assert world.status() == {"same": 2}
        assert proxy.cuts == 1
        passed = proxy.received if way == "pull" else proxy.sent
    assert (target / "big.bin").read_bytes() == big
    assert size <= passed < 1.35 * size


def test_what_is_written_during_a_transfer_is_kept(
    world: World, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    send = kind.send

    def sent_slowly(*given: object, **options: object) -> programs.Outcome:
        for name in written:  # one that was downloaded has the time of where it is from
            time = OLD if len(written) == 1 else NEW + 500
            world.write(world.there, name, b"by a run there", time=time)
        outcome: programs.Outcome = send(*given, **options)  # type: ignore[arg-type]
        with (world.here / "log").open("ab") as log:
            log.write(b"more")
        return outcome

    written = ["new"]
    for name in ("new", "log", "result"):
        world.write(world.here, name, b"0")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, "send", sent_slowly)
        world.lab("push", "new")
    assert (world.there / "new").read_bytes() == b"by a run there"
    (world.there / "new").unlink()
    (world.here / "log").write_bytes(b"0")
    written.append("result")
    world.write(world.there, "result", b"0", time=NEW)
    world.does("push", "result")
    world.write(world.here, "result", b"11", time=NEW + 10)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, "send", sent_slowly)
        said = world.lab("push")[1]
    assert "log" in said
    if program == "rsync":
        assert "1 file changed while being sent: log." in said
        assert "2 files written on machine meanwhile, not sent: new, result." in said
    else:
        assert "failed: log, new, result (they changed while they were sent)" in said
    assert world.status() == {
        "changed_both": 2,
        "changed_here" if program == "rsync" else "here_only": 1,
    }
    for name in ("new", "result"):
        assert (world.there / name).read_bytes() == b"by a run there"
    world.lab("push")
    assert (world.there / "log").read_bytes() == b"0more"
    world.does("push", "--overwrite", "new")
    assert (world.there / "new").read_bytes() == b"0"


def test_signal_ends_a_transfer_as_ctrl_c_does(
    world: World, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    bring = kind.bring

    def ended(*given: object, **options: object) -> programs.Outcome:
        bring(*given, **options)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    world.write(world.there, "a", b"a")
    monkeypatch.setattr(kind, "bring", ended)
    assert world.lab("pull")[0] == 1
    assert contents(world.here) == {"a": b"a"}
    assert world.status() == {"same": 1}


def test_push_that_was_ended_knows_what_it_has_sent(
    world: World, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = programs.Rsync if program == "rsync" else programs.Sftp
    last = "send" if program == "rsync" else "put"
    copy = getattr(kind, last)

    def ended(*given: object, **options: object) -> programs.Outcome:
        copy(*given, **options)
        raise KeyboardInterrupt

    world.write(world.here, "a", b"1")
    world.write(world.here, "b", b"1")
    world.does("push", "a")
    world.write(world.here, "a", b"22", time=NEW + 1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kind, last, ended)
        assert world.lab("push")[0] == 1
    for name in "ab":
        world.write(world.here, name, b"333", time=NEW + 2)
    assert world.status() == {"changed_here": 2}
    world.write(world.there, "a", b"4444", time=NEW + 3)
    assert world.status() == {"changed_here": 1, "changed_both": 1}


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
    world: World, server: OpenSSHServer, printf: bool
) -> None:
    world.write(world.here, "a", b"mine", time=NEW)
    world.write(world.there, "a", b"newer", time=NEW + 5)
    world.write(world.there, "sub/b\nc", b"b")
    (world.there / "l").symlink_to("a")
    real = shutil.which("find") or "/usr/bin/find"
    begins = "#!/bin/sh\n" if printf else FIND_OF_BSD
    find = world.account.write("bin/find", f'{begins}exec {real} "$@"\n', mode=0o755)
    server.stop()
    server.start(SetEnv=f'"PATH={find.parent}:/usr/bin:/bin"')
    assert world.status() == {"there_only": 1, "changed_both": 1}
    find.write_text(begins + FAILING_FIND.format(real=real))
    for words in (("push", "--overwrite"), ("pull", "--delete", "--yes"), ("status",)):
        code, said = world.lab(*words)
        assert code == 1
        assert f"Not all files of {world.there} on machine can be listed (find: './c'" in said
        assert "Next: See that this folder and its disk can be read there" in said
    assert (contents(world.here), (world.there / "a").read_bytes()) == ({"a": b"mine"}, b"newer")


def test_reason_is_not_taken_from_a_banner(world: World, server: OpenSSHServer) -> None:
    """What the machine says is no word of ssh; what to do is of `lab data`."""
    real = need_program("rsync")
    banner = world.account.write("banner", "ada@machine: Permission denied (publickey).\n")
    rsync = world.account.write(
        "bin/rsync",
        f'#!/bin/sh\n[ "$1" != --version ] || exec {real} --version\n'
        "echo 'rsync: [Receiver] mkdir \"/x\" failed: Permission denied (13)' >&2\nexit 11\n",
        mode=0o755,
    )
    world.write(world.here, "a")
    config = Path(os.environ["LAB_SSH_DIR"]) / "config"
    config.write_text(f"Host machine\n  ControlPath none\n{config.read_text()}")
    server.stop()
    server.start(SetEnv=f'"PATH={rsync.parent}:/usr/bin:/bin"', Banner=str(banner))
    code, said = world.lab("push")
    assert code == 1
    assert "Sending 1 of 1 file failed: you may not read or write some of the files" in said
    assert "or leave out what cannot be copied: name it in .labignore" in said


def test_machine_that_runs_nothing_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{LISTING}.SCRIPT_COMMAND", ("echo", "no login"))
    code, said = world.lab("status")
    assert code == 1
    assert "does not run commands. It says: no login" in said
    monkeypatch.setattr(f"{LISTING}.SCRIPT_COMMAND", ("sleep", "20"))
    monkeypatch.setattr(f"{LISTING}._TO_BEGIN", 0.5)
    code, said = world.lab("status")
    assert code == 1
    assert "machine did not list the files of data/ in time." in said


def test_times_that_no_database_holds(world: World) -> None:
    far = 13_600_000_000  # in the year 2400
    world.write(world.here, "mine", time=far)
    world.write(world.there, "theirs", time=far)
    world.write(world.here, "a")
    assert "1 file left out, with a time here that is after the year 2262: mine." in world.does(
        "push"
    )
    assert "on machine that is after the year 2262: theirs." in world.does("pull")
    assert "theirs" not in contents(world.here)
    assert set(contents(world.there)) == {"a", "theirs"}


def test_index_that_cannot_be_written(world: World) -> None:
    (world.root / ".lab/data/index").mkdir(parents=True)
    code, said = world.lab("status")
    assert code == 1
    assert "which remembers what was copied, cannot be used (unable to open database file)" in said


def test_part_that_came_stays_when_other_files_are_brought(world: World) -> None:
    part = world.write(world.here, ".lab-partial/rsync/big.bin", b"x" * 1000)
    world.write(world.there, "big.bin", b"x" * 2000)
    world.write(world.there, "sub/small/a", b"a")
    world.does("pull", "sub")
    assert part.read_bytes() == b"x" * 1000
    assert [*part.parent.iterdir()] == [part]
    world.does("pull")
    assert (world.here / "big.bin").read_bytes() == b"x" * 2000
    assert not (world.here / ".lab-partial").exists()


def test_file_of_a_pull_that_was_killed_is_not_written_into(world: World, tmp_path: Path) -> None:
    """It has two names then, until the next pull that is about it."""
    need_program("rsync")
    world.write(world.there, "a", b"1" * 1000)
    world.does("pull")
    part = world.here / ".lab-partial/rsync/a"
    part.parent.mkdir(parents=True)
    part.hardlink_to(world.here / "a")
    other = tmp_path / "another name"
    other.hardlink_to(part)
    world.write(world.there, "a", b"2" * 2000, time=NEW + 1)
    world.does("pull")
    assert (world.here / "a").read_bytes() == b"2" * 2000
    assert other.read_bytes() == b"1" * 1000


def test_disk_that_is_mounted_in_data(world: World, program: str) -> None:
    need_root("mount a disk")
    world.write(world.there, "disk/new", b"n")
    world.write(world.there, "disk/changed", b"1")
    disk = world.here / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        world.does("pull")
        world.write(world.there, "disk/changed", b"22", time=NEW + 1)
        world.does("pull")
        assert contents(disk) == {"new": b"n", "changed": b"22"}
        assert world.status() == {"same": 2}
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        world.write(world.there, "disk/more", b"m")
        code, said = world.lab("pull")
        assert code == 1
        assert "cannot be written here: disk/more (Read-only file system)" in said
        assert "Nothing to bring" not in said
    finally:
        subprocess.run(["umount", disk], check=True)


def test_folder_of_the_name_that_outputs_needs(world: World) -> None:
    world.write(world.here, ".incoming/a", b"a")
    world.does("push")
    assert world.status() == {"same": 1}


def test_room_is_checked_first_and_holes_take_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = world.write(world.here, "large.bin", b"")
    with large.open("r+b") as file:
        file.truncate(50 * 10**9)
    assert world.status() == {"here_only": 1}
    monkeypatch.setattr(There, "free", 10**9)
    monkeypatch.setattr(programs, "_rsync_here", lambda: ())  # sftp writes the holes out
    code, said = world.lab("push")
    assert code == 1
    assert "The files need 50.0 GB, and 1.0 GB of the disk on machine are free." in said
    assert "Next: Make room there, send a part (lab data push PATH)" in said
    large.unlink()
    world.write(world.there, "large.bin", b"x" * 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Mock(free=999))
    code, said = world.lab("pull")
    assert code == 1
    assert "The files need 1.0 kB, and 999 bytes of the disk here are free." in said
    assert contents(world.here) == {}


def test_second_one_at_a_time(world: World) -> None:
    import fcntl

    world.write(world.here, "a")
    world.does("push")
    with (world.root / ".lab/data/lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, said = world.lab("push")
    assert code == 1
    assert "Another `lab data` command is copying files of this project." in said
    # What was remembered is damaged: both sides are compared anew.
    (world.root / ".lab/data/index").write_bytes(b"not a database" * 100)
    assert world.status() == {"same": 1}


def test_what_cannot_be_is_told(world: World) -> None:
    for words, text in (
        (("push", "../lab.toml"), "is not in data/"),
        (("push", "/etc/passwd"), "is not in data/"),
        (("push", "--delete", "--yes", ""), "A PATH is empty."),
        (("push", "nothing"), "There is no data/nothing here."),
        (("pull", "nothing"), "There is no data"),
    ):
        code, said = world.lab(*words)
        assert code in (1, 2), said
        assert text in said
    world.here.rmdir()
    assert "There is no folder data/ here." in world.lab("push")[1]
    world.here.write_text("")
    assert "is not a folder" in world.lab("pull")[1]


def test_folder_on_another_disk(world: World) -> None:
    scratch = world.account.home / "scratch disk"
    profile = world.account.write(".profile", f'echo Welcome\nexport SCRATCH="{scratch}"\n')
    world.settings('[data]\nfolder = "$SCRATCH/${USER}/leaves"\n')
    world.write(world.here, "a.txt", b"a")
    world.does("push")
    folder = scratch / world.account.user / "leaves"
    assert world.there.readlink() == folder
    assert contents(folder) == {"a.txt": b"a"}
    assert "is on machine already" not in world.does("status")
    # The link is made by `lab push`, too; a folder that is there is never replaced.
    world.there.unlink()
    assert world.run("push")[0] == 0
    assert world.there.readlink() == folder
    world.there.unlink()
    world.write(world.there, "mine.txt", b"mine")
    code, said = world.run("push")
    assert (code, "data on machine is there already" in said) == (0, True)
    code, said = world.lab("push")
    assert code == 1
    assert f"does not lead to {folder}. It stays" in said
    assert contents(world.there) == {"mine.txt": b"mine"}
    shutil.rmtree(world.there)
    profile.unlink()
    code, said = world.lab("push")
    assert code == 1
    assert "machine has no variable SCRATCH when you log in" in said


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ('folder = "/scratch/$(id)"', "it may hold $USER, $HOME, $SCRATCH, $WORK only"),
        ('folder = "/scratch/`id`"', "it may hold $USER"),
        ('folder = "/scratch/$USERNAME/x"', "it may hold $USER"),
        ('folder = "/scratch/$$/x"', "it may hold $USER"),
        ('read_only = "/scratch/${HOME"', "it may hold $USER"),
        ('folder = "leaves"', "it must be an absolute folder of the machine"),
        ('folder = "/data/../etc"', "it must be an absolute folder of the machine"),
        ('folder = "$HOME"', "it must be an absolute folder of the machine"),
        ('folder = "/"', "it must be an absolute folder of the machine"),
        ('folder = "/a"\nread_only = "/b"', "cannot be combined"),
        ("folder = 5", "must be one line of text"),
    ],
)
def test_folder_that_cannot_be_meant_is_refused(setting: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        f'[remote]\nalias = "gpu"\nfolder = "x"\n[data]\n{setting}\n'
    )
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        _ = Project(root=tmp_path).settings


def test_data_that_is_there_is_linked_and_never_written_to(world: World) -> None:
    institute = world.account.home / "institute"
    world.write(institute, "leaf.txt", b"green")
    world.account.write("institute/leaf.txt", "green")
    world.settings(f'[data]\nread_only = "{institute}"\n')
    assert world.run("push")[0] == 0
    assert world.there.readlink() == institute
    world.write(world.here, "mine.txt", b"mine")
    code, said = world.lab("push")
    assert code == 1
    assert "which is only read (read_only in [data]). Nothing was sent." in said
    assert contents(institute) == {"leaf.txt": b"green"}
    world.does("pull")
    assert (world.here / "leaf.txt").read_bytes() == b"green"
    assert json.loads(world.does("status", "--json"))["read_only"] is True
    world.settings('[data]\nread_only = "/nowhere/at all"\n')
    world.there.unlink()
    code, said = world.run("push")
    assert "names a folder of machine that is not there: /nowhere/at all." in said
    assert not world.there.is_symlink()


def test_settings_of_the_environment_are_put_in_the_same_way(world: World) -> None:
    world.settings('[environment]\nfolder = "$HOME/envs"\ncache = "/x/${USER}"\n')
    text = settings_there(at(world.machine, world.folder.name), Project(root=world.root).tables)
    read = tomllib.loads(text)["environment"]
    home, user = world.account.home, world.account.user
    assert (read["folder"], read["cache"]) == (f"{home}/envs", f"/x/{user}")


def test_values_are_those_of_a_login_in_every_shell(other_shell: Client) -> None:
    tables = Tables(
        project=Path("lab.toml"), shared={"data": {"folder": "$HOME/of $USER"}}, local={}
    )
    text = settings_there(Machine(client=other_shell, folder="x"), tables)
    home = other_shell.run("printenv", "HOME").stdout.split("\n")[-2]
    assert tomllib.loads(text)["data"]["folder"].startswith(f"{home}/of lab")


def test_large_files_do_not_go_into_git(world: World) -> None:
    for name in ("images/1.jpg", "images/2.jpg"):
        world.write(world.root, name, b"")
        with (world.root / name).open("r+b") as file:
            file.truncate(30_000_000)
    before = world.git("count-objects", "-v")
    for words, what in ((("push",), "is neither committed nor ignored"), (("push", "--dirty"),
                        "is not committed")):  # fmt: skip
        code, said = world.run(*words)
        assert code == 1, said
        assert f"60.0 MB in 2 files {what}" in said
        assert "images/1.jpg" in said
        assert "move it into data/, then: lab data push" in said
    assert world.git("count-objects", "-v") == before
    assert world.git("for-each-ref", "refs/lab") == ""
    world.settings("[push]\nmost_mb = 100\nmost_files = 1\n")
    assert "more than 1 file. Nothing was pushed." in world.run("push")[1]
    world.settings("[push]\nmost_mb = 100\n")
    assert world.run("push", "--dirty")[0] == 0
    # git does not ignore data/ in every repository.
    (world.root / ".gitignore").write_text("/.lab\n/outputs\nlab.local.toml\n")
    world.settings()
    shutil.rmtree(world.root / "images")
    world.git("commit", "--quiet", "--all", "--message", "Ignore less")
    large = world.write(world.here, "large.bin")
    with large.open("r+b") as file:
        file.truncate(60_000_000)
    assert "Next: Add the line /data to .gitignore, then: lab data push" in world.run("push")[1]
    large.unlink()
    world.write(world.here, "a.txt")
    for word in ("push", "pull"):
        assert "git does not ignore data/" in world.does(word)


def test_run_names_what_it_reads_and_is_not_there(world: World) -> None:
    (world.root / "labs").mkdir()
    (world.root / "labs/leaf.py").write_text(
        'images = Path("data") / "leaves" / "oak"\nopen("data/list.csv")\nx = {"data": 1}\n'
    )
    world.write(world.here, "leaves/oak/1.jpg")
    project = Project(root=world.root)
    run = Run(lab="labs/leaf.py", parameters=(("folder", "data/elms"),))
    assert paths_read(project, run) == ["data/list.csv", "data/leaves/oak", "data/elms"]
    world.write(world.there, "elms/1.jpg")
    warn_of_missing_data(Context(project=project), at(world.machine, world.folder.name), run)
    said = world.capsys.readouterr().err
    assert (
        "reads what is not on machine: data/leaves/oak. To send it: lab data push data/leaves"
        in said
    )
    assert "names what is neither here nor on machine: data/list.csv." in said
    world.settings('[data]\nread_only = "/institute/leaves"\n')
    project = Project(root=world.root)
    warn_of_missing_data(Context(project=project), at(world.machine, world.folder.name), run)
    assert "oak. data there is only read (read_only in [data])" in world.capsys.readouterr().err
    world.settings()
    # What is there stays there when commits and results come home.
    assert world.run("pull")[0] == 0
    assert not (world.here / "elms").exists()


# Stands in for the rsync of macOS, which says that it is like 2.6.9, and for that one: it refuses
# every option that either of them does not have.
OLD_RSYNC = """\
#!/bin/sh
if [ "$1" = --version ]; then
    printf '%s\\n' 'openrsync: protocol version 29' 'rsync version 2.6.9 compatible'
    exit
fi
for word; do
    case $word in
    -t | -I | -0 | -S | -T | -e | --no-implied-dirs | --files-from=* | --progress) ;;
    --partial-dir=* | --inplace | --compare-dest=*) ;;
    -*) echo "rsync: $word: unknown option" >&2; exit 1 ;;
    esac
done
exec REAL "$@"
"""


def test_rsync_of_macos_gets_no_option_that_it_lacks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = need_program("rsync")
    stand_in = tmp_path / "bin" / "rsync"
    stand_in.parent.mkdir()
    stand_in.write_text(OLD_RSYNC.replace("REAL", str(real)))
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")
    programs._rsync_here.cache_clear()
    used: list[str] = []
    monkeypatch.setattr(programs, "_run", noting(used, programs._run))
    try:
        world.settings('[data]\nfolder = "$HOME/leaves"\n')
        world.write(world.here, "sub/a b.txt", b"a")
        with world.write(world.here, "holes").open("r+b") as file:
            file.truncate(10 * MEBIBYTE)
        world.does("push")
        assert contents(world.there) == contents(world.here)
        assert (world.there / "holes").stat().st_blocks < 2048
        shutil.rmtree(world.here)
        world.does("pull")
        assert contents(world.there) == contents(world.here)
        assert set(used) == {"rsync"}
        # It has its login shell read the folder's name, so a name with blanks goes by sftp.
        world.settings()
        world.there.unlink()
        world.does("push")
        assert used[-1] == "sftp"
    finally:
        programs._rsync_here.cache_clear()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("rsync  version 3.2.7  protocol version 31 ", (3, 2, 7)),
        ("rsync  version v3.4.1  protocol version 32 ", (3, 4, 1)),
        ("openrsync: protocol version 29 rsync version 2.6.9 compatible ", (2, 6, 9)),
        ("openrsync: protocol version 27 ", ()),
        (f"rsync version {'9' * 5000}.1.1", ()),
        ("", ()),
    ],
)
def test_version_of_rsync_is_read(said: str, version: tuple[int, ...]) -> None:
    assert version_in(said) == version


def noting(
    used: list[str], run: Callable[..., programs.Outcome]
) -> Callable[..., programs.Outcome]:
    """Return a `_run` that notes which program it starts."""

    def noted(command: list[str], *rest: object) -> programs.Outcome:
        used.append(command[0])
        return run(command, *rest)

    return noted


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    """A hundred thousand files on both sides, compared in a process of its own."""
    code = """
import resource, sys
from pathlib import Path
from ml_remote.transfer.data.index import Entry, Index
def entries(number, ns):
    for one in range(number):
        yield Entry(name=b"leaves/of-a-long-name/%08d.jpg" % one, kind="f", size=one, ns=ns)
def most(number):
    index = Index(Path(sys.argv[1]) / str(number), alias="gpu")
    index.take("here", entries(number, 10**18))
    index.take("there", entries(number - 10, 10**18))
    index.compare("/x")
    index.plan("here_only")
    index.remember_same()
    assert index.amount("same").files == number - 10
    assert index.needed("here", held=True)[0].files == 10
    assert len(list(index.planned("here"))) == 10
    index.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
few = most(1000)
print(most(100_000) - few)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 24_000  # KiB
