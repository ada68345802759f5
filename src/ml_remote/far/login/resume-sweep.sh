# needs: folder sweeps no-room
# shellcheck shell=sh disable=SC2034,SC2154
# Lets the sweep $1 run on: what has failed may run again. Adds the sets $3, whose first number is $2,
# unless that is empty; $4 runs one set, with the far half $5. Where sets are proposed one by one, $6 is
# how many there are to be. With `stop` in place of them, lets no worker take another set.
sweep=.lab/sweeps/$1
is_sweep "$sweep" || exit "$NO_JOB"
no_room() {
    without_room
}
if [ "$2" = stop ]; then
    printf '{"why": "person"}\n' >"$sweep/stopped.new.$$" 2>/dev/null || no_room
    mv "$sweep/stopped.new.$$" "$sweep/stopped" || no_room
    exit
fi
if [ -n "$2" ]; then
    new=$sweep/.sets.$$
    printf '%s\n' "$3" >"$new" 2>/dev/null || no_room
    if ! ln "$new" "$sweep/sets/$2.jsonl" 2>/dev/null; then
        rm -f "$new"
        [ ! -e "$sweep/sets/$2.jsonl" ] || exit "$CHANGED"
        can_link "$sweep" || exit "$NO_LINKS"
        no_room
    fi
    rm -f "$new"
fi
{
    printf '%s' "$4" >"$sweep/command.new.$$" && mv "$sweep/command.new.$$" "$sweep/command"
} 2>/dev/null || no_room
take_code "$sweep" "$5" || exit
if [ -n "$6" ]; then
    { printf '%s\n' "$6" >"$sweep/wanted.new.$$" && mv "$sweep/wanted.new.$$" "$sweep/wanted"; } 2>/dev/null ||
        no_room
fi
true >"$sweep/rounds/$(date +%s).$$" 2>/dev/null || no_room
rm -f "$sweep/stopped"
