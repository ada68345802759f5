# shellcheck shell=sh disable=SC2154
# end_record JOB CODE: complete the record of a run, where one was begun
end_record() {
    [ -s "$1/record" ] || return 0
    { read -r recorder && read -r far && read -r results; } <"$1/record" &&
        "$recorder" -s -E "$far" record end "$results" "$2"
} </dev/null >/dev/null 2>&1
