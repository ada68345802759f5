# needs: lifeline session
# shellcheck shell=sh disable=SC2154
# Prints `open` when the session $1 takes connections, and `alive` again and again until it is over;
# then `ended` or, if that was not in order, `failed`. $2 is the session's directory, $3 how many
# seconds pass between signs of life.
until [ -S "$2/socket" ] || is_over "$job"; do
    echo alive || exit
    blink
done
is_over "$job" || echo open
# say_end: the minutes that the job of a compute node has left, once they are ten or less
say_end() {
    { read -r ends; } 2>/dev/null <"${LAB_NODE_JOB:-/nonexistent}/ends" || return 0
    minutes=$(((ends - $(date +%s)) / 60))
    [ "$minutes" -ge 10 ] || echo "ending $minutes"
}
until is_over "$job"; do
    echo alive || exit
    say_end
    sleep "$3"
done
if [ -e "$job/stopped" ] || { has_ended "$job" && [ "$code" -eq 0 ]; }; then
    echo ended
else
    echo failed
fi
