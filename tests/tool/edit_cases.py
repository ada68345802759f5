"""Configurations of SSH, and what connecting makes of them: a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ssh_tree import OURS

__all__ = [
    "CASES",
    "INCLUDE",
    "Case",
    "link_config",
    "prepended",
]


INCLUDE = "Include ~ssh/ml-remote.d/*.conf"


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


def prepended(name: str, text: str, **more: object) -> Case:
    """Return a configuration that only gets our line on top."""
    return Case(name=name, before=text, after=f"{INCLUDE}\n{text}", **more)  # type: ignore[arg-type]


def link_config(aim: str) -> Callable[[Path], None]:
    """Move the configuration to `aim`, and leave a symbolic link."""

    def link(directory: Path) -> None:
        target = directory / aim
        target.parent.mkdir(exist_ok=True)
        (directory / "config").rename(target)
        (directory / "config").symlink_to(aim)

    return link


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
        "a wildcard keeps commands away",
        "Host g?u\n    SessionType none\n    StdinNull yes\n",
        notes=("adds SessionType none to gpu: neither lab nor VS Code", "adds StdinNull yes"),
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
        name="our line is below comments",
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
    # Lines that run a command when ssh reads them; `ran` would be in the SSH directory.
    prepended(
        "Match exec",
        'Match exec "touch ~ssh/ran"\n    User u\nHost a\n    Port 2200\n',
        notes=("ran no command of Match exec",),
    ),
    prepended(
        "Match exec in an included file",
        "Host a\n    Port 2200\nInclude ~ssh/*.inc\n",
        files={
            "x.inc": "Include ~ssh/deep\n",
            "deep": 'Match host a exec "touch ~ssh/ran"\n  User u\n',
        },
        notes=("ran no command of Match exec",),
    ),
    prepended(
        "Match exec in disguise",
        '= Match !ex"ec" "touch ~ssh/ran"\n    User u\nMATCH Host=a eXec="touch ~ssh/ran"\n',
        notes=("ran no command of Match exec",),
    ),
    prepended(
        "Match exec where only ssh finds it",
        "Include ~ssh/x\\'.inc\nHost a\n",
        files={"x'.inc": 'Match exec "touch ~ssh/ran"\n    User u\n'},
    ),
    prepended(
        "Match exec and files that include each other",
        'Include ~ssh/x.inc\nMatch exec "touch ~ssh/ran"\n',
        files={"x.inc": "Host x\n    Include ~ssh/y.inc\n", "y.inc": "Port 2200\n"},
        notes=("ran no command of Match exec",),
    ),
]
