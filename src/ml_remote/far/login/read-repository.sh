# needs: folder repository
# shellcheck shell=sh disable=SC2034,SC2154
# Describes the repository for the branch $1.
if [ ! -e .git ]; then
    trap - EXIT
    exit "$NO_REPOSITORY"
fi
describe "$1" || exit
