# needs: data-folder free-space stat-files
# shellcheck shell=sh disable=SC2016,SC2154
# Describes what is in `data`, or below $3, $4... in it and in .lab-partial, in words that end with
# NUL. $1 and $2 are those of `data_folder`. First come `rsync`, `state`, `folder`, `free` (KiB) and
# `writing` with what they are about. A file is `f`, a folder `d`, a link `l`, one that may not be
# read `u`, anything else another letter, then bytes, time, blocks of 512 bytes, and the name; a link
# is followed by where it leads. Where find cannot do that, the same comes as `files` and the like and
# names up to an empty word; files are followed by a line for each of them. At the end comes `wrong`,
# with the reason, if files may be missing from the list.
say() { printf '%s\0' "$*"; }
say "rsync $(rsync --version 2>/dev/null | sed -n 1,2p | tr '\n' ' ')"
say "state $(data_folder "$1" "$2")"
[ -d data ] && cd data || exit 0
say "folder $(pwd -P)"
say "free $(free_kib .)"
if [ -w . ]; then say 'writing yes'; fi
shift 2
for path; do # a link above it is not seen below
    while
        above=${path%/*}
        [ "$above" != "$path" ]
    do
        path=$above
        if [ -L "$path" ]; then printf 'l 0 0 0 ./%s\0-\0' "$path"; fi
    done
done
count=$#
[ "$count" -gt 0 ] || set -- .
for path; do
    shift
    if [ "$path" != . ]; then path=./$path; fi
    if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "$path"; fi
done
if [ "$count" -gt 0 ] && [ -d .lab-partial ]; then set -- "$@" .lab-partial; fi
[ $# -gt 0 ] || exit 0
list() {
    if find . -prune -printf '' 2>/dev/null; then describe "$@"; else list_each "$@"; fi
}
describe() {
    find "$@" \( -type l -printf 'l 0 0 0 %p\0%l\0' \) \
        -o \( -type f ! -readable -printf 'u 0 0 0 %p\0' \) \
        -o \( -type d ! \( -readable -executable \) -printf 'u 0 0 0 %p\0' \) \
        -o -printf '%y %s %T@ %b %p\0'
}
files=$files'
for file; do [ -r "$file" ] || printf "u 0 0 0 %s\0" "$file"; done'
folders='
for folder; do
    kind=d
    [ -r "$folder" ] && [ -x "$folder" ] || kind=u
    printf "%s 0 0 0 %s\0" "$kind" "$folder"
done'
links='for link; do printf "l 0 0 0 %s\0%s\0" "$link" "$(readlink "$link")"; done'
others='for other; do printf "p 0 0 0 %s\0" "$other"; done'
list_each() {
    ended=0
    find "$@" -type f -exec sh -c "$files" sh "$form" "$words" {} + || ended=$?
    find "$@" -type d -exec sh -c "$folders" sh {} + || ended=$?
    find "$@" -type l -exec sh -c "$links" sh {} + || ended=$?
    find "$@" ! -type f ! -type d ! -type l -exec sh -c "$others" sh {} + || ended=$?
    return "$ended"
}
# A file that went away meanwhile is no failure, and a folder that may not be read is listed as such.
exec 3>&1
wrong=$({ export LC_ALL=C && list "$@" || echo "ended $?" >&2; } 2>&1 >&3 |
    sed -e '/No such file or directory/d' -e '/Permission denied/d' -e '/^ended 1$/d' | sed -n 1p)
if [ -n "$wrong" ]; then say "wrong $wrong"; fi
