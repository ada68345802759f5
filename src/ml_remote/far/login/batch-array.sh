# shellcheck shell=sh disable=SC2154
# The same for a task of a job array, one of the workers of a sweep, behind the lines with its options.
job=$(pwd -P)/.lab/jobs/$1
grep -qsx "$SLURM_ARRAY_JOB_ID" "$job/slurm-array" ||
    printf '%s\n' "$SLURM_ARRAY_JOB_ID" >>"$job/slurm-array" || exit
[ ! -f "$job/about.json.new" ] || mv "$job/about.json.new" "$job/about.json" 2>/dev/null
[ -s "$job/began" ] || date +%s >"$job/began"
trap : TERM # the worker gets the signal itself
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command" --one
