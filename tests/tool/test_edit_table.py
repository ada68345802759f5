"""The edit of the SSH configuration as a table: what is there, what is asked, what results.

In the texts `~ssh/` stands for the SSH directory. Every accepted case is also connected twice,
which changes nothing, and disconnected, which gives back what was there before, byte for byte.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ssh_tree import OURS, entry, filled, lay_out, meaning, picture
from tool.edit_cases import CASES, INCLUDE, Case
from tool.edit_refusals import REFUSALS, Refusal

from ml_remote.errors import ConfigurationError, LabError, UnsafeEditError
from ml_remote.ssh import ssh_config

ENTRY = """\
# Written by `lab connect`, taken away by `lab disconnect --alias gpu`.
# A change made here is lost when it is written again.
Host gpu
    HostName gpu.example.com
    User ada
    ForwardAgent no
    ServerAliveInterval 30
    ServerAliveCountMax 4
"""


def connect(destination: str, directory: Path) -> None:
    ssh_config.apply(ssh_config.plan_connect(entry(destination), directory=directory))


def named(case: Case | Refusal) -> str:
    return case.name


def laid_out(case: Case | Refusal, directory: Path) -> None:
    files: dict[str, str | bytes] = dict(case.files)
    if case.before is not None:
        files["config"] = case.before
    lay_out(directory, files)
    case.prepare(directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the SSH directory; its path is too long for a shared connection's socket."""
    return tmp_path / ("a-rather-long-name-" * 3) / "ssh"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_connecting_makes_of_a_configuration_what_the_table_says(
    case: Case, directory: Path
) -> None:
    directory.parent.mkdir()
    laid_out(case, directory)
    before = picture(directory)

    plan = ssh_config.plan_connect(entry(), directory=directory)
    if case.notes:  # applying verifies, too
        noted = ssh_config.verify(plan)
    assert picture(directory) == before, "planning and verifying must not write"
    applied = ssh_config.apply(plan)

    after = case.after if isinstance(case.after, bytes) else filled(case.after, directory)
    assert (directory / "config").read_bytes() == after
    assert (directory / OURS / "gpu.conf").read_text() == ENTRY
    assert not (directory / "ran").exists()
    assert meaning("gpu", directory=directory)["hostname"] == "gpu.example.com"
    (directory / "ran").unlink(missing_ok=True)  # ssh itself, in the line before, may run it
    for words in case.notes:
        for notes in (noted, applied.notes):
            assert any(words.replace("~ssh/", f"{directory}/") in note for note in notes), notes
    if not case.notes:
        assert [note for note in applied.notes if "too long for a socket" not in note] == []
    modes = {name: mode for name, (_, mode, _) in picture(directory).items()}
    assert modes[OURS] == 0o700
    assert modes[f"{OURS}/gpu.conf"] == 0o600
    assert ("config" not in before) or modes["config"] == before["config"][1]

    connected = picture(directory)
    again = ssh_config.plan_connect(entry(), directory=directory)
    assert again.is_empty
    assert again.diff() == ""
    ssh_config.apply(again)
    assert picture(directory) == connected

    ssh_config.apply(ssh_config.plan_disconnect("gpu", directory=directory))
    if case.gives_back:
        assert picture(directory) == before
    else:
        ours = filled(INCLUDE, directory)
        assert ours not in (directory / "config").read_bytes().replace(b'"', b"")
        assert not (directory / OURS / "gpu.conf").exists()
    assert ssh_config.plan_disconnect("gpu", directory=directory).is_empty


@pytest.mark.parametrize("case", REFUSALS, ids=named)
def test_connecting_refuses_what_it_cannot_do_safely(case: Refusal, directory: Path) -> None:
    directory.parent.mkdir()
    laid_out(case, directory)
    before = picture(directory)

    with pytest.raises(LabError) as caught:
        connect(case.destination, directory)

    error = caught.value
    said = f"{error} {error.hint}"
    assert case.words.replace("~ssh/", f"{directory}/") in said, said
    assert isinstance(error, ConfigurationError)
    assert error.hint
    if isinstance(error, UnsafeEditError):
        assert filled(INCLUDE, directory).decode() in error.instructions
        assert "    Host gpu\n" in error.instructions.replace("        Host", "    Host")
    assert picture(directory) == before


def test_the_table_has_at_least_sixty_cases() -> None:
    assert len(CASES) + len(REFUSALS) >= 60
    names = [*map(named, CASES), *map(named, REFUSALS)]
    assert len(names) == len(set(names))
