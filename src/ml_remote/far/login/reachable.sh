# needs: folder enter
# shellcheck shell=sh disable=SC2154
# Finds out which hosts reach this one. $1 is the folder of the far half; the laptop talks to it by
# descriptor 3, which its own input must be.
exec "$python" "$1" reachable <&3
