# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Ends the job $1 and everything it has started; after $2 seconds by force.
job=.lab/jobs/$1
{ is_job "$job" && ! is_foreign "$job"; } || exit "$NO_JOB"
if is_slurms "$job"; then
    patience=$(($(date +%s) + 30 + $2))
    if ! is_over "$job"; then
        { true >"$job/stopped"; } 2>/dev/null
        # A node clears up; Slurm's own way to cancel a job does not tell what runs in its batch script.
        [ ! -e "$job/node" ] || patiently scancel --full --signal=TERM "$number"
        # shellcheck disable=SC2086 # several arrays
        patiently scancel $numbers >&2
        while asked='' && ! is_over "$job" && [ "$(date +%s)" -lt "$patience" ]; do
            sleep 1
        done
    fi
    end_secrets "$job"
    finish_code "$job"
    now
    describe "$job"
    exit
fi
mark=LAB_JOB_FOLDER=$(pwd -P)/$job/

# members: the processes of the job, all but its runner
members() {
    runner=none
    ! runs "$job" || runner=$process
    if [ -r /proc/self/stat ]; then
        grep -Fls "$mark" /proc/[0-9]*/environ | sed 's|^/proc/\([0-9]*\)/.*|marked \1|'
        cat /proc/[0-9]*/stat 2>/dev/null |
            sed -n 's/^\([0-9]*\) (.*) [^ZX] \([0-9]*\) .*/process \1 \2/p'
    else
        ps -A -o stat= -o pid= -o ppid= | awk '$1 !~ /^Z/ { print "process", $2, $3 }'
    fi | awk -v runner="$runner" '
        BEGIN { ours[runner] }
        $1 == "marked" { ours[$2] }
        $1 == "process" { parent[$2] = $3 }
        END {
            do {
                found = 0
                for (one in parent)
                    if (!(one in ours) && (parent[one] in ours)) { ours[one]; found = 1 }
            } while (found)
            for (one in ours)
                if (one in parent && one != runner) print one
        }'
}

# end SIGNAL SECONDS: send it to every process of the job, wait so long; whether all are gone
end() {
    told=' '
    patience=$(($(date +%s) + $2))
    while :; do
        left=$(members)
        [ -n "$left" ] || return 0
        for one in $left; do
            case $told in
            *" $one "*) ;;
            *) kill -s "$1" "$one" 2>/dev/null; told="$told$one " ;;
            esac
        done
        [ "$(date +%s)" -lt "$patience" ] || return 1
        pause
    done
}

if runs "$job" && ! is_here "$job"; then
    now
    describe "$job"
    exit 0
fi
has_ended "$job" || { true >"$job/stopped"; } 2>/dev/null
end TERM "$2" || end KILL 10
patience=$(($(date +%s) + 5)) # the runner ends by itself once it has noted the end
while runs "$job" && [ "$(date +%s)" -lt "$patience" ]; do
    pause
done
! runs "$job" || kill -s KILL "$process" 2>/dev/null
end_secrets "$job"
finish_code "$job"
now
describe "$job"
