# needs: folder kernels
# shellcheck shell=sh
# Ends the project's kernel whose id is $1, and all that it has started.
kernels end "$1"
