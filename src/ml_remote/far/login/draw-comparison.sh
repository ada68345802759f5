# needs: folder enter
# shellcheck shell=sh disable=SC2154
# Draws what $2 describes by the far half $1, and prints the picture as base64.
printf '%s' "$2" | "$python" -s -E "$1" picture
