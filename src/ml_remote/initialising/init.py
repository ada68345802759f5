"""`lab init`: writing the files, and removing them again."""

from __future__ import annotations

import os
from pathlib import Path

from ..context import Context
from ..errors import ConfigurationError, LabError, UsageError
from ..files import Change, apply_changes, read_bytes
from ..login.entries import write_entry
from ..next_steps import Known, what_next
from ..package_lists.sources import how_to_list
from ..parsing import parse_toml
from ..project import Project, current_folder
from ..settings import read_settings
from ..state import check_links
from ..tables import LOCAL_FILE, PROJECT_FILE, Tables, read_tables
from ..transfer.local_repository import is_tracked
from ..transfer.uncommitted import tell_if_not_ignored
from ..ui.console import Console
from ..version import this_version
from . import proposed_files
from .questions import Answers, ask_machine, ask_package
from .record import (
    EXCLUDE,
    SCRIPT,
    SETTINGS,
    Written,
    forget,
    is_unfinished,
    path_of,
    read_record,
    shown,
    what_is_ours,
    write,
)
from .repository import is_ignored, look

__all__ = ["init", "remove"]

_THIS_CLONES = (LOCAL_FILE, EXCLUDE)


def init(context: Context, answers: Answers) -> None:
    """Run `lab init`. Raises LabError; nothing is changed then."""
    console = context.console
    found = look()
    root = found.root
    check_links(root)
    if root != current_folder():
        console.note(f"The repository is {root}.")
    if is_unfinished(root):
        console.note("An earlier `lab init` was interrupted here. This one continues it.")
    elif (root / PROJECT_FILE).exists():
        if not (root / PROJECT_FILE).is_file():
            raise _taken(PROJECT_FILE)
        _check_is_ours(root)
        console.say(f"{root} is already a project of lab; nothing was changed.")
        console.next_step(_after_init(context, root, is_new=False), with_uv=True)
        return
    alias, address = ask_machine(found, answers, console)
    folder = answers.folder or root.name
    package = ask_package(found, answers, console)
    settings = proposed_files.lab_toml(found, alias=alias, folder=folder, package=package)
    _check(root, settings)
    source = found.source or "none: lab setup needs one"
    console.say(f"List of packages: {source}")
    if not found.source and (how := how_to_list(root)):
        console.warn(how)
    try:
        changes = _wanted(root, settings, console=console, yes=answers.yes)
        write(root, changes)
    except OSError as error:  # a folder in the place of a file, or a file in that of a folder
        why = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        raise LabError(f"Nothing was written: {why}.", hint="Fix that, then: lab init") from None
    for change in changes:
        console.say(f"Written: {shown(change.path, root)}")
    if this_version().commit is None:
        console.warn("lab.py pins no version of the tool yet. To see how: uv run lab.py")
    hidden = [name for name in (PROJECT_FILE, SCRIPT) if is_ignored(root, name)]
    if hidden:
        console.warn(f"git ignores {' and '.join(hidden)}: git add needs --force.")
    if (root / "data").is_dir() and not is_tracked(root, "data"):
        tell_if_not_ignored(console, root)
    shared = [
        name for name in what_is_ours(root) if name not in _THIS_CLONES and (root / name).is_file()
    ]
    console.say("Nothing was committed; only commits are sent to the machine.")
    here = Context(project=Project(root=root), console=console)
    if address:
        with console.part_of_more():
            write_entry(here, address, alias=alias, offline=True, yes=answers.yes)
        then = what_next(here, Known(is_sent=False))
    else:
        then = _after_init(context, root, is_new=True)
    left = _how_to_commit(shared, then, force=bool(hidden))
    console.next_step(what_next(here, Known(left=left)), with_uv=True)


def _how_to_commit(names: list[str], then: str, *, force: bool) -> str:
    """Return how to commit these of our files, and what to run then."""
    add = f"git add {'--force ' if force else ''}{' '.join(names)}"
    return f'{add}; git commit -m "Work on a machine"; then: {then}'


def _after_init(context: Context, root: Path, *, is_new: bool) -> str:
    """Return what to run next in a project whose machine was not asked."""
    here = Context(project=Project(root=root), console=context.console)
    has_way = here.machine().client.is_configured
    return what_next(here, Known(has_way=has_way, is_connected=not is_new, is_asked=False))


def _check_is_ours(root: Path) -> None:
    """Raise LabError for a lab.toml that is another program's, or that nobody can read."""
    tables = read_tables(root)
    if "format" not in tables.shared and not tables.table("remote"):
        raise _taken(PROJECT_FILE)


def _taken(name: str) -> LabError:
    """Return the error for a file in whose place lab needs one of its own."""
    return LabError(
        f"{name} already exists, but it is not the file that lab needs.",
        hint=f"Rename yours first: git mv {name} NEW-NAME",
    )


def _check(root: Path, text: str) -> None:
    """Raise UsageError for settings that no command could read: the folder's name can be any."""
    path = root / PROJECT_FILE
    try:
        read_settings(Tables(project=path, shared=parse_toml(text), local={}))
    except ConfigurationError as error:  # that file is not there yet
        why = error.message.removeprefix(f"{path}: ")
        raise UsageError(
            f"{PROJECT_FILE} cannot be made: {why}", hint="lab init --folder NAME"
        ) from None


