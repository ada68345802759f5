# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Waits while the job $1 waits in Slurm's queue for the reason $2, ten minutes at most.
job=.lab/jobs/$1
is_job "$job" || exit "$NO_JOB"
nap=0
end=$(($(date +%s) + 600))
while
    [ "$nap" -ge 30 ] || nap=$((nap + 1))
    sleep "$nap"
    # Nobody may be there any more: writing is how that is noticed.
    echo >&2 || exit
    asked=''
    look "$job"
    is_waiting && [ "$reason" = "$2" ] && [ "$(date +%s)" -lt "$end" ]
do :; done
now
describe "$job"
