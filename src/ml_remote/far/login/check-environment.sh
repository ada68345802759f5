# needs: folder set-up no-room
# shellcheck shell=sh disable=SC2154
# Leaves the settings $1 for the project's script, and prints what that says of a complete
# environment, and on a second line `conda` if conda or mamba made it; nothing when there is something
# to do. $2, $3, $4 and $5 are LAB_FAR, LAB_FAR_COMMIT, LAB_LISTS and LAB_UPGRADE. The first and the
# third count as used now; where one of them is missing it prints `lacking`, and does nothing else.
[ -f scripts/setup-environment.sh ] || [ -n "$4" ] || exit "$NO_SETUP"
if [ ! -f "$2/__main__.py" ] || { [ -n "$4" ] && [ ! -f "$4/commit" ]; }; then
    echo lacking
    exit 0
fi
touch -c "$2" ${4:+"$4"} 2>/dev/null
new=.lab/settings-$(uname -n)-$$ # two laptops may do this at once
( # what is one person's alone is for nobody else to read
    umask 077
    make_state && printf '%s' "$1" >"$new" && mv "$new" .lab/settings.toml
) 2>/dev/null || {
    rm -f "$new"
    without_room
}
LAB_FAR=$2 LAB_FAR_COMMIT=$3 LAB_LISTS=$4 LAB_UPGRADE=$5
export LAB_FAR LAB_FAR_COMMIT LAB_LISTS LAB_UPGRADE
said=$(set_up --check) || exit 0
printf '%s\n' "$said" | tail -n 1
if grep -q '"manager": *"\(conda\|mamba\|micromamba\)"' .venv/lab-environment.json 2>/dev/null; then
    echo conda
fi
