"""`lab init`: writing the files, and removing them again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..context import Context
from ..errors import ConfigurationError, LabError, UsageError
from ..files import Change, apply_changes, read_bytes
from ..login.entries import write_entry
from ..next_steps import Known, what_next
from ..package_lists.sources import how_to_list
from ..parsing import parse_json, parse_toml
from ..project import Project, current_folder
from ..settings import read_settings
from ..state import check_links, make_state
from ..tables import LOCAL_FILE, PROJECT_FILE, Tables, read_tables
from ..transfer.uncommitted import tell_if_not_ignored
from ..ui.console import Console
from ..version import this_version
from . import proposed_files
from .questions import Answers, ask_machine, ask_package
from .repository import git_path, is_ignored, is_tracked, look

__all__ = ["init", "remove"]

_SCRIPT = "lab.py"
_SETTINGS = ".vscode/settings.json"
_RECORD = ".lab/init.json"
_EXCLUDE = "info/exclude"
"""git's own file for this clone, by its name in git's folder."""
_THIS_CLONES = (LOCAL_FILE, "exclude")
_FILES = (PROJECT_FILE, _SCRIPT, LOCAL_FILE, ".gitignore", _SETTINGS, _EXCLUDE)
"""What is ever written, as the record names it."""


def init(context: Context, answers: Answers) -> None:
    """Run `lab init`. Raises LabError; nothing is changed then."""
    console = context.console
    found = look()
    root = found.root
    check_links(root)
    if root != current_folder():
        console.note(f"The repository is {root}.")
    if (root / PROJECT_FILE).exists():
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
        _write(root, changes)
    except OSError as error:  # a folder in the place of a file, or a file in that of a folder
        why = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        raise LabError(f"Nothing was written: {why}.", hint="Fix that, then: lab init") from None
    for change in changes:
        console.say(f"Written: {_name(change.path, root)}")
    if this_version().commit is None:
        console.warn("lab.py pins no version of the tool yet. To see how: uv run lab.py")
    hidden = [name for name in (PROJECT_FILE, _SCRIPT) if is_ignored(root, name)]
    if hidden:
        console.warn(f"git ignores {' and '.join(hidden)}: add them with git add --force.")
    if (root / "data").is_dir() and not is_tracked(root, "data"):
        tell_if_not_ignored(console, root)
    shared = [_name(one.path, root) for one in changes if one.path.name not in _THIS_CLONES]
    console.say(f"Nothing was committed. To do that: git add {' '.join(shared)}; git commit")
    if not address:
        console.next_step(_after_init(context, root, is_new=True), with_uv=True)
        return
    here = Context(project=Project(root=root), console=console)
    with console.part_of_more():
        write_entry(here, address, alias=alias, offline=True, yes=answers.yes)
    console.next_step(what_next(here, Known(is_sent=False)), with_uv=True)


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
    texts = {PROJECT_FILE: settings, _SCRIPT: proposed_files.script(version)}
    if version.commit is None and version.folder is not None:
        texts[LOCAL_FILE] = proposed_files.local_toml(version.folder)
    needed = [
        _new(root, name, text)
        for name, text in texts.items()
        if read_bytes(root / name) != text.encode()
    ]
    for change in needed:
        if change.path.name == _SCRIPT:  # long, and no change to a text of the person's
            console.say(f"New file: {_SCRIPT}, which starts lab")
        else:
            console.diff(change.diff(_name(change.path, root)))
    names = ", ".join(change.path.name for change in needed)
    if not console.confirm(f"Add {names}?", yes=yes):
        raise LabError("Nothing was changed.")
    return [*needed, *_ignored(root, console, yes=yes), *_offered(root, console, yes=yes)]


def _new(root: Path, name: str, text: str) -> Change:
    path = root / name
    if path.exists() or path.is_symlink():
        raise _taken(name)
    return Change(path=path, before=None, after=text.encode())


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
    return [_changed(_path(root, _EXCLUDE), lines)]


def _changed(path: Path, lines: list[str]) -> Change:
    before = read_bytes(path)
    return Change(path=path, before=before, after=proposed_files.ignoring(before, lines))


def _offered(root: Path, console: Console, *, yes: bool) -> list[Change]:
    """Return the change of VS Code's settings, if it is agreed to."""
    path = root / _SETTINGS
    is_own = path.resolve() == root.resolve() / _SETTINGS
    try:
        after = proposed_files.vscode(path) if is_own else None
    except ConfigurationError as error:
        console.warn(f"{_SETTINGS} was not changed: {error.message}")
        return []
    if after is None:
        return []
    change = Change(path=path, before=read_bytes(path), after=after)
    return [change] if _agreed(change, root, console, yes=yes) else []


