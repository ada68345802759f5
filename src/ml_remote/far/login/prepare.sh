# needs: jobs free
# shellcheck shell=sh disable=SC2034,SC2154
# Prepares the folder of a job, $job; then a launcher's own script starts $job/runner.
about=$1 command=$2 runner=$3
shift 3 # left are the names and values of its own secrets
no_room() {
    free_kib .
    exit "$DISK"
}
{ make_state && mkdir -p .lab/jobs; } 2>/dev/null || no_room
for job in .lab/jobs/*; do
    end_secrets "$job"
done
asked='' # the queue of Slurm is another one soon
time=$(date +%Y-%m-%d_%H-%M-%S) # as in outputs/<lab>/<time>
id=$time number=1
until mkdir -m 700 ".lab/jobs/$id" 2>/dev/null; do
    [ -d ".lab/jobs/$id" ] || no_room
    number=$((number + 1))
    id=${time}_$number
done
job=.lab/jobs/$id

# keep_secrets NAME VALUE...: write each value into a file of its own
keep_secrets() {
    [ $# -eq 0 ] || mkdir -m 700 "$job/secrets" || return
    while [ $# -gt 0 ]; do
        (umask 077 && printf '%s' "$2" >"$job/secrets/$1") || return
        shift 2
    done
}
{
    printf '%s' "$command" >"$job/command" &&
        printf '%s' "$runner" >"$job/runner" &&
        printf '%-20s\n' '' >"$job/exit" &&
        : >"$job/log" &&
        date +%s >"$job/started" &&
        keep_secrets "$@" &&
        printf '%s\n' "$about" >"$job/about.json.new"
} 2>/dev/null || {
    rm -rf "$job"
    no_room
}
