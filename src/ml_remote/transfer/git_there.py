"""The repository on the machine: making it, reading it, and mending an interrupted update.

The working tree there is brought up to date by git itself when a push comes in
(receive.denyCurrentBranch updateInstead), which it refuses while there is uncommitted work. When
that is interrupted, by a full disk for instance, files of the old and of the new state lie side by
side and would look like somebody's work for ever. So the commit that is about to come is noted
beforehand, and a file that is on its way from the old state to the noted one is put back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import RemoteCommandError
from ..machine import Machine
from ..processes import Result

__all__ = ["UNCOMMITTED", "RemoteRepository", "check_out", "prepare", "read"]

UNCOMMITTED = "lab-uncommitted"
"""The branch there that holds work which was sent without being committed."""

_NO_GIT, _NO_FOLDER, _NO_REPOSITORY = 3, 4, 5
_FULL = 1024  # KiB that are free on a disk that counts as full when git fails

_COMMON = r"""
export LC_ALL=C
CDPATH=
trap '[ $? -eq 0 ] || printf "free %s\n" "$(df -Pk . | awk "NR == 2 { print \$4 }")"' EXIT
note() { printf '%s/lab-coming\n' "$(git rev-parse --git-dir)"; }
describe() {
    printf 'folder %s\n' "$(pwd -P)"
    printf 'head %s\n' "$(git rev-parse --quiet --verify HEAD)"
    printf 'branch %s\n' "$(git symbolic-ref --quiet --short HEAD)"
    printf 'tip %s\n' "$(git rev-parse --quiet --verify "refs/heads/$1")"
    printf 'sent %s\n' "$(git rev-parse --quiet --verify refs/lab/uncommitted)"
    git -c core.quotePath=false status --porcelain --untracked-files=no | sed 's/^.../change /'
}
command -v git >/dev/null 2>&1 || exit 3
cd || exit
"""

# Arguments: folder, branch, and the commit that is about to come, if any.
_PREPARE = (
    _COMMON
    + r"""
mkdir -p -- "$1" && cd -- "$1" || exit 4
# Nothing that leads further up means that a repository begins here.
[ -z "$(git rev-parse --show-cdup 2>/dev/null || echo none)" ] || git init --quiet . || exit
git rev-parse --quiet --verify HEAD >/dev/null || git symbolic-ref HEAD "refs/heads/$2"
[ "$(git config receive.denyCurrentBranch)" = updateInstead ] ||
    git config receive.denyCurrentBranch updateInstead || exit

# on_its_way FILE: whether it holds nothing but a part of the new state, or the old one
on_its_way() {
    if [ -L "$1" ]; then
        [ "$(readlink "$1")" = "$(git cat-file blob "$coming:$1" 2>/dev/null)" ]
    elif [ -f "$1" ]; then
        size=$(wc -c <"$1")
        git cat-file blob "$coming:$1" 2>/dev/null | head -c "$size" | cmp -s - "$1" ||
            git cat-file blob "$old:$1" 2>/dev/null | cmp -s - "$1"
    else
        [ ! -e "$1" ]
    fi
}
put_back() {
    git diff-tree -r -z --name-only "$old" "$coming" | tr '\0' '\n' | while IFS= read -r file; do
        if ! on_its_way "$file"; then
            continue
        elif git cat-file -e "$old:$file" 2>/dev/null; then
            git checkout --quiet "$old" -- ":(literal)$file"
        else
            git rm --quiet --cached --ignore-unmatch -- ":(literal)$file"
            rm -f -- "$file"
        fi
    done
}
coming=$(cat "$(note)" 2>/dev/null)
old=$(git rev-parse --quiet --verify HEAD || git hash-object -t tree /dev/null)
if [ -n "$coming" ] && [ "$coming" != "$old" ] && git cat-file -e "$coming^{tree}" 2>/dev/null; then
    put_back
fi
rm -f "$(note)"
state=$(describe "$2")
printf '%s\n' "$state"
case $state in
*"
change "*) exit 0 ;;
esac
# Nothing comes when the machine is ahead on the branch that it has checked out.
if [ -z "$3" ] || [ "$3" = "$old" ]; then
    exit 0