def _agreed(change: Change, root: Path, console: Console, *, yes: bool) -> bool:
    name = _name(change.path, root)
    console.diff(change.diff(name))
    what = "Change" if change.before is not None else "Add"
    return console.confirm(f"{what} {name}?", yes=yes)


def _write(root: Path, changes: list[Change]) -> None:
    """Write everything or nothing, and what each file was before. Raises OSError."""
    record = root / _RECORD
    kept = {
        next(name for name in _FILES if _path(root, name) == change.path): {
            "before": None if change.before is None else change.before.decode("latin-1"),
            "after": _digest(change.after or b""),
        }
        for change in changes
    }
    new = json.dumps(kept, indent=1).encode()
    make_state(record.parent)
    for folder in {change.path.parent for change in changes}:
        folder.mkdir(parents=True, exist_ok=True)
    apply_changes([*changes, Change(path=record, before=read_bytes(record), after=new)])


def remove(context: Context, *, yes: bool) -> None:
    """Run `lab init --remove`: take back what was added and has not changed since.

    Raises LabError when it is not known what was added.
    """
    console = context.console
    root = look().root
    check_links(root)
    text = read_bytes(root / _RECORD)
    if text is None:
        raise LabError(
            "This clone does not know what `lab init` added: only the clone it was run in does.",
            hint="Remove the files yourself: git rm lab.toml lab.py",
        )
    changes, kept = [], []
    for name, before, after in _recorded(text):
        path = _path(root, name)
        now = read_bytes(path)
        if now is None or now == before:
            continue
        if _digest(now) != after or path.is_symlink():
            kept.append(name)
            continue
        changes.append(Change(path=path, before=now, after=before))
    for change in changes:
        console.diff(change.diff(_name(change.path, root)))
    if not console.confirm("Undo this?", yes=yes):
        raise LabError("Nothing was changed.")
    try:
        apply_changes([*changes, Change(path=root / _RECORD, before=text, after=None)])
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


def _recorded(text: bytes) -> list[tuple[str, bytes | None, str]]:
    """Return what `lab init` wrote: names, what was there before, and a hash of what it wrote.

    Raises LabError for a record that it has not written: a clone may bring one.
    """
    try:
        found = [
            (name, _bytes(values["before"]), str(values["after"]))
            for name, values in parse_json(text).items()
        ]
    except (ValueError, AttributeError, KeyError, TypeError):
        found = []
    if not found or any(name not in _FILES for name, _, _ in found):
        raise LabError(
            f"{_RECORD} is not what `lab init` wrote, so nothing was changed.",
            hint="Remove the files yourself: git rm lab.toml lab.py",
        )
    return found


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


def _keep_ignored(root: Path) -> None:
    """Make git ignore what is left, in this clone, so that files once ignored never show."""
    patterns = proposed_files.IGNORED.values()
    there = [one for one in patterns if any(root.glob(one.removeprefix("/")))]
    lines = [one for one in there if one in proposed_files.missing_lines(root)]
    if lines:
        path = _path(root, _EXCLUDE)
        path.parent.mkdir(exist_ok=True)
        apply_changes([_changed(path, lines)])


def _path(root: Path, name: str) -> Path:
    """Return where a file that is ever written is."""
    if name == _EXCLUDE:
        return git_path(root, name)
    return root / name


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