def _wanted(root: Path, settings: str, *, console: Console, yes: bool) -> list[Change]:
    """Return the changes that the person agrees to; those that must be are in front.

    Raises LabError when these are not wanted, or a file of another kind is in their place.
    """
    version = this_version()
    texts = {PROJECT_FILE: settings, SCRIPT: proposed_files.script(version)}
    if version.commit is None and version.folder is not None:
        texts[LOCAL_FILE] = proposed_files.local_toml(version.folder)
    ours = what_is_ours(root)
    needed = [
        _new(root, name, text, ours.get(name))
        for name, text in texts.items()
        if read_bytes(root / name) != text.encode()
    ]
    for change in needed:
        # A new lab.py is long, and changes no text of the person's.
        if change.path.name == SCRIPT and change.before is None:
            console.say(f"New file: {SCRIPT}, which starts lab")
        else:
            console.diff(change.diff(shown(change.path, root)))
    names = ", ".join(change.path.name for change in needed)
    if needed and not console.confirm(f"Add {names}?", yes=yes):
        raise LabError("Nothing was changed.")
    return [*needed, *_ignored(root, console, yes=yes), *_offered(root, console, yes=yes)]


def _new(root: Path, name: str, text: str, ours: Written | None) -> Change:
    """Return the change that makes a file, or replaces one that `lab init` itself has written."""
    path = root / name
    before = read_bytes(path) if path.is_file() and not path.is_symlink() else None
    if os.path.lexists(path) and not (ours and ours.is_in(before)):
        raise _taken(name)
    return Change(path=path, before=before, after=text.encode())


def _ignored(root: Path, console: Console, *, yes: bool) -> list[Change]:
    """Return the change of .gitignore; where it is refused, of git's own file for this clone."""
    lines = proposed_files.missing_lines(root)
    if not lines:
        return []
    path = root / ".gitignore"
    if not path.is_symlink():  # git follows no such link
        change = _changed(path, lines)
        if _agreed(change, root, console, yes=yes):
            return [change]
    console.say("git will ignore these in this clone only (.git/info/exclude).")
    return [_changed(path_of(root, EXCLUDE), lines)]


def _changed(path: Path, lines: list[str]) -> Change:
    before = read_bytes(path)
    return Change(path=path, before=before, after=proposed_files.ignoring(before, lines))


def _offered(root: Path, console: Console, *, yes: bool) -> list[Change]:
    """Return the change of VS Code's settings, if it is agreed to."""
    path = root / SETTINGS
    is_own = path.resolve() == root.resolve() / SETTINGS
    try:
        after = proposed_files.vscode(path) if is_own else None
    except ConfigurationError as error:
        console.warn(f"{SETTINGS} was not changed: {error.message}")
        return []
    if after is None:
        return []
    change = Change(path=path, before=read_bytes(path), after=after)
    return [change] if _agreed(change, root, console, yes=yes) else []


def _agreed(change: Change, root: Path, console: Console, *, yes: bool) -> bool:
    name = shown(change.path, root)
    console.diff(change.diff(name))
    what = "Change" if change.before is not None else "Add"
    return console.confirm(f"{what} {name}?", yes=yes)


def remove(context: Context, *, yes: bool) -> None:
    """Run `lab init --remove`: take back what was added and has not changed since.

    Raises LabError when it is not known what was added.
    """
    console = context.console
    root = look().root
    check_links(root)
    written = read_record(root)
    if not written:
        raise LabError(
            "This clone does not know what `lab init` added: only the clone it was run in does.",
            hint="Remove the files yourself: git rm lab.toml lab.py",
        )
    changes, kept = [], []
    for name, one in written.items():
        path = path_of(root, name)
        now = read_bytes(path)
        if now is None or now == one.before:
            continue
        if not one.is_in(now) or path.is_symlink():
            kept.append(name)
            continue
        changes.append(Change(path=path, before=now, after=one.before))
    for change in changes:
        console.diff(change.diff(shown(change.path, root)))
    if not console.confirm("Undo this?", yes=yes):
        raise LabError("Nothing was changed.")
    try:
        forget(root, changes)
    except OSError as error:
        raise LabError(f"Nothing was changed: {error}.") from None
    for change in changes:
        if change.path.parent != root and not any(change.path.parent.iterdir()):
            change.path.parent.rmdir()
    _keep_ignored(root)
    console.say("Undone. Results, .lab, .venv and the SSH entry were kept.")
    if kept:
        console.say(f"You have changed these since, so they were kept: {', '.join(kept)}")
    left = "edit these files yourself" if kept else None
    console.next_step(what_next(context, Known(is_project=False, left=left)))


def _keep_ignored(root: Path) -> None:
    """Make git ignore what is left, in this clone, so that files once ignored never show."""
    patterns = proposed_files.IGNORED.values()
    there = [one for one in patterns if any(root.glob(one.removeprefix("/")))]
    lines = [one for one in there if one in proposed_files.missing_lines(root)]
    if lines:
        path = path_of(root, EXCLUDE)
        path.parent.mkdir(exist_ok=True)
        apply_changes([_changed(path, lines)])
