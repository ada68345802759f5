# needs: lifeline
# shellcheck shell=sh
# Prints `open`, and `alive` again and again. $1 is how many seconds pass between signs of life.
echo open || exit
while sleep "$1"; do
    echo alive || exit
done
