# needs: lifeline session
# shellcheck shell=sh disable=SC2154
# Prints `open` when the session $1 takes connections, and `alive` again and again until it is over;
# then `ended` or, if that was not in order, `failed`. $2 is the session's directory, $3 how many
# seconds lie between signs of life.
until [ -S "$2/socket" ] || is_over "$job"; do
    echo alive || exit
    blink
done
is_over "$job" || echo open
until is_over "$job"; do
    echo alive || exit
    sleep "$3"
done
if [ -e "$job/stopped" ] || { has_ended "$job" && [ "$code" -eq 0 ]; }; then
    echo ended
else
    echo failed
fi
