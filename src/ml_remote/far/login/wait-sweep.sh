# needs: folder sweeps
# shellcheck shell=sh disable=SC2034,SC2154
# Describes the sweep $1 and the jobs $@ behind $3 when it differs from $2, ended and begun sets, or
# none of the jobs is left; after $3 seconds in any case.
sweep=.lab/sweeps/$1 known=$2 until=$(($(date +%s) + $3))
is_sweep "$sweep" || exit "$NO_JOB"
shift 3
while
    over=$(find "$sweep/done" -type f -name '[0-9]*.json' | grep -c .)
    tried=$(find "$sweep/claims" -type f -name '[0-9]*.[0-9]*' | grep -c .)
    [ "$over $tried" = "$known" ] && [ "$(date +%s)" -lt "$until" ]
do
    living=''
    for job; do
        if ! is_over ".lab/jobs/$job"; then
            living=yes
            break
        fi
    done
    [ -n "$living" ] || break
    sleep 1
    # Nobody may be there any more: writing is how that is noticed.
    echo >&2 || exit
done
now
printf 'seen\t%s %s\n' "$over" "$tried"
# The jobs first: should one end in between, what it has done is noted by then.
for job; do
    describe ".lab/jobs/$job"
done
describe_sweep "$sweep"
