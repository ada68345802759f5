# needs: folder repository restore-worktree
# shellcheck shell=sh disable=SC2034,SC2154
# Lets the branch $1 lead to the commit $2, which has come, and checks it out. $3 is what the branch
# led to when it was last looked at: nothing happens if it leads elsewhere by now, if there is work
# that is not committed, or if a file that git does not track is in the way.
lock
tip=$(git rev-parse --quiet --verify "refs/heads/$1")
[ "$tip" = "$3" ] || exit "$AHEAD"
found=$(changed)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit "$CHANGED"
fi
old=$(git rev-parse --quiet --verify HEAD || git hash-object -t tree /dev/null)
found=$(changes "$old" "$2" | in_the_way | head -n 100)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit "$IN_THE_WAY"
fi
# Before 2.44, git does not look whether another worktree has the branch that it moves.
git worktree list --porcelain 2>/dev/null | while IFS= read -r line; do
    case $line in
    'worktree '*) place=${line#worktree } ;;
    "branch refs/heads/$1")
        [ -d "$place" ] && [ "$place" != "$(pwd -P)" ] || continue
        printf "fatal: '%s' is already checked out at '%s'\n" "$1" "$place" >&2
        exit "$REFUSED_BY_GIT"
        ;;
    esac
done || exit
[ "$(git config receive.denyCurrentBranch)" = updateInstead ] ||
    git config receive.denyCurrentBranch updateInstead || exit
printf '%s\n' "$2" >"$note" || exit
# git itself looks once more, under its own lock, before it touches a file.
check_out() {
    plain_git -c gc.auto=0 -c maintenance.auto=false checkout --quiet --no-overwrite-ignore -B "$@" --
}
said=$(check_out "$1" "$2" 2>&1 >/dev/null)
code=$?
[ -z "$said" ] || printf '%s\n' "$said" >&2
case $said in
# It ends well although it could not write some of the files.
*'error: unable to '*)
    code=1
    [ -z "$tip" ] || check_out "$1" "$tip" >/dev/null 2>&1
    ;;
esac
if [ "$code" -ne 0 ]; then
    # Where git has refused before it touched a file, what differs is somebody's work: of files that
    # git was told to overlook, nothing else says so.
    case $said in
    *"
Aborting") rm -f "$note" ;;
    *) mend ;;
    esac
    exit "$REFUSED_BY_GIT"
fi
[ "$1" != lab-uncommitted ] || git update-ref refs/lab/uncommitted "$2" || exit
rm -f "$note"
git for-each-ref --format='delete %(refname)' refs/lab/coming/ | git update-ref --stdin
submodules
pointers
