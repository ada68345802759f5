# needs: folder repository
# shellcheck shell=sh disable=SC2034,SC2154
# Checks the branch $1 out.
git checkout --quiet "$1" --
