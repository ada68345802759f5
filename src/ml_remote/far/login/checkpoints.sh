# needs: folder
# shellcheck shell=sh disable=SC2034,SC2154
# Prints the runs of a lab that have left a checkpoint; $1 is the lab's folder below outputs/.
cd -- "outputs/$1" 2>/dev/null || exit 0
for file in */checkpoint.pt; do
    [ ! -f "$file" ] || printf '%s\n' "${file%/*}"
done
