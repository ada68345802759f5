# needs: folder repository
# shellcheck shell=sh disable=SC2034,SC2154
# Names what would be in the way if the branch $1 were checked out and the commits since $2 were put
# on top of it.
changes HEAD "refs/heads/$1" | in_the_way
changes_on_the_way "$2" HEAD | in_the_way every
