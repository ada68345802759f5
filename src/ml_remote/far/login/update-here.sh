# needs: restore-worktree
# shellcheck shell=sh disable=SC2034,SC2154
# On this computer: moves the branch that is checked out forward to the commit $1, unless a file that
# git does not track is in the way. What an interrupted pull left is put back first. With $2, hooks
# of the repository do not run.
lock
free_index
mend
found=$(changes HEAD "$1" | in_the_way | head -n 100)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit "$IN_THE_WAY"
fi
# What git refuses leaves nothing to put back, and is not noted: a new file that is the same as the
# one that comes, or its beginning, would look like a part of it.
plain_git update-index -q --refresh >/dev/null
if plain_git read-tree -n -m -u HEAD "$1" 2>/dev/null; then
    git rev-parse --verify "$1^{commit}" >"$note" || exit
fi
# git itself looks once more, under its own lock, before it touches a file.
set -- "$1" ${2:+-c core.hooksPath=/dev/null}
commit=$1
shift
git -c gc.auto=0 -c maintenance.auto=false "$@" \
    merge --ff-only --quiet --no-overwrite-ignore "$commit"
code=$?
if [ "$code" -eq 0 ]; then rm -f "$note"; elif [ -e "$note" ]; then mend; fi
submodules
exit "$code"
