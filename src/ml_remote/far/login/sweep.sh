# needs: enter
# shellcheck shell=sh disable=SC2154
# The command of a worker of the sweep $sweep, by the far half $FAR. One that is killed begins again, a
# few times; its set is its own again then.
tries=0
while :; do
    "$python" -s -E "$FAR" sweep "$sweep" "$@"
    code=$?
    tries=$((tries + 1))
    [ "$code" = 137 ] && [ "$tries" -le 3 ] && [ ! -e "${LAB_JOB_FOLDER}stopped" ] || exit "$code"
done
