# needs: data-folder free
# shellcheck shell=sh disable=SC2016,SC2034
# Describes what is in `data`, or below $3, $4... in it, in words that end with NUL. $1 and $2 are
# those of `data_folder`. First come `rsync`, `state`, `folder`, `free` (KiB) and `writing` with what
# they are about. A file is `f`, a folder `d`, a link `l`, one that may not be read `u`, anything else
# another letter, then bytes, time, blocks of 512 bytes, and the name; a link is followed by where it
# leads. Where find cannot do that, the same comes as `files` and the like and names up to an empty
# word; files are followed by a line for each of them.
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
[ $# -gt 0 ] || exit 0
if find . -prune -printf '' 2>/dev/null; then
    find "$@" \( -type l -printf 'l 0 0 0 %p\0%l\0' \) \
        -o \( -type f ! -readable -printf 'u 0 0 0 %p\0' \) \
        -o \( -type d ! \( -readable -executable \) -printf 'u 0 0 0 %p\0' \) \
        -o -printf '%y %s %T@ %b %p\0' 2>/dev/null
    exit 0
fi
# GNU's and busybox's stat take -c, the one of BSD and macOS -f.
form=-c words='%s %Y %b'
stat -c %s . >/dev/null 2>&1 || { form=-f words='%z %m %b'; }
files='
form=$1 words=$2
shift 2
for file; do [ -r "$file" ] || printf "u 0 0 0 %s\0" "$file"; done
known=$(stat "$form" "$words" "$@" 2>/dev/null) ||
    known=$(for file; do stat "$form" "$words" "$file" 2>/dev/null || echo gone; done)
printf "files\0"
printf "%s\0" "$@"
printf "\0%s\0" "$known"'
find "$@" -type f -exec sh -c "$files" sh "$form" "$words" {} + 2>/dev/null
folders='
for folder; do
    kind=d
    [ -r "$folder" ] && [ -x "$folder" ] || kind=u
    printf "%s 0 0 0 %s\0" "$kind" "$folder"
done'
find "$@" -type d -exec sh -c "$folders" sh {} + 2>/dev/null
links='for link; do printf "l 0 0 0 %s\0%s\0" "$link" "$(readlink "$link")"; done'
find "$@" -type l -exec sh -c "$links" sh {} + 2>/dev/null
others='for other; do printf "p 0 0 0 %s\0" "$other"; done'
find "$@" ! -type f ! -type d ! -type l -exec sh -c "$others" sh {} + 2>/dev/null
exit 0 # a file that went away meanwhile is no failure
