"""Where data/ is: on another disk, in another folder, linked, in git; what a run reads of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from unittest.mock import Mock

import pytest
from needs import need_root
from tool.data.folders import NEW, BothSides, contents
from tool_helpers import at

from ml_remote.context import Context
from ml_remote.errors import ConfigurationError
from ml_remote.jobs.about import Run
from ml_remote.machine import Machine
from ml_remote.project import Project
from ml_remote.remote_folders import settings_for_machine
from ml_remote.runs.missing_data import paths_read, warn_of_missing_data
from ml_remote.ssh.client import Client
from ml_remote.tables import Tables
from ml_remote.transfer.data import programs
from ml_remote.transfer.data.remote_files import RemoteFolder

pytestmark = pytest.mark.slow


def test_disk_that_is_mounted_in_data(sides: BothSides, program: str) -> None:
    need_root("mount a disk")
    sides.write(sides.there, "disk/new", b"n")
    sides.write(sides.there, "disk/changed", b"1")
    disk = sides.here / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        sides.does("pull")
        sides.write(sides.there, "disk/changed", b"22", time=NEW + 1)
        sides.does("pull")
        assert contents(disk) == {"new": b"n", "changed": b"22"}
        assert sides.status() == {"same": 2}
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        sides.write(sides.there, "disk/more", b"m")
        code, said = sides.lab("pull")
        assert code == 1
        assert "cannot be written here: disk/more (Read-only file system)" in said
        assert "Nothing to fetch" not in said
    finally:
        subprocess.run(["umount", disk], check=True)


def test_folder_of_the_name_that_outputs_needs(sides: BothSides) -> None:
    sides.write(sides.here, ".incoming/a", b"a")
    sides.does("push")
    assert sides.status() == {"same": 1}


def test_room_is_checked_first_and_holes_take_none(
    sides: BothSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = sides.write(sides.here, "large.bin", b"")
    with large.open("r+b") as file:
        file.truncate(50 * 10**9)
    assert sides.status() == {"here_only": 1}
    monkeypatch.setattr(RemoteFolder, "free", 10**9)
    monkeypatch.setattr(programs, "_rsync_here", lambda: ())  # sftp writes the holes out
    code, said = sides.lab("push")
    assert code == 1
    assert "The files need 50.0 GB, but the disk on machine has only 1.0 GB free." in said
    assert "Next: Free disk space there, send a part (lab data push PATH)" in said
    large.unlink()
    sides.write(sides.there, "large.bin", b"x" * 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Mock(free=999))
    code, said = sides.lab("pull")
    assert code == 1
    assert "The files need 1.0 kB, but the disk here has only 999 bytes free." in said
    assert contents(sides.here) == {}


def test_what_cannot_be_is_told(sides: BothSides) -> None:
    for words, text in (
        (("push", "../lab.toml"), "is not in data/"),
        (("push", "/etc/passwd"), "is not in data/"),
        (("push", "--delete", "--yes", ""), "A PATH is empty."),
        (("push", "nothing"), "There is no data/nothing here."),
        (("pull", "nothing"), "There is no data"),
    ):
        code, said = sides.lab(*words)
        assert code in (1, 2), said
        assert text in said
    code, said = sides.lab("pull")
    assert (code, "There is no data on machine: " in said, "/data does not exist." in said) == (
        1, True, True
    ), said  # fmt: skip
    sides.here.rmdir()
    assert "There is no folder data/ here." in sides.lab("push")[1]
    sides.here.write_text("")
    assert "is not a folder" in sides.lab("pull")[1]


def test_folder_on_another_disk(sides: BothSides) -> None:
    scratch = sides.account.home / "scratch disk"
    profile = sides.account.write(".profile", f'echo Welcome\nexport SCRATCH="{scratch}"\n')
    sides.settings('[data]\nfolder = "$SCRATCH/${USER}/leaves"\n')
    sides.write(sides.here, "a.txt", b"a")
    sides.does("push")
    folder = scratch / sides.account.user / "leaves"
    assert sides.there.readlink() == folder
    assert contents(folder) == {"a.txt": b"a"}
    assert "already exists" not in sides.does("status")
    # The link is made by `lab push`, too; a folder that is there is never replaced.
    sides.there.unlink()
    assert sides.run("push")[0] == 0
    assert sides.there.readlink() == folder
    sides.there.unlink()
    sides.write(sides.there, "mine.txt", b"mine")
    code, said = sides.run("push")
    assert (code, "data on machine already exists" in said) == (0, True)
    code, said = sides.lab("push")
    assert code == 1
    assert f"does not point to {folder}, so it was kept" in said
    assert contents(sides.there) == {"mine.txt": b"mine"}
    shutil.rmtree(sides.there)
    profile.unlink()
    code, said = sides.lab("push")
    assert code == 1
    assert "the variable SCRATCH is not set when you log in to machine" in said


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            'folder = "/scratch/$(id)"',
            "the only variables allowed are $USER, $HOME, $SCRATCH, $WORK",
        ),
        ('folder = "/scratch/`id`"', "the only variables allowed are $USER"),
        ('folder = "/scratch/$USERNAME/x"', "the only variables allowed are $USER"),
        ('folder = "/scratch/$$/x"', "the only variables allowed are $USER"),
        ('read_only = "/scratch/${HOME"', "the only variables allowed are $USER"),
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


def test_data_that_is_there_is_linked_and_never_written_to(sides: BothSides) -> None:
    institute = sides.account.home / "institute"
    sides.write(institute, "leaf.txt", b"green")
    sides.account.write("institute/leaf.txt", "green")
    sides.settings(f'[data]\nread_only = "{institute}"\n')
    assert sides.run("push")[0] == 0
    assert sides.there.readlink() == institute
    sides.write(sides.here, "mine.txt", b"mine")
    code, said = sides.lab("push")
    assert code == 1
    assert "which is read-only for lab (read_only in [data]). Nothing was sent." in said
    assert contents(institute) == {"leaf.txt": b"green"}
    sides.does("pull")
    assert (sides.here / "leaf.txt").read_bytes() == b"green"
    assert json.loads(sides.does("status", "--json"))["read_only"] is True
    sides.settings('[data]\nread_only = "/nowhere/at all"\n')
    sides.there.unlink()
    code, said = sides.run("push")
    assert "names a folder of machine that is not there: /nowhere/at all." in said
    assert not sides.there.is_symlink()


def test_settings_of_the_environment_are_put_in_the_same_way(sides: BothSides) -> None:
    sides.settings('[environment]\nfolder = "$HOME/envs"\ncache = "/x/${USER}"\n')
    text = settings_for_machine(
        at(sides.machine, sides.folder.name), Project(root=sides.root).tables
    )
    read = tomllib.loads(text)["environment"]
    home, user = sides.account.home, sides.account.user
    assert (read["folder"], read["cache"]) == (f"{home}/envs", f"/x/{user}")


def test_values_are_those_of_a_login_in_every_shell(other_shell: Client) -> None:
    tables = Tables(
        project=Path("lab.toml"), shared={"data": {"folder": "$HOME/of $USER"}}, local={}
    )
    text = settings_for_machine(Machine(client=other_shell, folder="x"), tables)
    home = other_shell.run("printenv", "HOME").stdout.split("\n")[-2]
    assert tomllib.loads(text)["data"]["folder"].startswith(f"{home}/of lab")


def test_large_files_do_not_go_into_git(sides: BothSides) -> None:
    for name in ("images/1.jpg", "images/2.jpg"):
        sides.write(sides.root, name, b"")
        with (sides.root / name).open("r+b") as file:
            file.truncate(30_000_000)
    before = sides.git("count-objects", "-v")
    for words, what in ((("push",), "is neither committed nor ignored"), (("push", "--dirty"),
                        "is not committed")):  # fmt: skip
        code, said = sides.run(*words)
        assert code == 1, said
        assert f"60.0 MB in 2 files {what}" in said
        assert "images/1.jpg" in said
        assert "move it into data/, then: lab data push" in said
    assert sides.git("count-objects", "-v") == before
    assert sides.git("for-each-ref", "refs/lab") == ""
    sides.settings("[push]\nmost_mb = 100\nmost_files = 1\n")
    assert "more than 1 file. Nothing was pushed." in sides.run("push")[1]
    sides.settings("[push]\nmost_mb = 100\n")
    assert sides.run("push", "--dirty")[0] == 0
    # git does not ignore data/ in every repository.
    (sides.root / ".gitignore").write_text("/.lab\n/outputs\nlab.local.toml\n")
    sides.settings()
    shutil.rmtree(sides.root / "images")
    sides.git("commit", "--quiet", "--all", "--message", "Ignore less")
    large = sides.write(sides.here, "large.bin")
    with large.open("r+b") as file:
        file.truncate(60_000_000)
    assert "Next: Add the line /data to .gitignore, then: lab data push" in sides.run("push")[1]
    large.unlink()
    sides.write(sides.here, "a.txt")
    for word in ("push", "pull"):
        assert "git does not ignore data/" in sides.does(word)


def test_run_names_what_it_reads_and_is_not_there(sides: BothSides) -> None:
    (sides.root / "labs").mkdir()
    (sides.root / "labs/leaf.py").write_text(
        'images = Path("data") / "leaves" / "oak"\nopen("data/list.csv")\nx = {"data": 1}\n'
        '# To use your own: `table = "data/leaf.csv"`\n'
    )
    sides.write(sides.here, "leaves/oak/1.jpg")
    project = Project(root=sides.root)
    run = Run(lab="labs/leaf.py", parameters=(("folder", "data/elms"),))
    assert paths_read(project, run) == ["data/list.csv", "data/leaves/oak", "data/elms"]
    sides.write(sides.there, "elms/1.jpg")
    (sides.here / "list.csv").mkdir()  # an empty folder is not sent
    assert "there are no files on this computer" in sides.does("push", "data/list.csv")
    warn_of_missing_data(Context(project=project), at(sides.machine, sides.folder.name), run)
    said = sides.capsys.readouterr().err
    assert (
        "reads data that is not on machine: data/leaves/oak. To send it: lab data push data/leaves"
        in said
    )
    assert "names data that is neither here nor on machine: data/list.csv." in said
    sides.settings('[data]\nread_only = "/institute/leaves"\n')
    project = Project(root=sides.root)
    warn_of_missing_data(Context(project=project), at(sides.machine, sides.folder.name), run)
    assert (
        "oak. data/ there is read-only for lab (read_only in [data])"
        in sides.capsys.readouterr().err
    )
    sides.settings()
    # What is there stays there when commits and results are fetched.
    assert sides.run("pull")[0] == 0
    assert not (sides.here / "elms").exists()
