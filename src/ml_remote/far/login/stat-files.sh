# shellcheck shell=sh disable=SC2016,SC2034
# Describes files to `find`, by -exec sh -c "$files" sh "$form" "$words" {} +: `files`, their names up to
# an empty word, and a line for each of them: bytes, time, blocks of 512 bytes; or "gone".
# GNU's and busybox's stat take -c, the one of BSD and macOS -f.
form=-c words='%s %Y %b'
stat -c %s . >/dev/null 2>&1 || { form=-f words='%z %m %b'; }
files='
form=$1 words=$2
shift 2
known=$(stat "$form" "$words" "$@" 2>/dev/null) ||
    known=$(for file; do stat "$form" "$words" "$file" 2>/dev/null || echo gone; done)
printf "files\0"
printf "%s\0" "$@"
printf "\0%s\0" "$known"'
