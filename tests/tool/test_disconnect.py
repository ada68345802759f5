"""Taking our entry away again, after whatever the person did to their files in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ssh_tree import OURS, entry, filled, lay_out, picture

from ml_remote.errors import UsageError
from ml_remote.ssh import ssh_config

BEFORE = "# mine\nHost a\n    User u\n"
Edit = Callable[[bytes], bytes]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ssh"


def connect(directory: Path, alias: str = "gpu") -> ssh_config.AppliedPlan:
    plan = ssh_config.plan_connect(entry(alias=alias), directory=directory)
    return ssh_config.apply(plan)


def disconnect(directory: Path, alias: str = "gpu") -> ssh_config.AppliedPlan:
    return ssh_config.apply(ssh_config.plan_disconnect(alias, directory=directory))


def our_line_last(data: bytes) -> bytes:
    """Move our line to the end of the file, without a final newline."""
    first, _, rest = data.partition(b"\n")
    return rest + first


# What the person did after connecting, and what disconnecting must leave: their bytes alone.
EDITS: dict[str, tuple[Edit, str]] = {
    "nothing": (lambda data: data, BEFORE),
    "a host added": (lambda data: data + b"Host b\n    Port 7", BEFORE + "Host b\n    Port 7"),
    "a comment on top": (
        lambda data: b"# all my machines\n" + data,
        "# all my machines\n" + BEFORE,
    ),
    "another program's Include on top": (
        lambda data: b"Include other.d/*\n" + data,
        "Include other.d/*\n" + BEFORE,
    ),
    "a host taken out": (lambda data: data.replace(b"Host a\n    User u\n", b""), "# mine\n"),
    "endings made CRLF": (lambda data: data.replace(b"\n", b"\r\n"), BEFORE.replace("\n", "\r\n")),
    "our line taken out": (lambda data: data.partition(b"\n")[2], BEFORE),
    "our line doubled": (lambda data: data.partition(b"\n")[0] + b"\n" + data, BEFORE),
    "our line moved to the end": (our_line_last, BEFORE),
    "our line indented": (lambda data: b"\t " + data, BEFORE),
    "our line commented out": (
        lambda data: b"#" + data,
        "#Include ~ssh/ml-remote.d/*.conf\n" + BEFORE,
    ),
    "the final newline taken out": (lambda data: data[:-1], BEFORE[:-1]),
    "everything taken out": (lambda data: b"", ""),
    "a line that cannot be read": (lambda data: data + b"Nonsense 1\n", BEFORE + "Nonsense 1\n"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_disconnecting_leaves_the_bytes_of_the_person(edit: str, directory: Path) -> None:
    change, expected = EDITS[edit]
    lay_out(directory, {"config": BEFORE})
    connect(directory)
    config = directory / "config"
    config.write_bytes(change(config.read_bytes()))

    disconnect(directory)

    assert config.read_bytes() == filled(expected, directory)
    assert not (directory / OURS / "gpu.conf").exists()


def test_disconnecting_leaves_nothing_of_ours_behind(directory: Path) -> None:
    lay_out(directory, {"config": BEFORE})
    before = picture(directory)
    connect(directory)
    connect(directory, "second")
    disconnect(directory)
    assert filled("Include ~ssh/", directory) in (directory / "config").read_bytes()
    disconnect(directory, "second")
    assert picture(directory) == before


def test_a_configuration_that_was_missing_is_missing_again(directory: Path) -> None:
    directory.mkdir()
    connect(directory)
    assert (directory / "config").is_file()
    disconnect(directory)
    assert picture(directory) == {}


def test_a_configuration_that_was_missing_stays_when_the_person_wrote_into_it(
    directory: Path,
) -> None:
    connect(directory)
    config = directory / "config"
    config.write_bytes(config.read_bytes() + b"Host a\n")
    disconnect(directory)
    assert config.read_bytes() == b"Host a\n"


def test_an_empty_configuration_stays(directory: Path) -> None:
    lay_out(directory, {"config": ""})
    connect(directory)
    disconnect(directory)
    assert (directory / "config").read_bytes() == b""


def test_an_entry_of_ours_that_the_person_changed_is_kept_as_a_backup(directory: Path) -> None:
    lay_out(directory, {"config": BEFORE})
    connect(directory)
    path = directory / OURS / "gpu.conf"
    changed = path.read_bytes() + b"    LocalForward 6006 localhost:6006\n"
    path.write_bytes(changed)

    (backup,) = disconnect(directory).backups

    assert not path.exists()
    assert backup.read_bytes() == changed
    assert (directory / "config").read_text() == BEFORE


def test_what_the_configuration_was_earlier_is_kept_when_it_cannot_be_told_from_the_rest(
    directory: Path,
) -> None:
    lay_out(directory, {"config": BEFORE})
    connect(directory)
    config = directory / "config"
    config.write_bytes(config.read_bytes().replace(b"Host a", b"Host b"))
    (backup,) = disconnect(directory).backups
    assert backup.read_text() == BEFORE


def test_the_line_stays_in_a_read_only_configuration_and_the_entry_goes(directory: Path) -> None:
    lay_out(directory, {"config": BEFORE})
    connect(directory)
    config = directory / "config"
    config.chmod(0o400)
    connected = config.read_bytes()

    applied = disconnect(directory)

    assert config.read_bytes() == connected
    assert not (directory / OURS / "gpu.conf").exists()
    assert any("Our Include line was kept" in note for note in applied.notes)


def test_disconnecting_an_alias_that_we_never_wrote_changes_nothing(directory: Path) -> None:
    lay_out(directory, {"config": "Host gpu\n    User u\n"})
    before = picture(directory)
    plan = ssh_config.plan_disconnect("gpu", directory=directory)
    assert plan.is_empty
    assert plan.diff() == ""
    ssh_config.apply(plan)
    assert picture(directory) == before


def test_disconnecting_without_any_ssh_directory_changes_nothing(directory: Path) -> None:
    disconnect(directory)
    assert not directory.exists()


@pytest.mark.parametrize("alias", ["../config", "a/b", "", "A", ".hidden", "a\nb"])
def test_an_alias_is_never_a_path(alias: str, directory: Path) -> None:
    lay_out(directory, {"config": BEFORE})
    with pytest.raises(UsageError):
        ssh_config.plan_disconnect(alias, directory=directory)
    assert (directory / "config").read_text() == BEFORE
