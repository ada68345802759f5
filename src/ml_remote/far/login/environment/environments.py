"""A project's environments: `.lab/envs/<id>`, the link `.venv`, and how one replaces another.

A kill between the two renames that replace a `.venv` of an earlier version, which is no link, is
repaired by `Environments.repair`: what was in progress is noted in `.lab/environment.exchange`.
"""

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import List, Optional

from .failures import Failure
from .record import read_record
from .users import users_of

__all__ = ["FIRST", "Environments", "interpreter_of"]

FIRST = "first"
"""Begins the names of first environments (first.py), for the kernel, too."""

_ID = re.compile(r"^(?:[a-z]+-\d{8}-\d{6}(?:-\d+)?|before-\d{8}-\d{6}|gone-.*)$")
_INTERPRETERS = ("bin/python", "Scripts/python.exe", "python.exe")


def interpreter_of(prefix: Path) -> Path:
    """Return the interpreter of an environment: on Linux and macOS, Windows, Windows with conda."""
    for name in _INTERPRETERS:
        if (prefix / name).is_file():
            return prefix / name
    return prefix / _INTERPRETERS[0]


class Environments:
    """The folders of one project's environments."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root = root
        self.link = root / ".venv"
        self.state = root / ".lab"
        self.lock = self.state / "environment.lock"
        self.incomplete = self.state / "environment.incomplete"
        """There while an environment is changed in place and does not work meanwhile."""
        self._journal = self.state / "environment.exchange"
        self.folder = self._own(folder) if folder else self.state / "envs"

    def _own(self, folder: str) -> Path:
        """Return this project's part of a folder that projects share."""
        return self.root / os.path.expanduser(folder) / self._own_name

    @property
    def _own_name(self) -> str:
        mark = hashlib.sha256(str(self.root).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return "{}-{}".format(self.root.name, mark)

    @property
    def must_change_in_place(self) -> bool:
        """Whether `.venv` cannot be a link: it is a mount, or links are not for everybody."""
        return os.name == "nt" or _is_mount(self.link)

    @property
    def changes_in_place(self) -> bool:
        """Whether the environment itself is changed: it must be, or the person has said so.

        A first environment is never changed: by its name it is none that works.
        """
        if self.is_first:
            return False
        return self.must_change_in_place or os.environ.get("LAB_CHANGE_IN_PLACE") == "1"

    @property
    def current(self) -> Optional[Path]:
        """The environment that is in use, by its resolved path; None if there is none."""
        if not self.link.exists():
            return None
        return Path(os.path.realpath(str(self.link)))

    @property
    def is_first(self) -> bool:
        """Whether `.venv` leads to a first environment."""
        return self.current is not None and self.current.name.startswith(FIRST + "-")

    @property
    def is_earlier(self) -> bool:
        """Whether `.venv` is a folder itself, as earlier versions made it."""
        return self.link.is_dir() and not self.link.is_symlink() and not self.must_change_in_place

    @property
    def leads_elsewhere(self) -> bool:
        """Whether `.venv` is a link that was not made here."""
        if not self.link.is_symlink():
            return False
        folder = os.path.realpath(str(self.folder))
        target = os.path.realpath(str(self.link))
        inside = os.path.realpath(str(self.state / "envs"))
        if os.path.dirname(target) in (folder, inside) or not os.path.exists(target):
            return False
        # `folder` may have been another one when it was made.
        return os.path.basename(os.path.dirname(target)) != self._own_name

    def new(self, manager: str) -> Path:
        """Return the path of a new environment, which does not exist yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(os.path.realpath(str(self.folder)))
        name = "{}-{}".format(manager, time.strftime("%Y%m%d-%H%M%S"))
        path, number = folder / name, 1
        while path.exists():
            number += 1
            path = folder / "{}-{}".format(name, number)
        return path

    def exchange(self, prefix: Path, *, keep: Optional[Path] = None) -> None:
        """Point `.venv` at this environment.

        A folder that is there instead of a link is kept as `keep`, or removed later.
        """
        if self.is_earlier:
            before = keep or self.state / "envs" / time.strftime("before-%Y%m%d-%H%M%S")
            before.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"new": str(prefix), "old": str(before)})
            self._journal.write_text(text, encoding="utf-8")
            self.link.rename(before)
            try:
                self._lead_to(prefix)
            except Failure:
                before.rename(self.link)
                self._journal.unlink()
                raise
            self._journal.unlink()
        else:
            self._lead_to(prefix)

    @property
    def spare(self) -> Optional[Path]:
        """The newest complete environment, where `.venv` is gone or leads nowhere.

        Who removes the link may want a new environment; until there is one, this one is kept.
        """
        if self.link.exists() or self.must_change_in_place:
            return None
        for path in sorted(self.others(), key=_made, reverse=True):
            record = read_record(path)
            is_ours = record is not None and record.complete and record.project == str(self.root)
            if is_ours and interpreter_of(path).exists():
                return path
        return None

    def lead_to_spare(self, spare: Optional[Path]) -> None:
        """Point `.venv` at the environment that was kept, if there still is no other."""
        if spare is not None and not self.link.exists():
            self._lead_to(spare)

    def repair(self) -> None:
        """Finish a replacement that was killed between two renames, or before its last step."""
        is_of_first = self.incomplete.is_file() and self.incomplete.read_bytes() == FIRST.encode()
        if is_of_first and not self.is_first:  # the complete one has taken its place
            self.incomplete.unlink()
        if not self._journal.exists():
            return
        try:
            values = json.loads(self._journal.read_text(encoding="utf-8"))
            candidates = [Path(values["new"]), Path(values["old"])]
        except (OSError, ValueError, KeyError, TypeError):
            candidates = []
        if not os.path.lexists(str(self.link)):
            for prefix in candidates:
                if interpreter_of(prefix).exists():
                    self._lead_to(prefix)
                    break
        self._journal.unlink()

    def others(self) -> List[Path]:
        """Return the environments that are not current: replaced ones, and what a kill left."""
        current = self.current
        folders = sorted({self.folder, self.state / "envs"})
        paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
        resolved = [Path(os.path.realpath(str(path))) for path in paths if _ID.match(path.name)]
        return [path for path in resolved if path != current]

    def remove_unused(self, *, spare: Optional[Path] = None) -> None:
        """Remove the environments that are not current, nor `spare`, and that nobody uses."""
        for path in self.others():
            if path == spare:
                continue
            record = read_record(path)
            if not users_of(path, self.root, since=record.made if record else time.time()):
                remove(path)
        for left in self.root.glob(".venv-new-*"):
            left.unlink()

    def _lead_to(self, prefix: Path) -> None:
        target = str(prefix)
        root = os.path.realpath(str(self.root)) + os.sep
        if target.startswith(root):
            target = target[len(root) :]
        new = self.root / ".venv-new-{}".format(os.getpid())
        if os.path.lexists(str(new)):
            new.unlink()
        try:
            os.symlink(target, str(new))
            os.replace(str(new), str(self.link))
        except OSError as error:
            raise Failure(
                ".venv cannot be linked to {}: {}.".format(prefix, error.strerror or error),
                "The environment is complete there; nothing else was changed.",
            )


def _made(path: Path) -> float:
    record = read_record(path)
    return record.made if record is not None else 0.0


def remove(path: Path) -> None:
    """Remove an environment; renamed first, so that what has its own name is whole."""
    gone = path.with_name("gone-{}-{}".format(path.name, os.getpid()))
    try:
        path.rename(gone)
    except OSError:
        gone = path
    shutil.rmtree(str(gone), ignore_errors=True)


def _is_mount(path: Path) -> bool:
    """Return whether something is mounted at this path.

    `os.path.ismount` does not see a folder of the same disk, as volumes of containers often are.
    """
    if os.path.ismount(str(path)):
        return True
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    place = os.path.join(os.path.realpath(str(path.parent)), path.name)
    return any(_unescaped(line.split()[4]) == place.encode() for line in lines)


def _unescaped(text: bytes) -> bytes:
    r"""Return a path of mountinfo, in which a blank is `\040`."""
    return re.sub(rb"\\([0-7]{3})", lambda digits: bytes([int(digits.group(1), 8)]), text)
