# needs: folder sweeps no-room
# shellcheck shell=sh disable=SC2034,SC2154
# Tells the part of the sweep $1 that is here of the others. The sets of the machines $2 (words) belong
# to others now, and $3 has a line for each of these sets that had ended by then. Of the rest, three
# words each: a number, a machine, and lines of the sets that this machine has got.
sweep=.lab/sweeps/$1 gone=$2 ended=$3
is_sweep "$sweep" || exit "$NO_JOB"
no_room() {
    without_room
}
# put FILE TEXT
put() {
    { printf '%s\n' "$2" >"$1.new.$$" && mv "$1.new.$$" "$1"; } 2>/dev/null || no_room
}
mkdir -p "$sweep/elsewhere" "$sweep/given" 2>/dev/null || no_room
shift 3
while [ $# -gt 2 ]; do
    put "$sweep/elsewhere/$1.$2.jsonl" "$3"
    shift 3
done
printf '%s\n' "$ended" | while IFS= read -r line; do
    number=${line#'{"set": '}
    number=${number%%,*}
    case $number in
    '' | *[!0-9]*) ;;
    *) put "$sweep/done/$number.json" "$line" ;;
    esac
done || exit
for one in $gone; do
    put "$sweep/given/$one" ''
done
