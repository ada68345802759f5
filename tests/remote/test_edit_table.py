"""The edit of the SSH configuration as a table: what stands there, what is asked, what results.

In the texts `~ssh/` stands for the SSH directory. Every accepted case is also connected twice,
which changes nothing, and disconnected, which gives back what was there before, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ssh_tree import OURS, entry, filled, lay_out, meaning, picture

from ml_remote.errors import ConfigurationError, LabError, UnsafeEditError
from ml_remote.ssh import ssh_config, verification

INCLUDE = "Include ~ssh/ml-remote.d/*.conf"
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


@dataclass(frozen=True, kw_only=True)
class Case:
    """A configuration, and what connecting `gpu` to `ada@gpu.example.com` makes of it."""

    name: str
    before: str | bytes | None
    after: str | bytes
    files: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda directory: None
    notes: tuple[str, ...] = ()
    gives_back: bool = True  # whether disconnecting gives `before` again


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A configuration that connecting must not touch, and words of the reason."""

    name: str
    before: str | bytes | None
    words: str
    files: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda directory: None
    destination: str = "ada@gpu.example.com"


def prepended(name: str, text: str, **more: object) -> Case:
    """A configuration that only gets our line on top."""
    return Case(name=name, before=text, after=f"{INCLUDE}\n{text}", **more)  # type: ignore[arg-type]


def link_config(aim: str) -> Callable[[Path], None]:
    """Move the configuration to `aim`, and leave a symbolic link."""

    def link(directory: Path) -> None:
        target = directory / aim
        target.parent.mkdir(exist_ok=True)
        (directory / "config").rename(target)
        (directory / "config").symlink_to(aim)

    return link


def link_to_read_only(directory: Path) -> None:
    link_config("store/config")(directory)
    (directory / "store/config").chmod(0o444)
    (directory / "store").chmod(0o555)


