"""The code of the project's folder as one commit, and a commit as a folder, by git's own plumbing.

A run that starts later is to use the code as it was when it was asked for. Where everything is
committed that is `HEAD`; changes that are not, and new files that git does not ignore, get a commit
of their own, which no branch knows. Neither the folder, its index nor its branches change. Nothing
that the repository or the person has set up is run: no hook, and no filter of Git LFS, whose
content is taken from where it is on this disk.
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

__all__ = [
    "LARGEST",
    "OWN",
    "CodeError",
    "again",
    "base",
    "check_out",
    "has_repository",
    "ignored",
    "is_private",
    "snapshot",
    "untracked",
]

OWN = ("data", "outputs", ".lab", ".venv")
"""What is the project's, and in no checkout."""

_PATIENCE = 300  # seconds; a disk in the network may not answer
LARGEST = 10 * 2**20
"""Bytes of a new file that is taken along."""
_MOST = 50 * 2**20  # bytes of all of them
_LINK, _SUBMODULE = "120000", "160000"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n\Z"
)
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sparseCheckout=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "submodule.recurse=false",
    "filter.lfs.process=",
    "filter.lfs.smudge=",
    "filter.lfs.clean=",
    "filter.lfs.required=false",
    "gc.auto=0",
)


class CodeError(Exception):
    """Code that cannot be taken or written; the message is a sentence."""


def has_repository(project: Path) -> bool:
    """Return whether git knows the folder's code; a repository around it that does not is none.

    Raises CodeError when git fails.
    """
    git = _Git(project)
    if not git.is_there():
        return False
    if git.word("rev-parse", "--show-prefix") and not git.word("ls-files", "--", "lab.toml"):
        if (project / ".git").exists():
            raise CodeError("git cannot read the repository in the project's folder")
        return False
    return True


