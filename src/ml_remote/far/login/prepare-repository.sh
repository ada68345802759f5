# needs: folder-owner repository restore-worktree
# shellcheck shell=sh disable=SC2034,SC2154
# Makes the repository in the folder $1 where it is missing, puts back what an interrupted push left,
# and describes it for the branch $2; $3 is the branch that is checked out where the push comes from.
CDPATH=''
cd && mkdir -p -- "$1" && cd -- "$1" || exit "$NO_FOLDER"
! is_foreign . || exit "$NOT_YOURS"
[ -z "$(links)" ] || exit "$LINKED"
# Nothing that leads further up means that a repository begins here.
if ! up=$(git rev-parse --show-cdup 2>/dev/null); then
    said=$(git rev-parse --show-cdup 2>&1)
    case $said in
    # None, or one whose making was interrupted; an old git begins with a capital.
    *'fatal: '[Nn]'ot a git repository (or any'*) up=none ;;
    *)
        printf '%s\n' "$said" >&2 # why git refuses to work here
        exit 128
        ;;
    esac
fi
[ -z "$up" ] || git init --quiet . || exit
git rev-parse --git-dir >/dev/null || exit # a damaged one, which `init` leaves alone
lock
git rev-parse --quiet --verify HEAD >/dev/null || git symbolic-ref HEAD "refs/heads/$3"
free_index
mend
describe "$2" "$3" || exit
submodules
