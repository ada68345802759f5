# needs: processes
# shellcheck shell=sh disable=SC2034,SC2154
# Written to the machine as $job/runner: runs the job's command and notes how it ended. $1 is its id.
job=$(pwd -P)/.lab/jobs/$1
printf '%s %s %s\n' "$$" "$(uname -n)" "$(started "$$")" >"$job/pid" || exit
mv "$job/about.json.new" "$job/about.json" || exit
exec </dev/null >>"$job/log" 2>&1 # whoever started this waits until its output is closed
trap : HUP INT TERM # stay to note how the command ended; it gets the signals itself
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
code=$?
printf '%-3s %s\n' "$code" "$(date +%s)" 1<>"$job/exit"
