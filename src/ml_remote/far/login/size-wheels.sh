# needs: folder
# shellcheck shell=sh disable=SC2012
# Prints how many bytes the files in .lab/wheels have; only wheels are there, with plain names.
cd .lab/wheels || exit
ls -ln | awk '{ sum += $5 } END { printf "%.0f\n", sum }'
