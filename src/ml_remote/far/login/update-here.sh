# needs: mending
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
git rev-parse --verify "$1^{commit}" >"$(note)" || exit
# git itself looks once more, under its own lock, before it touches a file.
set -- "$1" ${2:+-c core.hooksPath=/dev/null}
commit=$1
shift
git -c submodule.recurse=false -c gc.auto=0 -c maintenance.auto=false "$@" \
    merge --ff-only --quiet --no-overwrite-ignore "$commit"
code=$?
if [ "$code" -eq 0 ]; then rm -f "$(note)"; else mend; fi
submodules
exit "$code"
