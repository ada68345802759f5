# needs: folder-owner
# shellcheck shell=sh disable=SC2034,SC2154
# Go to the project's folder, $1, which is absolute or relative to the home directory. Code of
# somebody else is not run, and what their folder says of jobs is not believed.
CDPATH=''
cd && cd -- "$1" 2>/dev/null || exit "$NO_FOLDER"
shift
! is_foreign . || exit "$NOT_YOURS"
[ -z "$(links)" ] || exit "$LINKED"
