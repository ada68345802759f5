# needs: folder
# shellcheck shell=sh
# Whether the far half $1 is there, which counts as used now. Prints `there` or `missing`.
if [ -f "$1/__main__.py" ]; then
    touch -c "$1" 2>/dev/null # one that cannot be touched is of use all the same
    echo there
else
    echo missing
fi
