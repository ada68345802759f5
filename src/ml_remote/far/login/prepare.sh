# needs: jobs free
# shellcheck shell=sh disable=SC2034,SC2154
# Prepares the folder of a job, $job; then a launcher's own script starts $job/runner.
about=$1 command=$2 runner=$3
no_room() {
    free_kib .
    exit "$DISK"
}
mkdir -p .lab/jobs 2>/dev/null || no_room
time=$(date +%Y-%m-%d_%H-%M-%S) # as in outputs/<lab>/<time>
id=$time number=1
until mkdir -m 700 ".lab/jobs/$id" 2>/dev/null; do
    [ -d ".lab/jobs/$id" ] || no_room
    number=$((number + 1))
    id=${time}_$number
done
job=.lab/jobs/$id
{
    printf '%s' "$command" >"$job/command" &&
        printf '%s' "$runner" >"$job/runner" &&
        printf '%-20s\n' '' >"$job/exit" &&
        : >"$job/log" &&
        date +%s >"$job/started" &&
        printf '%s\n' "$about" >"$job/about.json.new"
} 2>/dev/null || {
    rm -rf "$job"
    no_room
}