CASES = [
    Case(name="missing", before=None, after=f"{INCLUDE}\n"),
    Case(name="empty", before="", after=f"{INCLUDE}\n"),
    prepended("a single newline", "\n"),
    prepended("only a comment without a final newline", "# nothing yet"),
    prepended("a host", "Host a\n    HostName a.example.com\n"),
    prepended("no final newline", "Host a\n    HostName a.example.com"),
    Case(
        name="CRLF",
        before="Host a\r\n    HostName a.example.com\r\n",
        after=f"{INCLUDE}\r\nHost a\r\n    HostName a.example.com\r\n",
    ),
    Case(
        name="CRLF without a final newline",
        before="Host a\r\n    User u",
        after=f"{INCLUDE}\r\nHost a\r\n    User u",
    ),
    prepended("mixed endings, LF first", "Host a\n    User u\r\n    Port 22\r\n"),
    Case(
        name="mixed endings, CRLF first",
        before="Host a\r\n    User u\n",
        after=f"{INCLUDE}\r\nHost a\r\n    User u\n",
    ),
    prepended("tabs", "Host\ta\tb\n\tHostName\ta.example.com\n"),
    prepended("equals signs", "Host=a\nHostName = a.example.com\nUser= u\n"),
    prepended("a quoted host", 'Host "a" b\n    User "some one"\n'),
    prepended("a quoted identity file", 'Host a\n    IdentityFile "~/.ssh/my key"\n'),
    prepended("blanks at the ends of lines", "Host a   \n    User u \t\n   \n"),
    prepended("mixed cases", "HOST a\nhostNAME a.example.com\n"),
    prepended("no indentation", "Host a\nUser u\nHost b\nUser v\n"),
    prepended("a comment behind a value", "Host a # mine\n    User u # me\n"),
    prepended("a comment that names our alias", "# Host gpu\n#Match exec true\nHost a\n"),
    prepended(
        "Include before the hosts",
        "Include ~ssh/work.conf\n\nHost a\n    User u\n",
        files={"work.conf": "Host w\n    User worker\n"},
    ),
    prepended(
        "Include after the hosts",
        "Host a\n    User u\n\nInclude ~ssh/work.conf\n",
        files={"work.conf": "Host w\n    User worker\n"},
    ),
    prepended(
        "Include inside a block",
        "Host a\n    Include ~ssh/a.conf\n    User u\n",
        files={"a.conf": "Port 2200\n"},
    ),
    prepended(
        "Include of several files",
        'Include ~ssh/x.conf "~ssh/y z.conf"\nHost a\n',
        files={"x.conf": "Host x\n    User x\n", "y z.conf": "Host y\n    User y\n"},
    ),
    prepended("Include of a pattern", "Include ~ssh/d/*\n", files={"d/a": "Host a\n  Port 1\n"}),
    prepended("Include of nothing", "Include ~ssh/none/*\nInclude ~ssh/no.conf\nHost a\n"),
    prepended("Match host", "Match host a,b user u\n    Port 2200\nHost c\n    Port 1\n"),
    prepended("Match all at the end", "Host a\n    User u\nMatch all\n    Compression yes\n"),
    prepended("Match originalhost", "Match originalhost a\n    User u\n"),
    prepended("a wildcard at the end", "Host a\n    User u\nHost *\n    ServerAliveInterval 5\n"),
    prepended("a wildcard on top", "Host *\n    User everywhere\nHost a\n    Port 2200\n"),
    prepended("a negation", "Host * !secret\n    User u\nHost secret\n    User s\n"),
    prepended("global options on top", "User u\nCompression yes\nHost a\n    Port 2200\n"),
    prepended("a global identity file", "IdentityFile ~/.ssh/other\nHost a\n    User u\n"),
    prepended("global options only", "ServerAliveInterval 7\nForwardAgent yes\n"),
    prepended("UTF-8 names", "# Rechner im Büro\nHost büro\n    User müller\n"),
    prepended(
        "two hundred hosts",
        "".join(f"Host h{n}\n    Port {n + 1}\n" for n in range(200)),
        notes=("50 of your 200 other hosts were checked",),
    ),
    prepended("a final comment without newline", "Host a\n    User u\n# end"),
    prepended("UseKeychain behind IgnoreUnknown", "IgnoreUnknown UseKeychain\nUseKeychain yes\n"),
    prepended("an alias like ours", "Host gpu2 gpu.example.com mygpu\n    Port 2200\n"),
    prepended("a host that ssh itself refuses", "Host -x ok\n    User u\n"),
    prepended("our alias is behind a wildcard", "Host gpu*\n    Compression yes\n"),
    prepended(
        "a wildcard brings a jump host",
        "Host *\n    ProxyJump bastion\n",
        notes=("adds proxyjump bastion to gpu",),
    ),
    prepended(
        "a wildcard brings a command",
        "Host g?u\n    RemoteCommand tmux\n    RequestTTY yes\n",
        notes=("adds remotecommand tmux to gpu: VS Code cannot", "adds requesttty"),
    ),
    prepended(
        "the bare address has a jump host",
        "Host *.example.com\n    ProxyJump bastion\n",
        notes=("`ssh gpu.example.com` goes through bastion", "add --jump bastion"),
    ),
    # Our own line is there already, as we wrote it or as somebody left it.
    Case(
        name="our line is there",
        before=f"{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\nHost a\n",
        gives_back=False,
    ),
    Case(
        name="our line stands below comments",
        before=f"# mine\n\n{INCLUDE}\nHost a\n",
        after=f"# mine\n\n{INCLUDE}\nHost a\n",
        gives_back=False,
    ),
    Case(
        name="our line is indented and quoted",
        before='  include = "~ssh/ml-remote.d/*.conf"\nHost a\n',
        after='  include = "~ssh/ml-remote.d/*.conf"\nHost a\n',
        gives_back=False,
    ),
    Case(
        name="our line was moved to the end",
        before=f"Host a\n    User u\n{INCLUDE}",
        after=f"{INCLUDE}\nHost a\n    User u\n",
        gives_back=False,
    ),
    Case(
        name="our line was moved below a global option",
        before=f"User u\n{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\nUser u\nHost a\n",
        gives_back=False,
    ),
    Case(
        name="our line was moved below another Include",
        before=f"Include ~ssh/x.conf\r\n{INCLUDE}\r\nHost a\r\n",
        after=f"{INCLUDE}\r\nInclude ~ssh/x.conf\r\nHost a\r\n",
        gives_back=False,
    ),
    Case(
        name="our line is doubled",
        before=f"{INCLUDE}\n{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\n{INCLUDE}\nHost a\n",
        gives_back=False,
    ),
    Case(
        name="our line is doubled further down",
        before=f"Host a\n    {INCLUDE}\nHost b\n{INCLUDE}\n",
        after=f"{INCLUDE}\nHost a\nHost b\n",
        gives_back=False,
    ),
    prepended("our line is commented out", f"# {INCLUDE}\nHost a\n"),
    prepended("our line has a comment of the person's", f"{INCLUDE} # theirs\nHost a\n"),
    prepended("our line was joined with another", f"{INCLUDE} ~ssh/x.conf\nHost a\n"),
    prepended("a line like ours", "Include ~ssh/ml-remote.d/*\nInclude ~ssh/ml-remote.d.old/*\n"),
    # Our own directory.
    Case(
        name="our directory is empty",
        before="Host a\n",
        after=f"{INCLUDE}\nHost a\n",
        prepare=lambda directory: (directory / OURS).mkdir(),
        gives_back=False,
    ),
    Case(
        name="our directory is open to all",
        before="Host a\n",
        after=f"{INCLUDE}\nHost a\n",
        files={f"{OURS}/notes.txt": "mine\n"},
        prepare=lambda directory: (directory / OURS).chmod(0o777),
        gives_back=False,
    ),
    Case(
        name="a copy that an editor left in our directory",
        before="Host a\n",
        after=f"{INCLUDE}\nHost a\n",
        files={f"{OURS}/gpu.conf~": "no ssh would read this\n", f"{OURS}/.x.conf": "nor this\n"},
    ),
    Case(
        name="our entry is damaged",
        before=f"{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\nHost a\n",
        files={f"{OURS}/gpu.conf": "Host gpu\n    Hostna"},
        notes=("could not read its configuration before: ~ssh/ml-remote.d/gpu.conf",),
        gives_back=False,
    ),
    Case(
        name="another entry of ours",
        before=f"{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\nHost a\n",
        files={f"{OURS}/other.conf": "Host other\n    HostName other.example.com\n"},
    ),
    # Files that are not quite ordinary.
    prepended("a symbolic link", "Host a\n", prepare=link_config("dotfiles")),
    prepended("a symbolic link into a folder", "Host a\n", prepare=link_config("dotfiles/config")),
    prepended(
        "writable for the group",
        "Host a\n",
        prepare=lambda directory: (directory / "config").chmod(0o664),
        notes=("chmod go-w",),
    ),
    prepended(
        "readable for all",
        "Host a\n",
        prepare=lambda directory: (directory / "config").chmod(0o644),
    ),
    Case(
        name="read-only, with our line in it already",
        before=f"{INCLUDE}\nHost a\n",
        after=f"{INCLUDE}\nHost a\n",
        prepare=lambda directory: (directory / "config").chmod(0o444),
    ),
    # Lines that run a command when ssh reads them; `ran` would lie in the SSH directory.
    prepended(
        "Match exec",
        'Match exec "touch ~ssh/ran"\n    User u\nHost a\n    Port 2200\n',
        notes=("Lines that run a command",),
    ),
    prepended(
        "Match exec in an included file",
        "Host a\n    Port 2200\nInclude ~ssh/*.inc\n",
        files={
            "x.inc": "Include ~ssh/deep\n",
            "deep": 'Match host a exec "touch ~ssh/ran"\n  User u\n',
        },
        notes=("Lines that run a command",),
    ),
    prepended(
        "Match exec in disguise",
        '= Match !ex"ec" "touch ~ssh/ran"\n    User u\nMATCH Host=a eXec="touch ~ssh/ran"\n',
        notes=("Lines that run a command",),
    ),
    prepended(
        "Match exec and files that include each other",
        'Include ~ssh/x.inc\nMatch exec "touch ~ssh/ran"\n',
        files={"x.inc": "Host x\n    Include ~ssh/y.inc\n", "y.inc": "Port 2200\n"},
        notes=("Lines that run a command",),
    ),
]

