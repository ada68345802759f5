# needs: folder no-room
# shellcheck shell=sh disable=SC2154
# Makes the folder for wheels, .lab/wheels, removes from it all but the files $2..., and prints its
# path and the version of rsync. $1 is how many KiB must be free for what is not there yet.
needed=$1
shift
{ make_state && mkdir -p .lab/wheels; } 2>/dev/null || {
    without_room
}
names=$(printf '%s\n' "$@")
for file in .lab/wheels/*; do
    if [ -f "$file" ] && ! printf '%s\n' "$names" | grep -qxF "${file##*/}"; then
        rm -f "$file"
    fi
done
there=$(du -sk .lab/wheels | awk '{ print $1 }')
free=$(df -Pk . | awk 'END { print $4 }')
if [ "$((free + there))" -lt "$needed" ]; then
    printf '%s\n' "$free"
    exit "$DISK"
fi
printf 'folder %s\n' "$(pwd -P)/.lab/wheels"
printf 'rsync %s\n' "$(rsync --version 2>/dev/null | head -n 1)"
