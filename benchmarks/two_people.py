"""Two people who work on both sides of a connection: what they do, and what they must not lose."""

from __future__ import annotations

import os
import random
import re
import shlex
from contextlib import suppress
from pathlib import Path

from both_sides import RESULTS, Pair, commit, digest, git, new_project

__all__ = ["sequences"]

EVENTS = 6
BOTH, PULLED, PUSHED = range(3)  # who commits what collides
NAMES = (
    "a.py",
    "notes.txt",
    "odd ü'name",
    'li"ne\nbreak',
    "folder/b.py",
    "run.log",
    "data/set.csv",
)
WORDS = (("push",), ("pull",), ("push", "--dirty"), ("pull", "--overwrite"))


def precious(folder: Path, written: set[str]) -> dict[str, str]:
    """Return what is only on the disk: files and links that no commit holds as they are.

    `written` is what somebody on this side has written. A copy of the other side's file, which
    nobody has changed here, may be replaced when that one changes.
    """
    listed = git(folder, "ls-files", "-z", "--cached").stdout.split(b"\0")
    changed = git(folder, "ls-files", "-z", "--modified").stdout.split(b"\0")
    clean = {os.fsdecode(name) for name in set(listed) - set(changed) if name}
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".lab")]
        for name in [*files, *(one for one in folders if (Path(root) / one).is_symlink())]:
            path = Path(root) / name
            relative = os.path.relpath(path, folder)
            if relative not in clean and digest(path) in written:
                found[relative] = digest(path)
    return found


def change(folder: Path, chance: random.Random, written: set[str]) -> None:
    """Do something as the person on this side: write, link, ignore, or commit."""
    what = chance.choice(("write", "write", "result", "link", "track", "commit", "commit"))
    text = f"{chance.random()}\n"
    if what == "commit":
        commit(folder)
    elif what == "track":
        git(folder, "add", "--force", chance.choice(("data", "run.log", "outputs")))
        commit(folder)
    elif what == "link":
        path = folder / chance.choice(("outputs", "data", "folder", "a.py"))
        if not path.is_symlink() and not path.exists():
            path.symlink_to("/nonexistent/scratch")
            written.add(digest(path))
    else:
        path = folder / chance.choice(NAMES if what == "write" else RESULTS)
        blocked = any(part.is_symlink() or part.is_file() for part in [path, *path.parents][1:])
        if not blocked and not path.is_symlink() and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            written.add(digest(path))


def collide(
    pair: Pair, chance: random.Random, written: dict[Path, set[str]], *, way: int
) -> tuple[str, ...]:
    """Commit on one side what the other works on, and ignores; return what to run then.

    In a true merge or rebase git itself does not look at such files.
    """
    working, committing = (pair.there, pair.here) if way == PUSHED else (pair.here, pair.there)
    for name in (*RESULTS, "data/set.csv"):
        path = working / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{chance.random()}\n")
        written[working].add(digest(path))
    if chance.random() < 0.5:
        (committing / "outputs").symlink_to("/nonexistent/scratch")
        git(committing, "add", "--force", "outputs")
    else:
        (committing / "data").mkdir()
        (committing / "data" / "set.csv").write_text("from the other side\n")
        git(committing, "add", "--force", "data")
    commit(committing)
    if way == BOTH:
        (working / "mine.py").write_text("mine = 1\n")
        commit(working)
    return ("push",) if way == PUSHED else ("pull",)


def obey(pair: Pair, said: str) -> None:
    """Run the commands that were proposed: they must be as safe as those that `lab` runs."""
    for command in re.findall(r"To put yours on top: git (.*?);", said):
        if git(pair.here, *shlex.split(command)).returncode != 0:
            git(pair.here, "rebase", "--abort")
    for commands in re.findall(r"put them on main: (git checkout .*)", said):
        for command in commands.split(" && "):
            if git(pair.there, *shlex.split(command)[1:]).returncode != 0:
                git(pair.there, "cherry-pick", "--abort")
                break


def sequences(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Simulate two people who work on both sides, push and pull, and do what is proposed."""
    lost = []
    for number in range(times):
        new_project(pair)
        history = []
        written: dict[Path, set[str]] = {pair.here: set(), pair.there: set()}
        for event in range(EVENTS):
            words: tuple[str, ...] = chance.choice(WORDS)
            if event == 0 and number % 2:
                words = collide(pair, chance, written, way=(number // 2) % 3)
            else:
                for folder in (pair.here, pair.there):
                    for _ in range(chance.randrange(4)):
                        change(folder, chance, written[folder])
            before = {folder: precious(folder, written[folder]) for folder in written}
            code, said = pair.lab(*words)
            obey(pair, said)
            history.append(f"{' '.join(words)}: {code}")
            if "Traceback" in said or "did not expect" in said:
                lost.append(f"sequence {number}, {history}: {said[-500:]}")
            for folder, contents in before.items():
                lost += [
                    f"sequence {number}, {history}: {name!r} in {folder.name} ({folder})\n{said}"
                    for name, was in contents.items()
                    if not is_kept(folder, name, was)
                ]
    return lost


def is_kept(folder: Path, name: str, was: str) -> bool:
    """Return whether a file is still as it was: in its place, or beside it."""
    path = folder / name
    with suppress(OSError):
        if digest(path) == was:
            return True
    return any(digest(other) == was for other in folder.rglob(f"*{path.stem}*") if other.is_file())
