# needs: folder sweeps
# shellcheck shell=sh disable=SC2034,SC2154
# Tells all of the sweep $1: its sets, how they ended, which were begun, and why it was stopped.
sweep=.lab/sweeps/$1
is_sweep "$sweep" || exit "$NO_JOB"
now
describe_sweep "$sweep"
cat "$sweep"/sets/*.jsonl 2>/dev/null | sed 's/^/set	/'
for file in "$sweep"/elsewhere/*.jsonl; do
    own=${file%.jsonl}
    [ ! -f "$file" ] || sed "s/^/elsewhere	${own##*/??????.}	/" "$file"
done
outcomes "$sweep" | sed 's/^/outcome	/'
begun "$sweep" | sed 's/^/begun	/'
[ ! -e "$sweep/stopped" ] || sed 's/^/stopped	/' "$sweep/stopped"
