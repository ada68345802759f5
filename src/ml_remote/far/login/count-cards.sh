# needs: folder enter
# shellcheck shell=sh disable=SC2154
# Whether the machine has $2 cards; says why not. $1 is the folder of the far half.
exec "$python" -s -E "$1" cards count "$2"
