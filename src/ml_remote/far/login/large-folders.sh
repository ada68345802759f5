# needs: folder quota
# shellcheck shell=sh
# Prints what takes the room in this folder and the home directory, and could be elsewhere.
large
