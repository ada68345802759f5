# needs: copy-results end-record until-done
# shellcheck shell=sh disable=SC2034,SC2154
# The same for a job that Slurm runs, behind the lines with its options; $until_done is set before if it
# is put back into the queue at its time limit.
job=$(pwd -P)/.lab/jobs/$1
printf '%s\n' "$SLURM_JOB_ID" >"$job/slurm.batch" && mv "$job/slurm.batch" "$job/slurm" || exit
[ ! -f "$job/about.json.new" ] || mv "$job/about.json.new" "$job/about.json" 2>/dev/null
[ -n "${until_done-}" ] && [ -s "$job/began" ] || date +%s >"$job/began"
[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || printf '%s\n' "$SLURM_RESTART_COUNT" >"$job/requeues"
printf '%-20s\n' '' 1<>"$job/exit" # Slurm may start it again
trap : TERM # stay to note how the command ended; it gets the signal itself
if [ -n "${until_done-}" ]; then
    until_limit "$1"
else
    LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
fi
code=$?
(
    trap '' TERM
    copy_results "$job"
    [ "$code" != 0 ] || [ ! -f "$job/finish" ] || sh "$job/finish" end # Slurm may start it again
    end_record "$job" "$code"
)
[ "$code" != 0 ] || rm -rf "$job/secrets" # Slurm may start it again
printf '%-3s %s\n' "$code" "$(date +%s)" 1<>"$job/exit"
exit "$code"
