# needs: gather
# shellcheck shell=sh disable=SC2034,SC2154
# The same for a job that Slurm runs, behind the lines with its options.
job=$(pwd -P)/.lab/jobs/$1
printf '%s\n' "$SLURM_JOB_ID" >"$job/slurm.batch" && mv "$job/slurm.batch" "$job/slurm" || exit
[ ! -f "$job/about.json.new" ] || mv "$job/about.json.new" "$job/about.json" 2>/dev/null
date +%s >"$job/began"
printf '%-20s\n' '' 1<>"$job/exit" # Slurm may start it again
trap : TERM # stay to note how the command ended; it gets the signal itself
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
code=$?
(
    trap '' TERM
    gather "$job"
)
[ "$code" != 0 ] || rm -rf "$job/secrets" # Slurm may start it again
printf '%-3s %s\n' "$code" "$(date +%s)" 1<>"$job/exit"
exit "$code"