def snapshot(project: Path, apart: Sequence[str] = ()) -> Optional[Tuple[str, bool]]:
    """Return the commit that the folder is now, and whether that is more than `HEAD`.

    New files in the folders `apart`, those of [outputs], are no code. None where there is no git,
    or no repository. Raises CodeError when git fails.
    """
    if not has_repository(project):
        return None
    git = _Git(project)
    head = git.word("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    index = _scratch(project) / "index-{}".format(os.getpid())
    here = _Git(project, GIT_INDEX_FILE=str(index))
    try:
        current = project / git.word("rev-parse", "--git-dir") / "index"
        if current.exists():
            shutil.copyfile(str(current), str(index))
        here.run("add", "--update", "--", ".")
        new = _joined(_new_files(project, here, apart))
        here.run("update-index", "--add", "--remove", "-z", "--stdin", given=new)
        tree = here.word("write-tree")
    finally:
        _remove(index)
    if head and tree == git.word("rev-parse", head + "^{tree}"):
        return head, False
    return _commit(project, tree, head), True


def _commit(project: Path, tree: str, head: str) -> str:
    """Return a commit of these files that follows another one, if there is one.

    With the name and time of that one, the same code is the same commit.
    """
    git = _Git(project)
    when = int(git.word("show", "-s", "--format=%ct", head)) if head else 0
    # git takes a small number for something else.
    who = {"NAME": "lab", "EMAIL": "lab", "DATE": "{} +0000".format(max(when, 10**9))}
    named = {"GIT_{}_{}".format(part, key): value for key, value in who.items()
             for part in ("AUTHOR", "COMMITTER")}  # fmt: skip
    parents = ["-p", head] if head else []
    message = b"The folder as it was when a run was asked for\n"
    return _Git(project, **named).word("commit-tree", tree, *parents, given=message)


def again(project: Path, commit: str, patch: Optional[Path] = None) -> str:
    """Return the commit of code that was used before: `commit`, with a patch on top of it.

    Raises CodeError when the repository does not have it any more, or the patch does not fit.
    """
    git = _Git(project)
    if not git.is_there() or not git.word("rev-parse", "--quiet", "--verify", commit + "^{commit}"):
        raise CodeError("the machine's repository does not have its commit {}".format(commit[:12]))
    if patch is None:
        return commit
    index = _scratch(project) / "index-{}-again".format(os.getpid())
    here = _Git(project, GIT_INDEX_FILE=str(index))
    try:
        here.run("read-tree", commit)
        here.run("apply", "--cached", "--whitespace=nowarn", str(patch.resolve()))
        tree = here.word("write-tree")
    finally:
        _remove(index)
    return _commit(project, tree, commit)


def base(project: Path) -> str:
    """Return the person's last commit, nothing if there is none.

    What `lab push --dirty` has sent is a commit of ours, and follows it.
    """
    git = _Git(project)
    is_ours = git.word("symbolic-ref", "--quiet", "--short", "HEAD") == "lab-uncommitted"
    return git.word("rev-parse", "--quiet", "--verify", "HEAD^" if is_ours else "HEAD")


def check_out(project: Path, commit: str, folder: Path) -> List[str]:
    """Write the files of a commit into an empty folder; return their names, relative to it.

    Raises CodeError when git fails, and OSError.
    """
    index = _scratch(project) / "index-{}-{}".format(os.getpid(), folder.name)
    git = _Git(project, GIT_INDEX_FILE=str(index))
    try:
        git.run("read-tree", "{}:{}".format(commit, git.word("rev-parse", "--show-prefix")))
        owned = git.run("ls-files", "-z", "--", *OWN)
        git.run("update-index", "-z", "--force-remove", "--stdin", given=owned)
        entries = list(_entries(git))
        _Git(
            folder,
            GIT_INDEX_FILE=str(index),
            GIT_DIR=str((project / git.word("rev-parse", "--git-dir")).resolve()),
            GIT_WORK_TREE=str(folder),
        ).run("checkout-index", "--all", "--force", "--quiet")
    finally:
        _remove(index)
    for mode, name in entries:
        if mode == _SUBMODULE:
            _copy_submodule(project / name, folder / name)
        elif mode == _LINK:
            _mend_link(project, folder, name)
    names = [name for mode, name in entries if mode != _SUBMODULE]
    _bring_content(project, folder, names)
    return names


class _Git:
    """git in one folder, without settings from start-up files."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        self._variables = {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **variables}

    def is_there(self) -> bool:
        """Return whether there is a git, and a repository that it reads."""
        try:
            return bool(self.word("rev-parse", "--git-dir"))
        except CodeError:
            if shutil.which("git") is None or not (self._folder / ".git").exists():
                return False
            raise

    def word(self, *arguments: str, given: bytes = b"") -> str:
        """Return the line that git prints, nothing where it finds nothing."""
        return os.fsdecode(self.run(*arguments, given=given, codes=(0, 1))).rstrip("\n")

    def run(self, *arguments: str, given: bytes = b"", codes: Sequence[int] = (0,)) -> bytes:
        """Run git and return what it prints. Raises CodeError when it fails."""
        command = ["git"]
        for setting in _SETTINGS:
            command += ["-c", setting]
        try:
            done = subprocess.run(
                [*command, *arguments],
                cwd=str(self._folder),
                env=self._variables,
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=_PATIENCE,
            )
        except FileNotFoundError:
            raise CodeError("there is no git") from None
        except subprocess.TimeoutExpired:
            raise CodeError("git {} does not finish".format(arguments[0])) from None
        if done.returncode not in codes:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise CodeError(said[-1] if said else "git {} fails".format(arguments[0]))
        return done.stdout


def ignored(project: Path) -> List[str]:
    """Return the files that git ignores, and the folders of which it ignores all."""
    options = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    return _listed(project, *options)


def untracked(project: Path) -> List[str]:
    """Return the files that git neither knows nor ignores, and the repositories among them."""
    return _listed(project, "--others", "--exclude-standard", "-z")


def _listed(project: Path, *options: str) -> List[str]:
    found = _Git(project).run("ls-files", *options, "--", ".").split(b"\0")
    return [os.fsdecode(name) for name in found if name]


def is_private(name: str) -> bool:
    """Return whether a file is one of the `.env` files, which hold keys and passwords."""
    return os.path.basename(name).split(".")[:2] == ["", "env"]


def _scratch(project: Path) -> Path:
    folder = project / ".lab" / "code"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove(index: Path) -> None:
    for path in (index, index.with_name(index.name + ".lock")):
        with suppress(FileNotFoundError):
            path.unlink()


def _new_files(project: Path, git: _Git, apart: Sequence[str]) -> List[bytes]:
    """Return the files that git neither knows nor ignores, the smallest first, up to a limit."""
    found = git.run("ls-files", "--others", "--exclude-standard", "-z", "--", ".").split(b"\0")
    others = tuple(os.fsencode(os.path.join(os.path.normpath(one), "")) for one in apart)
    sizes: Dict[bytes, int] = {}
    for name in found:
        path = os.path.join(os.fsencode(str(project)), name)
        is_own = os.fsdecode(name.partition(b"/")[0]) in OWN
        is_code = not is_own and not is_private(os.fsdecode(name)) and not name.startswith(others)
        if not name or name.endswith(b"/") or not is_code:
            continue
        with suppress(OSError):  # gone meanwhile
            if os.path.islink(path) or os.access(path, os.R_OK):
                sizes[name] = os.lstat(path).st_size
    taken, total = [], 0
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        total += size
        if size > LARGEST or total > _MOST:
            break
        taken.append(name)
    return taken


def _joined(names: Sequence[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


def _entries(git: _Git) -> Iterator[Tuple[str, str]]:
    """Yield mode and name of what is in the index."""
    for entry in git.run("ls-files", "--stage", "-z").split(b"\0"):
        described, tab, name = entry.partition(b"\t")
        if tab:
            yield described.decode().split(" ")[0], os.fsdecode(name)


def _copy_submodule(source: Path, target: Path) -> None:
    """Copy a submodule as its folder is: its files are not in this repository."""
    target.mkdir(parents=True, exist_ok=True)
    if not (source / ".git").exists():
        return
    listed = _Git(source).run("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        path = source / name
        if path.is_dir() and not path.is_symlink():
            _copy_submodule(path, target / name)
        elif path.is_symlink() or path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(path), str(target / name), follow_symlinks=False)


def _mend_link(project: Path, folder: Path, name: str) -> None:
    """Rewrite a link that leads out of the project, to lead to the same place from the checkout."""
    path = folder / name
    leads_to = os.readlink(str(path))
    inside = os.path.normpath(os.path.join(os.path.dirname(name), leads_to))
    if not os.path.isabs(leads_to) and inside.split(os.sep)[0] == os.pardir:
        path.unlink()
        path.symlink_to(os.path.normpath(str(project / inside)))


def _bring_content(project: Path, folder: Path, names: Sequence[str]) -> None:
    """Put the content of Git LFS in the place of its pointers, where this disk has it."""
    rules = [folder / name for name in names if os.path.basename(name) == ".gitattributes"]
    if not any(path.is_file() and b"filter=lfs" in path.read_bytes() for path in rules):
        return
    git = _Git(project)
    store = project / (git.word("rev-parse", "--git-common-dir") or ".git") / "lfs" / "objects"
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 1024:
            continue
        found = _POINTER.match(path.read_bytes())
        if found is None:
            continue
        oid, size = found.group(1).decode(), int(found.group(2))
        for source in (store / oid[:2] / oid[2:4] / oid, project / name):
            if source.is_file() and source.stat().st_size == size:
                mode = path.stat().st_mode
                shutil.copyfile(str(source), str(path))
                path.chmod(mode)
                break
