# needs: jobs free-space no-room
# shellcheck shell=sh disable=SC2034,SC2154
# Prepares the folder of a job, $job; then a launcher's own script starts $job/runner.
# $4 is the far half that makes a checkout for it, or empty; $5 is where its results are (with a slash at
# the end, in a folder named by its id), $6 the folders that the checkout is to have, one a line; $7 is the
# folder below outputs/ of a run whose code it is to be, or empty.
about=$1 command=$2 runner=$3 code_far=$4 code_results=$5 code_folders=$6
code_again=$7
shift 7 # left are the names and values of its own secrets
no_room() {
    without_room
}
{ make_state && mkdir -p .lab/jobs; } 2>/dev/null || no_room
for job in .lab/jobs/*; do
    end_secrets "$job"
    finish_code "$job"
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
# make_code: make the checkout, from the folder as it is now
make_code() {
    python=$(CDPATH='' cd -P -- .venv/bin && pwd -P)/python
    said=$("$python" -s -E "$code_far" checkout begin "$id" "$code_results" "$code_folders" "$code_again" 2>&1) && return
    rm -rf "$job" ".lab/code/$id" ".lab/code/$id.json"
    [ "$(free_kib .)" -ge 1024 ] || no_room
    printf '%s\n' "$said" | tail -n 1
    exit "$NO_CODE"
}
[ -z "$code_far" ] || make_code