REFUSALS = [
    Refusal(name="byte-order mark", before=b"\xef\xbb\xbfHost a\n", words="byte-order mark"),
    Refusal(name="UTF-16 LE", before="Host a\n".encode("utf-16"), words="UTF-16"),
    Refusal(name="UTF-16 BE", before=b"\xfe\xff\0H\0o", words="UTF-16"),
    Refusal(name="UTF-16 without a mark", before="Host a\n".encode("utf-16-le"), words="UTF-16"),
    Refusal(name="Latin-1", before="Host a\n# Büro\n".encode("latin-1"), words="Line 2 of"),
    Refusal(
        name="read-only",
        before="Host a\n",
        words="config is read-only",
        prepare=lambda directory: (directory / "config").chmod(0o444),
    ),
    Refusal(
        name="in a read-only directory",
        before="Host a\n",
        words="lies in a directory that is read-only",
        prepare=lambda directory: directory.chmod(0o500),
    ),
    Refusal(
        name="symbolic link to a read-only place",
        before="Host a\n",
        words="store",
        prepare=link_to_read_only,
    ),
    Refusal(
        name="symbolic link to nowhere",
        before=None,
        words="symbolic link to gone",
        prepare=lambda directory: (directory / "config").symlink_to("gone"),
    ),
    Refusal(
        name="symbolic link to itself",
        before=None,
        words="symbolic link to config",
        prepare=lambda directory: (directory / "config").symlink_to("config"),
    ),
    Refusal(
        name="hard links",
        before="Host a\n",
        words="hard links",
        prepare=lambda directory: (directory / "twin").hardlink_to(directory / "config"),
    ),
    Refusal(
        name="configuration is a directory",
        before=None,
        words="not an ordinary file",
        prepare=lambda directory: (directory / "config").mkdir(),
    ),
    Refusal(
        name="configuration is a pipe",
        before=None,
        words="not an ordinary file",
        prepare=lambda directory: os.mkfifo(directory / "config"),
    ),
    Refusal(
        name="our directory is a file",
        before="Host a\n",
        words="ml-remote.d is not a directory",
        prepare=lambda directory: (directory / OURS).write_text("?"),
    ),
    Refusal(
        name="our entry is a directory",
        before="Host a\n",
        words="gpu.conf cannot be read",
        prepare=lambda directory: (directory / OURS / "gpu.conf").mkdir(parents=True),
    ),
    Refusal(
        name="another entry of ours is damaged",
        before=f"{INCLUDE}\n",
        files={f"{OURS}/other.conf": "Host other\n    Nonsense 1\n"},
        words="~ssh/ml-remote.d/other.conf: line 2: Bad configuration option: nonsense",
    ),
    Refusal(
        name="unknown option",
        before="Host a\n    Usr u\n",
        words="~ssh/config: line 2: Bad configuration option: usr",
    ),
    Refusal(
        name="unknown option in an included file",
        before="Include ~ssh/x\n",
        files={"x": "\n\nUsr u\n"},
        words="~ssh/x: line 3: Bad configuration option: usr",
    ),
    Refusal(
        name="byte-order mark in an included file",
        before="Include ~ssh/x\n",
        files={"x": "\ufeffHost a\n"},
        words="Bad configuration option",
    ),
    Refusal(
        name="included file that others may write",
        before="Include ~ssh/x\n",
        files={"x": "Host x\n"},
        prepare=lambda directory: (directory / "x").chmod(0o666),
        words="Bad owner or permissions on ~ssh/x",
    ),
    Refusal(
        name="included file that others may write, with Match exec",
        before="Include ~ssh/x\n",
        files={"x": 'Match exec "touch ~ssh/ran"\n'},
        prepare=lambda directory: (directory / "x").chmod(0o666),
        words="Bad owner or permissions on ~ssh/x",
    ),
    Refusal(name="bad quote", before='Host a\n    User "u\n', words="line 2"),
    Refusal(name="two words after HostName", before="Host a\n  HostName b c\n", words="line 2"),
    Refusal(name="UseKeychain", before="UseKeychain yes\n", words="IgnoreUnknown UseKeychain"),
    Refusal(
        name="files that include each other",
        before="Include ~ssh/x\n",
        files={"x": "Include ~ssh/x\n"},
        words="Too many recursive",
    ),
    Refusal(
        name="files that include each other, with Match exec",
        before='Include ~ssh/x\nMatch exec "touch ~ssh/ran"\n',
        files={"x": "Include ~ssh/x\n"},
        words="Too many recursive",
    ),
    Refusal(
        name="alias is there", before="\nHost gpu\n", words="gpu already stands in ~ssh/config, l"
    ),
    Refusal(name="alias is there in capitals", before="Host a GPU\n", words="GPU already stands"),
    Refusal(name="alias is there in quotes", before='Host=a "gpu" b\n', words="line 1"),
    Refusal(
        name="alias is in an included file",
        before="Host a\nInclude ~ssh/d/*\n",
        files={"d/x": "# x\nHost gpu\n"},
        words="gpu already stands in ~ssh/d/x, line 2",
    ),
    Refusal(name="alias is in a Match", before="Match user u host b,gpu\n", words="line 1"),
    Refusal(
        name="alias of another project of ours",
        before=f"{INCLUDE}\n",
        files={f"{OURS}/gpu.conf": "Host gpu\n    HostName elsewhere.example.com\n    Port 22\n"},
        words="gpu already stands for elsewhere.example.com:22",
    ),
    Refusal(
        name="address is an alias of the person's",
        before="Host box\n    HostName 10.0.0.5\n",
        destination="ada@box",
        words="box is an alias in your configuration and stands for 10.0.0.5",
    ),
]


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
    """The SSH directory; too long a path for a shared connection's socket, so none is written."""
    return tmp_path / ("a-rather-long-name-" * 3) / "ssh"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.slow] if case.name == "two hundred hosts" else [])
        for case in CASES
    ],
    ids=named,
)
def test_connecting_makes_of_a_configuration_what_the_table_says(
    case: Case, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SECONDS_FOR_OTHERS", 60.0)  # however busy this computer is
    directory.parent.mkdir()
    laid_out(case, directory)
    before = picture(directory)

    plan = ssh_config.plan_connect(entry(), directory=directory)
    if case.notes:  # applying verifies, too; each time asks ssh about every host
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
