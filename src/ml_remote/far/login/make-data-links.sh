# needs: folder
# shellcheck shell=sh disable=SC2154
# Makes links in `data`: $1 is a name, $2 where it leads, and so on. What is there already stays.
cd data || exit "$NO_FOLDER"
while [ $# -gt 0 ]; do
    case $1 in */*) mkdir -p "./${1%/*}" ;; esac
    if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then ln -s "$2" "./$1"; fi
    shift 2
done
