# needs: folder
# shellcheck shell=sh
# Finds out which hosts reach this one. $1 is the folder of the far half; the laptop talks to it by
# descriptor 3, which its own input must be.
exec .venv/bin/python "$1" meet <&3