elif [ "$(git symbolic-ref --quiet --short HEAD)" = "$2" ] &&
    git merge-base --is-ancestor "$3" "$old" 2>/dev/null; then
    exit 0
fi
printf '%s\n' "$3" >"$(note)"
"""
)

# Arguments: folder, branch.
_READ = (
    _COMMON
    + r"""
cd -- "$1" 2>/dev/null || exit 4
[ -e .git ] || exit 5
describe "$2"
"""
)

# Arguments: folder, branch.
_CHECK_OUT = (
    _COMMON
    + r"""
cd -- "$1" || exit 4
git checkout --quiet "$2" -- || exit
"""
)


@dataclass(frozen=True, kw_only=True)
class RemoteRepository:
    """The project's repository on the machine, as it was when it was read."""

    folder: str
    """Its absolute path."""
    head: str
    """The commit that is checked out; empty before the first one."""
    branch: str
    """The branch that is checked out; empty when none is."""
    tip: str
    """What the branch that was asked for leads to; empty where there is no such branch."""
    sent: str
    """The last commit of uncommitted work that was sent; empty if that never happened."""
    changes: tuple[str, ...]
    """Files that git knows and that hold work that is not committed."""


def prepare(machine: Machine, *, branch: str, commit: str = "") -> RemoteRepository:
    """Make the repository there where it is missing, ready to take `commit`, and read it.

    What an interrupted push left is put back. Raises RemoteCommandError, with what to do.
    """
    result = machine.client.run_script(_PREPARE, machine.folder, branch, commit, check=False)
    if result.returncode == _NO_GIT:
        raise RemoteCommandError(
            f"git is not installed on {machine.alias}; the code goes there by it.",
            hint="There: sudo apt install git; without an administrator: conda install git",
        )
    if result.returncode == _NO_FOLDER:
        raise RemoteCommandError(
            f"The folder {machine.folder} cannot be made on {machine.alias}: "
            f"{_in_one_line(result.stderr)}",
            hint="Name another one in lab.toml ([remote] folder), or mend its rights there",
        )
    return _parse(machine, result)


def read(machine: Machine, *, branch: str) -> RemoteRepository | None:
    """Read the repository there; None where the machine has none there, or no git.

    Raises RemoteCommandError when the folder is not there.
    """
    result = machine.client.run_script(_READ, machine.folder, branch, check=False)
    if result.returncode in (_NO_GIT, _NO_REPOSITORY):
        return None
    if result.returncode == _NO_FOLDER:
        raise RemoteCommandError(
            f"There is no folder {machine.folder} on {machine.alias}.",
            hint="Send the project there: lab push",
        )
    return _parse(machine, result)


def check_out(machine: Machine, *, branch: str) -> None:
    """Check a branch out there. Raises RemoteCommandError in git's words when that fails."""
    result = machine.client.run_script(_CHECK_OUT, machine.folder, branch, check=False)
    if result.returncode != 0:
        _check_disk(machine, result.stdout)
        raise RemoteCommandError(
            f"{branch} is on {machine.alias}, but could not be checked out there: "
            f"{_in_one_line(result.stderr)}",
            hint="Move what stands in the way there, or commit it, then run this again",
        )


def _parse(machine: Machine, result: Result) -> RemoteRepository:
    if result.returncode != 0:
        _check_disk(machine, result.stdout)
        raise RemoteCommandError(f"On {machine.alias}, git failed: {_in_one_line(result.stderr)}")
    lines = [line.partition(" ") for line in result.stdout.splitlines()]
    facts = {word: text for word, _, text in lines}
    return RemoteRepository(
        folder=facts["folder"],
        head=facts["head"],
        branch=facts["branch"],
        tip=facts["tip"],
        sent=facts["sent"],
        changes=tuple(text for word, _, text in lines if word == "change"),
    )


def _check_disk(machine: Machine, stdout: str) -> None:
    """Raise RemoteCommandError when a script failed on a disk that is full."""
    free = re.search(r"^free (\d+)$", stdout, re.MULTILINE)
    if free and int(free[1]) < _FULL:
        raise RemoteCommandError(
            f"The disk of {machine.alias} is full.",
            hint="Make room there (lab status shows the disk), then run this again",
        )


def _in_one_line(stderr: str) -> str:
    return " ".join(stderr.split()) or "it printed nothing"
