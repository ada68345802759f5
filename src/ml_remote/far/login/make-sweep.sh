# needs: folder sweeps no-room
# shellcheck shell=sh disable=SC2034,SC2154
# Makes a sweep of its description $1, the script that runs one set $2, and the sets $3; $4 is its far
# half. Where sets are proposed one by one, $5 is how many there are to be. $6 is its id where another
# machine has given it one; $7 is what its folder is called. Prints its id; and where it is there
# already, as that machine shares this disk, the alias of that machine.
no_room() {
    [ -z "$sweep" ] || rm -rf "$sweep"
    without_room
}
sweep=''
if [ -n "$6" ] && grep -qsF "\"part\": \"${7%-*}-" ".lab/sweeps/$6/about.json"; then
    now # that machine shares its disk with this one
    printf 'shared\t%s\t%s\n' "$6" \
        "$(sed -n 's/.*"place": "\([a-z0-9._-]*\)".*/\1/p' ".lab/sweeps/$6/about.json")"
    exit
fi
{ make_state && mkdir -p .lab/sweeps; } 2>/dev/null || no_room
time=$(date +%Y-%m-%d_%H-%M-%S)
id=${6:-$time} number=1
until [ ! -e ".lab/jobs/$id" ] && mkdir -m 700 ".lab/sweeps/$id" 2>/dev/null; do
    [ -d ".lab/sweeps/$id" ] || [ -e ".lab/jobs/$id" ] || no_room
    [ -z "$6" ] || exit "$CHANGED"
    number=$((number + 1))
    id=${time}_$number
done
sweep=.lab/sweeps/$id
{
    mkdir "$sweep/sets" "$sweep/claims" "$sweep/done" "$sweep/rounds" "$sweep/elsewhere" \
        "$sweep/given" &&
        printf '%s' "$2" >"$sweep/command" &&
        { [ -z "$3" ] || printf '%s\n' "$3" >"$sweep/sets/000001.jsonl"; } &&
        { [ -z "$5" ] || printf '%s\n' "$5" >"$sweep/wanted"; } &&
        date +%s >"$sweep/started" &&
        printf '%s\n' "$1" >"$sweep/about.json.new" &&
        mv "$sweep/about.json.new" "$sweep/about.json"
} 2>/dev/null || no_room
can_link "$sweep" || {
    rm -rf "$sweep"
    exit "$NO_LINKS"
}
take_code "$sweep" "$4" || {
    fault=$?
    rm -rf "$sweep"
    exit "$fault"
}
now
printf 'made\t%s\n' "$id"
