# needs: prepare
# shellcheck shell=sh disable=SC2034,SC2154
# Runs the runner in a session of its own, which outlives the connection.
detach='nohup'
! command -v setsid >/dev/null 2>&1 || detach='setsid'
said=$($detach sh "$job/runner" "$id" 2>&1 &)
[ -f "$job/about.json" ] || {
    rm -rf "$job"
    printf '%s\n' "$said" >&2
    exit 1
}
now
describe "$job"
