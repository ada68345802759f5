"""Configurations of SSH that connecting must not touch, and the reason: a table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ssh_tree import OURS
from tool.edit_cases import INCLUDE, link_config

__all__ = [
    "REFUSALS",
    "Refusal",
    "link_to_read_only",
]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A configuration that connecting must not touch, and words of the reason."""

    name: str
    before: str | bytes | None
    words: str
    files: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda directory: None
    destination: str = "ada@gpu.example.com"


def link_to_read_only(directory: Path) -> None:
    link_config("store/config")(directory)
    (directory / "store/config").chmod(0o444)
    (directory / "store").chmod(0o555)


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
        words="is in a read-only directory",
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
    Refusal(name="alias is there", before="\nHost gpu\n", words="gpu is already in ~ssh/config, l"),
    Refusal(name="alias is there in capitals", before="Host a GPU\n", words="GPU is already in"),
    Refusal(name="alias is there in quotes", before='Host=a "gpu" b\n', words="line 1"),
    Refusal(
        name="alias is in an included file",
        before="Host a\nInclude ~ssh/d/*\n",
        files={"d/x": "# x\nHost gpu\n"},
        words="gpu is already in ~ssh/d/x, line 2",
    ),
    Refusal(
        name="alias is in a file whose name is in quotes",
        before="Include '~ssh/with blank/x'\n",
        files={"with blank/x": "Host 'gpu'\n"},
        words="gpu is already in ~ssh/with blank/x, line 1",
    ),
    Refusal(
        name="alias is in a file whose name has a blank",
        before="Include ~ssh/with\\ blank/x\n",
        files={"with blank/x": "Host gpu\n"},
        words="gpu is already in ~ssh/with blank/x, line 1",
    ),
    Refusal(name="alias is in a Match", before="Match user u host b,gpu\n", words="line 1"),
    Refusal(name="alias is in a Match, after =", before="Match host=gpu\n", words="line 1"),
    Refusal(name="blanks around that =", before="Match originalhost = b,gpu\n", words="line 1"),
    Refusal(
        name="alias of another project of ours",
        before=f"{INCLUDE}\n",
        files={f"{OURS}/gpu.conf": "Host gpu\n    HostName elsewhere.example.com\n    Port 22\n"},
        words="gpu already means elsewhere.example.com:22",
    ),
    Refusal(
        name="alias of a compute node",
        before=f"{INCLUDE}\n",
        files={
            f"{OURS}/gpu.conf": "Host gpu\n    HostName gpu\n    ProxyCommand ssh login sh x\n"
            "    UserKnownHostsFile ~ssh/ml-remote.d/gpu.known_hosts\n"
        },
        words="gpu already means a compute node (`lab node`)",
    ),
    Refusal(
        name="entry of ours to which the person added a ProxyCommand",
        before=f"{INCLUDE}\n",
        files={
            f"{OURS}/gpu.conf": "Host gpu\n    HostName gpu.example.com\n    User ada\n"
            "    ProxyCommand nc -x proxy:1080 %h %p\n"
        },
        words="gpu already means ada@gpu.example.com by ProxyCommand",
    ),
    Refusal(
        name="address is an alias of the person's",
        before="Host box\n    HostName 10.0.0.5\n",
        destination="ada@box",
        words="box is an alias in your configuration and means 10.0.0.5",
    ),
]
