# needs: folder
# shellcheck shell=sh disable=SC2154
# `make` the folder in `data` for what comes in part, or `remove` it if nothing is left in it. What an
# rsync that was killed left there long ago goes.
cd data || exit "$NO_FOLDER"
if [ "$1" = make ]; then
    mkdir -p .lab-partial || exit "$DISK"
    find .lab-partial -type f -name '.*.??????' -mtime +1 -exec rm -f {} + 2>/dev/null
else
    rmdir .lab-partial 2>/dev/null
fi
exit 0
