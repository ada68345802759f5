# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# A session is a job that runs the far half's `serve`. That writes the path of a private directory
# into the file `session` in the job's folder; the token and the socket are in it.
job=.lab/jobs/$1
is_job "$job" || exit "$NO_JOB"

blink() {
    sleep 0.05 2>/dev/null || sleep 1
}
