# needs: compare-tree
# shellcheck shell=sh disable=SC2034,SC2154
# On this computer: names what `git stash` would replace or remove although git does not track it now.
plain_git diff-index -R --raw --no-renames --no-abbrev --ignore-submodules=all HEAD | in_the_way
