# needs: folder kernels
# shellcheck shell=sh
# The kernels of the project, and what becomes of them when the last connection ends.
kernels list
printf 'logout\t%s\n' "$(at_logout)"
