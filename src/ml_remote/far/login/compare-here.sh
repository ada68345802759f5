# needs: compare-tree
# shellcheck shell=sh disable=SC2034,SC2154
# On this computer: names what would be in the way of a rebase onto the commit $1.
changes HEAD "$1" | in_the_way
changes_on_the_way "$1" HEAD | in_the_way every
