"""`lab add`, `lab remove`, `lab lock`: both lists and the lock change together, or not at all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from .context import Context
from .environment import setup
from .errors import LabError, UsageError
from .next_steps import Known, what_next
from .package_lists import environment_yml, pyproject
from .package_lists.conda_names import conda_name
from .package_lists.lock import LOCK, differences, versions
from .package_lists.requirements import has_login, name_of, parse, parse_name
from .package_lists.sources import refuse_to_change
from .package_lists.texts import LISTS, Texts, commit_line, locked, read_texts, write_texts
from .transfer.local_repository import git
from .ui.console import Console

__all__ = ["add", "remove", "renew"]


def add(
    context: Context, words: Sequence[str], *, alias: str | None = None, local: bool = False
) -> None:
    """Run `lab add`: write packages into both lists, lock them, and install them.

    Raises LabError, in words, when there are no versions that fit; nothing is changed then.
    """
    root, console = context.project.root, context.console
    refuse_to_change(root, "add")
    before = read_texts(root)
    asked = [parse(word) for word in words]
    new = [one for one in asked if _is_new(one, before)]
    for one in asked:
        if one not in new:
            console.say(f"{one.name} is already in the lists{_conditions(before, one)}.")
    if not new:
        known = Known(has_environment=False, is_local=local)  # it may not be installed
        console.next_step(what_next(context, known, after="lab add"))
        return
    text = before.pyproject
    for one in new:
        text = pyproject.with_requirement(text, one)
        if has_login(one):
            console.warn(
                f"The address of {one.name} has a name, password or token in it, which everyone "
                "who has the project will see. If it is secret, change the address in the lists "
                "before you commit them."
            )
    lock = locked(root, text, before.lock, console)
    environment = before.environment
    for one in new:
        if not _entries(before.pyproject, one):
            text = pyproject.with_requirement(text, _with_bound(one, lock))
        if environment:
            environment = _with_conda(environment, _entries(text, one), console)
    write_texts(root, before, Texts(pyproject=text, environment=environment, lock=lock))
    lines = dict.fromkeys(str(entry) for one in new for entry in _entries(text, one))
    console.say(f"Added {', '.join(lines)} to {_names(root)}.")
    _say_differences(console, before.lock, lock)
    _install(context, alias=alias, local=local)
    names = [one.name for one in new]
    console.next_step(_then_commit(context, f"Add {' '.join(names)}", local=local))


def remove(
    context: Context, words: Sequence[str], *, alias: str | None = None, local: bool = False
) -> None:
    """Run `lab remove`: take packages out of both lists and the environment.

    Raises UsageError for what is not in the lists; nothing is changed then.
    """
    root, console = context.project.root, context.console
    refuse_to_change(root, "remove")
    before = read_texts(root)
    listed = {name_of(line) for line in before.wanted}
    names = []
    for word in words:
        name = "" if "/" in word else parse_name(word)
        if name not in listed:
            raise _not_listed(context, word)
        names.append(name)
    text, environment = before.pyproject, before.environment
    for name in names:
        text = pyproject.without(text, name)
        if environment:
            known = _known_to_conda(name, console) or name
            environment = environment_yml.without(environment, name, known)
    lock = locked(root, text, before.lock, console)
    write_texts(root, before, Texts(pyproject=text, environment=environment, lock=lock))
    console.say(f"Removed {', '.join(names)} from {_names(root)}.")
    _say_differences(console, before.lock, lock)
    _install(context, alias=alias, local=local)
    console.next_step(_then_commit(context, f"Remove {' '.join(names)}", local=local))


def renew(
    context: Context, *, upgrade: bool = False, alias: str | None = None, local: bool = False
) -> None:
    """Run `lab lock`: update the lock to the lists, with `upgrade` to the newest versions.

    An upgrade is installed, too. Raises LabError when no versions fit together.
    """
    root, console = context.project.root, context.console
    refuse_to_change(root, "lock")
    before = read_texts(root)
    lock = locked(root, before.pyproject, before.lock, console, upgrade=upgrade)
    has_conda = upgrade and any(root.glob("conda-*.lock"))
    if lock == before.lock:
        console.say(f"{LOCK} is up to date: {len(versions(lock))} packages.")
        if has_conda:  # conda has versions of its own
            _install(context, alias=alias, local=local, upgrade=True)
        console.next_step(
            what_next(context, Known(is_local=local, is_asked=local), after="lab lock")
        )
        return
    write_texts(root, before, replace(before, lock=lock))
    console.say(f"Wrote {LOCK}: {len(versions(lock))} packages.")
    if before.lock:
        _say_differences(console, before.lock, lock)
    if upgrade:
        _install(context, alias=alias, local=local, upgrade=True)
    message = "Upgrade packages" if upgrade else "Lock packages"
    console.next_step(_then_commit(context, message, local=local))


def _then_commit(context: Context, message: str, *, local: bool) -> str:
    """Return what to run next: what keeps the lists in git, where the project is in one."""
    root = context.project.root
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    left = commit_line(message, _changed(root)) if in_git else None
    return what_next(context, Known(left=left, is_local=local))


def _changed(root: Path) -> list[str]:
    """Return which of the lists and the lock git does not have as they are; all if it cannot say.

    One that was edited by hand belongs to what was locked.
    """
    names = [name for name in (*LISTS, LOCK) if (root / name).is_file()]
    status = git(root, "status", "--porcelain", "-z", "--", *names, check=False).stdout
    found = {line[3:].rpartition("/")[2] for line in status.split("\0")}
    return [name for name in names if name in found] or names


def _with_bound(requirement: Requirement, lock: str) -> Requirement:
    """Return the requirement with the version in the lock as its lower bound, if it has no bounds.

    The bound has two numbers only, for conda-forge may not have the latest patch yet.
    """
    found = versions(lock).get(_name(requirement), [])
    if requirement.specifier or requirement.url or not found:
        return requirement
    lowest = min(map(Version, found))
    bounded = Requirement(str(requirement))
    bounded.specifier &= SpecifierSet(f">={lowest.major}.{lowest.minor}")
    return bounded


def _is_new(requirement: Requirement, texts: Texts) -> bool:
    """Return whether the lists do not have what is asked for; bounds are always taken anew."""
    if requirement.specifier or requirement.url or not _entries(texts.pyproject, requirement):
        return True
    return pyproject.with_requirement(texts.pyproject, requirement) != texts.pyproject


def _conditions(texts: Texts, requirement: Requirement) -> str:
    """Return how a package is listed, where that depends on the system or the Python."""
    entries = _entries(texts.pyproject, requirement)
    return f" as {', '.join(map(str, entries))}" if any(one.marker for one in entries) else ""


def _entries(text: str, requirement: Requirement) -> list[Requirement]:
    """Return what a list has of a package."""
    lines = dict.fromkeys(pyproject.requirements(text))
    return [Requirement(line) for line in lines if name_of(line) == _name(requirement)]


def _with_conda(text: str, entries: Sequence[Requirement], console: Console) -> str:
    """Return environment.yml with a package, in its pip section if conda-forge may not have it."""
    pip_name = _name(entries[0])
    plain = next((one for one in entries if not one.marker and not one.url), None)
    name = _known_to_conda(pip_name, console) if plain else None
    others = environment_yml.without(text, None, name or pip_name)
    if plain and name and (others != text or not plain.extras):
        text = environment_yml.with_package(text, name, str(plain.specifier))
        if entries == [plain] and not plain.extras:
            return environment_yml.without(text, pip_name, None)
    else:
        text = others
    return environment_yml.with_pip_requirement(text, *map(str, entries))


def _known_to_conda(name: str, console: Console) -> str | None:
    """Return the name on conda-forge; None, after a warning, if it cannot be looked up."""
    try:
        return conda_name(name)
    except LabError as error:
        console.warn(f"{error.message} conda installs {name} by pip.")
        return None


def _name(requirement: Requirement) -> str:
    return str(canonicalize_name(requirement.name))


def _install(context: Context, *, alias: str | None, local: bool, upgrade: bool = False) -> None:
    """Update the environment. If that fails, the lists stay changed."""
    try:
        with context.console.part_of_more():
            setup(context, alias=alias, local=local, upgrade=upgrade)
    except LabError as error:
        error.args = (f"The lists were changed, but not the environment. {error.message}",)
        error.message = str(error)
        raise


def _say_differences(console: Console, before: str, after: str) -> None:
    for line in differences(before, after) if before else ():
        console.say(line)


def _names(root: Path) -> str:
    there = [name for name in LISTS if (root / name).is_file()]
    return " and ".join(there)


def _not_listed(context: Context, word: str) -> UsageError:
    """Return the error for a word that is no package of the lists, but perhaps something else."""
    project = context.project
    lab = word if word.endswith(".py") else f"labs/{word}.py"
    if (project.root / lab).is_file():
        return UsageError(f"{word} is a lab, not a package.", hint=f"git rm {shlex.quote(lab)}")
    if any(path.is_dir() for path in project.outputs.glob(f"*/{Path(word).name}")):
        return UsageError(
            f"{word} is a run, not a package.",
            hint=f"lab runs --remove {shlex.quote(Path(word).name)}",
        )
    return UsageError(f"{word} is not in pyproject.toml.", hint="See pyproject.toml, [project]")
