# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Prepares the folder of a job, $job; then a launcher's own script starts $job/runner.
kind=$1 name=$2 command=$3 runner=$4
no_room() {
    df -Pk . | awk 'END { print $4 }'
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
        printf '%s %s %s\n' "$kind" "$(date +%s)" "$name" >"$job/about.new"
} 2>/dev/null || {
    rm -rf "$job"
    no_room
}
