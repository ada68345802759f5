# needs: folder
# shellcheck shell=sh
# Prints which of these paths are not there: `missing` and a number from 0 on, a line for each.
number=0
for path; do
    if [ ! -e "$path" ]; then echo "missing $number"; fi
    number=$((number + 1))
done
