"""Names of files that have to be quoted, escaped or left as they are on the way to a machine."""

from __future__ import annotations

import os

__all__ = ["AWKWARD", "NOT_UTF_8"]

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
)
NOT_UTF_8 = (os.fsdecode(b"caf\xe9.png"), os.fsdecode(b"\xff\xfe/\x80"))
