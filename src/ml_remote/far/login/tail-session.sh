# needs: session
# shellcheck shell=sh disable=SC2154
# Prints the end of what the session $1 has written to its log.
tail -n 20 "$job/log"
