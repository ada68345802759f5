# needs: jobs
# shellcheck shell=sh disable=SC2154
# Prints the last $2 lines that the job $1 has written to its log, at most 64 KiB of them.
job=.lab/jobs/$1
is_job "$job" && [ -f "$job/log" ] || exit "$NO_JOB"
tail -n "$2" "$job/log" | tail -c 65536
