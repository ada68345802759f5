# needs: session
# shellcheck shell=sh disable=SC2154
# Waits until the session $1 has a directory; prints it and the token, or where the session is.
until [ -s "$job/session" ]; do
    if is_over "$job"; then
        echo ended
        exit 0
    fi
    blink
done
if is_over "$job"; then
    echo ended
elif ! is_here "$job"; then
    printf 'elsewhere\t%s\t%s\n' "$host" "$(uname -n)"
else
    read -r directory <"$job/session"
    printf 'here\t%s\t%s\n' "$directory" "$(cat "$directory/token")"
fi
