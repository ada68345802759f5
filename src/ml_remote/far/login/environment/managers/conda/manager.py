"""Making and changing environments with conda, mamba or micromamba.

Everything is made beside what is there: the packages are hard links to the cache, so that a second
environment costs seconds and little room.
"""

import os
import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from ...commands import answer, run
from ...environments import Environments, interpreter_of, remove
from ...failures import Failure, ManagerError
from ...inside import Inventory
from ...lists import Lists
from ...output import say
from ..base import Manager, Work
from ..installing import is_installable, refuse_other_target
from .comparing import fits, missing_or_other
from .errors import ClientInfo, explain, is_about_versions
from .finding import Found, find_client
from .output import Shown
from .packages import damaged_folders, incomplete_packages, needless, packages_of, remove_damaged
from .requirements import (
    CondaLock,
    Requirements,
    lock_name,
    read_lock,
    read_requirements,
    write_list,
    write_lock,
)
from .torch_build import card_of, check_build, cuda_variables, propose_card, wants_card

__all__ = ["Conda", "Mamba", "Micromamba"]

_ATTEMPTS = 4
_NOT_BY_PIP = Path(__file__).resolve().parents[2] / "probes" / "not_by_pip.py"
_OWN_CACHE = ".lab/cache"
_RACE = re.compile(r"InvalidArchiveError|ChecksumMismatchError|incorrect size|No such file or dir")
_LOCK_REFUSED = re.compile(r"\b404\b|PackagesNotFound|[Cc]hecksum|not found")


