"""`lab data`: data/ both ways between here and a real OpenSSH server, by rsync and by sftp."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TOOL
from needs import need_program
from tool.awkward_names import AWKWARD, NOT_UTF_8
from tool.data.folders import MEBIBYTE, NEW, OLD, BothSides, contents

from ml_remote.transfer.data import programs
from ml_remote.transfer.data.selection import is_inside
from ml_remote.transfer.rsync import version_in

pytestmark = pytest.mark.slow
BROKEN = ("with\nbreak", "with\rreturn/file")


def test_both_ways_only_what_changed(sides: BothSides, program: str) -> None:
    for number, name in enumerate((*AWKWARD, *NOT_UTF_8, *BROKEN)):
        sides.write(sides.here, name, b"x" * number, time=NEW + number)
    (sides.here / "run.sh").write_text("#!/bin/sh\n")
    (sides.here / "run.sh").chmod(0o700)
    said = sides.does("push")
    came = contents(sides.here)
    if program == "sftp":
        assert "2 files skipped: only rsync can copy names with line breaks" in said
        came = {name: text for name, text in came.items() if name not in BROKEN}
    assert contents(sides.there) == came
    assert not list(sides.there.rglob(".lab-partial"))
    assert (sides.there / "it's.txt").stat().st_mtime == (sides.here / "it's.txt").stat().st_mtime
    assert (sides.there / "run.sh").stat().st_mode & 0o777 == 0o700
    assert sides.status()["same"] == len(came)
    assert "Nothing to send" in sides.does("push", "data/-n", "two words")

    # The other way, into an empty folder: the same again, and a changed file in place of its old.
    shutil.rmtree(sides.here)
    sides.write(sides.there, "it's.txt", b"longer than it was", time=NEW + 100)
    sides.does("pull")
    assert contents(sides.here) == {**came, "it's.txt": b"longer than it was"}
    assert not list(sides.here.rglob(".lab-partial"))
    sides.write(sides.here, "it's.txt", b"short", time=NEW + 50)  # an older time than there
    assert sides.status() == {"same": len(came) - 1, "changed_here": 1}
    sides.does("push")
    assert (sides.there / "it's.txt").read_bytes() == b"short"
    assert sides.status() == {"same": len(came)}


def test_changes_on_both_sides_are_named_and_kept(sides: BothSides, program: str) -> None:
    for name in ("mine", "theirs", "both", "touched", "alike", "equal"):
        sides.write(sides.here, name, b"0")
    sides.does("push")
    for side, content in ((sides.here, b"1"), (sides.there, b"2")):  # to one size and second
        sides.write(side, "alike", content, time=NEW + 1)
        sides.write(side, "equal", b"3", time=NEW + 1)
    mine = sides.write(sides.here, "mine", b"1")  # the same size and second as before
    os.utime(mine, ns=(NEW * 10**9 + 5000, NEW * 10**9 + 5000))
    sides.write(sides.there, "theirs", b"22", time=OLD)  # an older time, but changed since
    sides.write(sides.here, "both", b"333")
    sides.write(sides.there, "both", b"4444")
    os.utime(sides.there / "touched", (OLD, OLD))
    assert sides.status() == {"changed_here": 1, "changed_there": 2, "changed_both": 3}
    said = sides.does("push")
    assert "1 file changed on machine, not sent: theirs." in said
    assert "2 files different here and on machine, not sent: alike, both." in said
    assert contents(sides.there) == {
        "mine": b"1", "theirs": b"22", "both": b"4444", "touched": b"0", "alike": b"2",
        "equal": b"3",
    }  # fmt: skip
    assert sides.status() == {"same": 3, "changed_there": 1, "changed_both": 2}
    assert "2 files different here and on machine, kept: alike, both." in sides.does("pull")
    assert (sides.here / "theirs").read_bytes() == b"22"
    assert (sides.here / "both").read_bytes() == b"333"
    sides.does("pull", "--overwrite", "both")
    sides.does("push", "--overwrite", "alike")
    assert (sides.there / "alike").read_bytes() == b"1"
    sides.write(sides.here, "alike", b"5", time=NEW + 2)
    sides.write(sides.there, "alike", b"6", time=NEW + 2)
    sides.does("pull", "--overwrite", "alike")
    assert (sides.here / "alike").read_bytes() == b"6"
    assert sides.status() == {"same": 6}
    # Never copied by us: the later time may be a wrong clock's, so neither is replaced.
    for name, ours, theirs in (("a", NEW, OLD), ("b", OLD, NEW), ("c", OLD, NEW)):
        sides.write(sides.here, name, b"same" if name == "c" else b"here", time=ours)
        sides.write(sides.there, name, b"same" if name == "c" else b"THERE", time=theirs)
    assert "2 files different here and on machine, not sent: a, b." in sides.does("push")
    assert "2 files different here and on machine, kept: a, b." in sides.does("pull")
    assert {contents(sides.here)[name] for name in "ab"} == {b"here"}
    assert {contents(sides.there)[name] for name in "ab"} == {b"THERE"}
    sides.does("push", "--overwrite", "a")
    sides.does("pull", "--overwrite", "b")
    assert sides.status() == {"same": 9}
    assert [contents(sides.here)[name] for name in "ab"] == [b"here", b"THERE"]


def test_nothing_is_deleted_unless_the_list_was_agreed_to(sides: BothSides) -> None:
    for name in ("keep", "old/a", "old/b"):
        sides.write(sides.here, name)
    sides.does("push")
    shutil.rmtree(sides.here / "old")
    sides.write(sides.there, "new")
    assert "Kept on machine only: 3 files (3 bytes)." in sides.does("push")
    code, said = sides.lab("push", "--delete")
    assert code == 2
    assert "  old/a\n" in said
    assert "(never here: 1 file)? There is no terminal" in said
    assert "Next: To answer yes in advance, add --yes" in said
    assert len(contents(sides.there)) == 4
    assert "Deleted 3 files on machine." in sides.does("push", "--delete", "--yes")
    assert contents(sides.there) == {"keep": b"x"}
    assert not (sides.there / "old").exists()
    sides.write(sides.here, "mine/too")
    assert "(never on machine: 1 file)" in sides.lab("pull", "--delete")[1]
    assert "Deleted 1 file here." in sides.does("pull", "--delete", "--yes")
    assert not (sides.here / "mine").exists()
    # An empty side is more likely a disk that is missing than the wish to lose all.
    (sides.here / "keep").unlink()
    code, said = sides.lab("push", "--delete", "--yes")
    assert (code, contents(sides.there)) == (1, {"keep": b"x"})
    assert "a disk may be missing" in said


def test_ignored_files_are_the_same_for_both_ways_and_programs(
    sides: BothSides, program: str
) -> None:
    (sides.root / ".labignore").write_text("*.tmp\n/data/raw/*\n!/data/raw/keep.txt\ncache/\n")
    (sides.here / ".labignore").write_text("/top.txt\n")
    taken = ("a.txt", "raw/keep.txt", "sub/top.txt", ".labignore")
    ignored = ("b.tmp", "raw/big.bin", "sub/cache/x", "top.txt")
    for side in (sides.here, sides.there):
        for name in (*taken[:-1], *ignored):
            if side == sides.here or name in ignored:
                sides.write(side, name, side.parent.name.encode())
    sides.does("push")
    assert set(contents(sides.there)) == {*taken, *ignored}
    assert all(contents(sides.there)[name] == b"my p\xc3\xa4per lab" for name in ignored)
    shutil.rmtree(sides.here)
    sides.here.mkdir()
    sides.does("pull")
    assert "top.txt" in contents(sides.here)  # its own list was not here yet
    assert set(contents(sides.here)) == {*taken, "top.txt"}
    for pattern in ("!", "[z-a]", "a\\"):
        (sides.root / ".labignore").write_text(f"{pattern}\n")
        code, said = sides.lab("status")
        assert code == 1
        assert f"{sides.root / '.labignore'} has a pattern that cannot be read" in said


def test_links_and_what_is_no_file(sides: BothSides, program: str, tmp_path: Path) -> None:
    sides.write(sides.here, "a.txt", b"a")
    (sides.here / "sub").mkdir()
    (sides.here / "sub/inside").symlink_to("../a.txt")
    (sides.here / "out").symlink_to("/etc/passwd")
    (sides.here / "up").symlink_to("../lab.toml")
    os.mkfifo(sides.here / "pipe")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sides.write(sides.here, "linked/x.txt", b"x")
    sides.write(sides.here, "file", b"x")
    sides.write(sides.there, "file/is a folder.txt")
    (sides.there / "linked").symlink_to(elsewhere)
    said = sides.does("push")
    assert "2 files skipped, linked to outside data/ here: out, up." in said
    assert "1 file skipped, of a special kind here: pipe." in said
    assert "of different kinds on the two sides, or below such a file" in said
    assert (sides.there / "sub/inside").readlink() == Path("../a.txt")
    assert (sides.there / "linked").is_symlink()
    assert not list(elsewhere.iterdir())
    assert not (sides.there / "out").exists()
    # The folder itself may be a link, on both sides, and stays one.
    for side in (sides.here, sides.there):
        moved = side.rename(side.with_name("moved"))
        side.symlink_to(moved.name)
    sides.write(sides.there, "b.txt", b"b")
    sides.does("pull")
    assert (sides.here / "b.txt").read_bytes() == b"b"
    assert sides.here.is_symlink()
    assert sides.there.is_symlink()
    # One that a commit brought decides nothing.
    subprocess.run(["git", "-C", sides.root, "add", "-f", "data"], check=True)
    code, said = sides.lab("pull")
    assert code == 1
    assert "Next: Stop tracking it: git rm --cached data" in said


def test_links_lead_nowhere_else(sides: BothSides, tmp_path: Path) -> None:
    sides.write(sides.there, "a.txt", b"a")
    (sides.there / "d").symlink_to(".")
    (sides.there / "e").symlink_to("d/d/d/../../../secret")
    sides.account.write("institute/x", "x")
    institute = sides.account.home / "institute"
    (sides.there / "ext").symlink_to(institute)
    (sides.here / "ext").mkdir()
    (sides.here / "ext/l").symlink_to("../a.txt")
    said = sides.does("pull")
    assert "Links made here: 1." in said
    assert "linked to outside data/ on machine: e, ext." in said
    assert not (sides.here / "e").is_symlink()
    said = sides.does("push")
    assert "Links that cannot be made on machine, because something is in their way" in said
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


def test_times_that_no_database_holds(sides: BothSides) -> None:
    far = 13_600_000_000  # in the year 2400
    sides.write(sides.here, "mine", time=far)
    sides.write(sides.there, "theirs", time=far)
    sides.write(sides.here, "a")
    assert "1 file skipped, dated after the year 2262 here: mine." in sides.does("push")
    assert "dated after the year 2262 on machine: theirs." in sides.does("pull")
    assert "theirs" not in contents(sides.here)
    assert set(contents(sides.there)) == {"a", "theirs"}


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
    sides: BothSides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        sides.settings('[data]\nfolder = "$HOME/leaves"\n')
        sides.write(sides.here, "sub/a b.txt", b"a")
        with sides.write(sides.here, "holes").open("r+b") as file:
            file.truncate(10 * MEBIBYTE)
        sides.does("push")
        assert contents(sides.there) == contents(sides.here)
        assert (sides.there / "holes").stat().st_blocks < 2048
        shutil.rmtree(sides.here)
        sides.does("pull")
        assert contents(sides.there) == contents(sides.here)
        assert set(used) == {"rsync"}
        # It has its login shell read the folder's name, so a name with blanks goes by sftp.
        sides.settings()
        sides.there.unlink()
        sides.does("push")
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
