# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Has the job $1 count as over although nobody can tell. Its runner, should it be alive on another
# machine, finds the file and ends what it runs.
job=.lab/jobs/$1
is_job "$job" || exit "$NO_JOB"
if is_slurms "$job"; then
    look "$job"
    [ "$word" != UNKNOWN ] || printf 'GONE %s\n' "$(date +%s)" >"$job/slurm-end"
elif runs "$job" && ! is_here "$job"; then
    true >"$job/stopped"
    true >"$job/replaced"
fi
now
describe "$job"