class Conda(Manager):
    """The program `conda`."""

    name = "conda"
    verb = "create"
    own: Sequence[str] = ("--no-default-packages",)
    """Options that only this client has: else a person's `create_default_packages` come in."""
    pins = ("CONDA_PINNED_PACKAGES", "&")
    """The variable that lists the versions to keep, and what is between two of them."""

    def __init__(self, program: str, root: str = "") -> None:
        super().__init__(program)
        self._root = root
        self._own_cache = ""

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return it if its program is on this machine, wherever people have it."""
        found: Optional[Found] = find_client(cls.name, hint)
        return cls(found.program, found.root) if found else None

    def make(self, work: Work) -> None:
        """Make the environment from the lock or the list, then install the project in it."""
        wanted = read_requirements(work.lists.environment_yml)
        _tell_python(work, wanted)
        present = Environments(work.root, work.settings.folder).current
        before = card_of(present)
        variables = cuda_variables(work.torch, before)
        if not self._made_from_lock(work, wanted, variables):
            self._solve(work, wanted, variables, present)
        after = card_of(work.prefix)
        check_build(work.torch, before, after)
        propose_card(work.root, work.torch, after)
        self._finish(work, wanted)
        write_lock(
            work.root / ".lab" / lock_name(),
            packages_of(work.prefix),
            digest=wanted.digest,
            card=after or "",
        )

    def change(self, work: Work) -> None:
        """Update it in place: its folder is a mount, or links are not supported."""
        wanted = read_requirements(work.lists.environment_yml)
        _tell_python(work, wanted)
        before = card_of(work.prefix)
        variables = cuda_variables(work.torch, before)
        self._change(work, wanted, variables)
        check_build(work.torch, before, card_of(work.prefix))
        self._finish(work, wanted)

    def wanted(self, work: Work, found: Inventory) -> List[str]:
        """Return the section `pip:`; the client itself removes what left the other sections."""
        return read_requirements(work.lists.environment_yml).pip

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what its words mean."""
        return explain(error, work, ClientInfo(self.name, self.program, self._cache(work)))

    def _change(self, work: Work, wanted: Requirements, card: Dict[str, str]) -> None:
        listed = work.root / ".lab" / "environment-in-place.yml"
        write_list(listed, wanted)
        words = ["env", "update", "--prefix", str(work.prefix), "--file", str(listed), "--prune"]
        pins = self._pins(work, card, work.prefix)
        try:
            self._cured(work, words, dict(card, **pins), is_new=False)
        except ManagerError as error:
            if not pins or not is_about_versions(error):
                raise
            self._cured(work, words, card, is_new=False)
        finally:
            listed.unlink()

    @classmethod
    def problems(
        cls, prefix: Path, lists: Lists, found: Inventory, before: Mapping[str, str]
    ) -> List[str]:
        """Return what is missing of environment.yml; requirements.lock does not count."""
        return missing_or_other(prefix, lists.environment_yml, found, before)

    def _made_from_lock(self, work: Work, wanted: Requirements, card: Dict[str, str]) -> bool:
        """Make the environment from the lock, if there is one for this list and kind of card."""
        lock = _lock_of(work)
        if lock is None:
            return False
        if not _fits(lock, card):
            kind = "with a card" if lock.card else "without a card"
            say("{} is for machines {}; versions are chosen again.".format(lock.path.name, kind))
            return False
        if lock.digest != wanted.digest:
            return False
        say("Versions come from {}.".format(lock.path.name))
        words = [*self._making(work), "--file", str(lock.path)]
        try:
            self._cured(work, words, card)
        except ManagerError as error:
            if not _LOCK_REFUSED.search(error.text):
                raise
            say("{} can no longer be used; {} solves again.".format(lock.path.name, self.name))
            remove(work.prefix)
            return False
        return True

    def _solve(
        self, work: Work, wanted: Requirements, card: Dict[str, str], present: Optional[Path]
    ) -> None:
        """Make the client choose versions: those of the lock, or installed ones, if they fit."""
        words = [*self._making(work), *wanted.options, *wanted.specs]
        pins = self._pins(work, card, present)
        try:
            self._cured(work, words, dict(card, **pins))
        except ManagerError as error:
            if not pins or not is_about_versions(error):
                raise
            remove(work.prefix)
            say("There is no solution with the installed versions; trying others.")
            self._cured(work, words, card)

    def _making(self, work: Work) -> List[str]:
        return [self.verb, "--yes", "--prefix", str(work.prefix), *self.own]

    def _pins(self, work: Work, card: Dict[str, str], present: Optional[Path]) -> Dict[str, str]:
        """Return the variable that keeps the versions that are known; empty if there are none."""
        if _wants_newest():
            return {}
        lock = _lock_of(work)
        if lock is not None and _fits(lock, card):
            known = lock.packages
        elif present is not None and bool(card_of(present)) == wants_card(card):
            known = [(one.name, one.version, one.build) for one in packages_of(present)]
        else:
            return {}
        variable, between = self.pins
        return {variable: between.join("=".join(package) for package in known)} if known else {}

    def _cured(
        self, work: Work, words: Sequence[str], card: Dict[str, str], *, is_new: bool = True
    ) -> None:
        """Run the client; damaged packages are removed from its cache, and it is tried again."""
        removed: List[str] = []
        for attempt in range(_ATTEMPTS):
            try:
                self._call(work, words, card)
            except ManagerError as error:
                named = damaged_folders(error.text)
                is_race = attempt == 0 and _RACE.search(error.text) and not _is_full(error.text)
                if attempt == _ATTEMPTS - 1 or not (named or is_race):
                    raise
            else:
                named = [one.folder for one in incomplete_packages(work.prefix) if one.folder]
                if not named:
                    return
            removed += self._cure(work, named)
            if is_new:
                remove(work.prefix)
        raise Failure(
            "{} keeps installing incomplete files.".format(self.name),
            "Its package cache may be on a failing disk: {}".format(self._cache(work)),
        )

    def _cure(self, work: Work, folders: Sequence[str]) -> List[str]:
        """Remove damaged packages from the cache; one that is not ours is no longer used."""
        if not folders:
            return []
        removed = remove_damaged(folders)
        names = ", ".join(os.path.basename(folder) for folder in removed)
        if removed:
            say(
                "An earlier run was killed while unpacking. Removed from the package cache and "
                "unpacked again: {}".format(names)
            )
        if len(removed) < len(folders):
            self._own_cache = work.settings.cache or _OWN_CACHE
            say(
                "A package in {} is damaged and cannot be removed. Using a cache in {} "
                "instead.".format(os.path.dirname(folders[0]), self._own_cache)
            )
        return removed

    def _call(self, work: Work, words: Sequence[str], card: Dict[str, str]) -> None:
        variables = {
            # Otherwise a library that is cut short is only warned of.
            "CONDA_SAFETY_CHECKS": "enabled",
            "PYTHONNOUSERSITE": "1",
            **card,
        }
        if self._root:
            variables["MAMBA_ROOT_PREFIX"] = self._root
        cache = self._own_cache or work.settings.cache
        if cache:
            variables["CONDA_PKGS_DIRS"] = str(self._cache(work))
        shown = Shown()
        try:
            run([self.program, *words], folder=work.root, variables=variables, on_line=shown)
        except ManagerError as error:
            # What names the damaged packages may be longer than what is kept.
            text = "\n".join([*shown.damage, error.text]) if shown.damage else error.text
            raise ManagerError(error.command, error.code, text)

    def _cache(self, work: Work) -> Path:
        """Return where the client keeps its packages."""
        own = self._own_cache or work.settings.cache
        if own:
            return work.root / os.path.expanduser(own) / "conda"
        named = os.environ.get("CONDA_PKGS_DIRS", "").replace(",", os.pathsep).split(os.pathsep)[0]
        if named:
            return Path(os.path.expanduser(named))
        base = Path(os.path.realpath(self.program)).parent.parent
        beside = base / "pkgs"
        return beside if os.access(str(beside), os.W_OK) else Path.home() / ".conda" / "pkgs"

    def _finish(self, work: Work, wanted: Requirements) -> None:
        """Install what only PyPI has, and the project; conda's packages stay as they are."""
        python = str(interpreter_of(work.prefix))
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
        variables = {"PYTHONNOUSERSITE": "1"}
        refuse_other_target(python, variables)
        if wanted.pip:
            kept = answer([python, "-B", str(_NOT_BY_PIP)], variables=variables)
            constraints = work.prefix / "conda-meta" / "constraints.txt"
            constraints.write_text(kept or "", encoding="utf-8")
            command = [*pip, "--constraint", str(constraints), *_pip_words(wanted.pip)]
            run(command, folder=work.root, variables=variables)
        if not is_installable(work.root):
            return
        # The lists of the template have what builds its projects; others may not have it.
        is_ours = (work.root / "scripts" / "setup-environment.sh").is_file()
        alone = ["--no-build-isolation"] if is_ours else []
        command = [*pip, "--no-deps", *alone, "--editable", "."]
        run(command, folder=work.root, variables=variables)


class Mamba(Conda):
    """The program `mamba`."""

    name = "mamba"
    own = ()
    pins = ("MAMBA_PINNED_PACKAGES", ",")

    def make(self, work: Work) -> None:
        """Make the environment; mamba refuses a folder that is there, even an empty one."""
        if work.prefix.is_dir() and not any(work.prefix.iterdir()):
            try:
                work.prefix.rmdir()
            except OSError:  # a mount
                (work.prefix / "conda-meta").mkdir()
                (work.prefix / "conda-meta" / "history").touch()
                self.verb = "install"
        super().make(work)

    def _change(self, work: Work, wanted: Requirements, card: Dict[str, str]) -> None:
        """Remove what nothing on the list needs, and install the rest.

        `env update --prune` of mamba 2.0 finds no solution where a package has left the list, and
        none of its commands installs an older version: then all but Python is removed before.
        """
        self._remove(work, wanted.specs, card)
        install = ["install", "--yes", "--prefix", str(work.prefix)]
        install += [*wanted.options, *wanted.specs]
        try:
            self._cured(work, install, card, is_new=False)
        except ManagerError as error:
            if not is_about_versions(error):
                raise
            self._remove(work, ["python", "pip"], card)
            self._cured(work, install, card, is_new=False)

    def _remove(self, work: Work, kept: Sequence[str], card: Dict[str, str]) -> None:
        names = needless(packages_of(work.prefix), kept)
        if names:
            self._call(work, ["remove", "--yes", "--prefix", str(work.prefix), *names], card)


class Micromamba(Mamba):
    """The program `micromamba`: mamba, as one file."""

    name = "micromamba"


def _tell_python(work: Work, wanted: Requirements) -> None:
    """Warn that conda takes Python from its own list, if lab.toml names another version."""
    settings = work.settings
    for spec in wanted.specs:
        if not settings.named_python or not re.match(r"python(?:[ <>=!~]|$)", spec):
            continue
        if not fits(settings.python, spec[len("python") :]):
            say(
                "environment.yml asks for {}, which conda uses;"
                ' python = "{}" in lab.toml is ignored.'.format(spec, settings.python)
            )


def _lock_of(work: Work) -> Optional[CondaLock]:
    """Return the lock that counts: the one handed over or committed, else this machine's last."""
    if _wants_newest():
        return None
    name = lock_name()
    for folder in (work.lists.folder, work.root, work.root / ".lab"):
        lock = read_lock(folder / name)
        if lock is not None:
            return lock
    return None


def _wants_newest() -> bool:
    """Return whether `lab lock --upgrade` has asked: then no version that is known counts."""
    return os.environ.get("LAB_UPGRADE") == "1"


def _fits(lock: CondaLock, card: Dict[str, str]) -> bool:
    """Return whether a lock is for this kind of card."""
    return bool(lock.card) == wants_card(card)


def _is_full(text: str) -> bool:
    return "No space left" in text or "rrno 28" in text


def _pip_words(lines: Sequence[str]) -> List[str]:
    """Return pip's words for the lines of the `pip:` section, options such as `-r FILE` too."""
    words: List[str] = []
    for line in lines:
        words += line.split(None, 1) if line.startswith("-") else [line]
    return words
