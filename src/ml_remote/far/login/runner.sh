# needs: processes copy-results end-record
# shellcheck shell=sh disable=SC2034,SC2154
# Written to the machine as $job/runner: runs the job's command and notes how it ended. $1 is its id.
job=$(pwd -P)/.lab/jobs/$1
me="$$ $(uname -n) $(started "$$")"
printf '%s\n' "$me" >"$job/pid" || exit
printf '%s\n' "$me $(this_boot)" >"$job/boot"
touch "$job/sign"
[ -z "$LAB_NODE_JOB" ] || cat "$LAB_NODE_JOB/slurm" >"$job/within" # it ends with that job of Slurm
mv "$job/about.json.new" "$job/about.json" || exit
exec </dev/null >>"$job/log" 2>&1 # whoever started this waits until its output is closed
trap : HUP INT TERM # stay to note how the command ended; it gets the signals itself

# give_signs: touch a file for other machines that share this disk, as long as the runner is there;
# end the command when the job's place is taken, or its folder is gone
give_signs() {
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while
        sleep 5 &
        nap=$!
        wait "$nap"
        kill -0 "$$" 2>/dev/null
    do
        if [ -e "$job/replaced" ] || [ ! -d "$job" ]; then
            end_command
        else
            touch "$job/sign" 2>/dev/null
        fi
    done
}

# end_command: ask everything that the command has started to end; those that are left the next time
# are killed
end_command() {
    if [ -r /proc/self/environ ]; then
        left=$(grep -Fls "LAB_JOB_FOLDER=$job/" /proc/[0-9]*/environ | tr -dc '0-9\n')
    else
        left=$(ps -A -o pid= -o ppid= | awk -v runner="$$" '$2 == runner { print $1 }')
    fi
    for one in $left; do
        kill -s "${signal:-TERM}" "$one" 2>/dev/null
    done
    signal=KILL
}
give_signs &
signs=$!
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
code=$?
# Whoever stops the job ends what the runner has started, too; this is to come to its end.
(
    trap '' HUP INT TERM
    copy_results "$job"
    [ ! -f "$job/finish" ] || sh "$job/finish" end
    end_record "$job" "$code"
)
rm -rf "$job/secrets"
kill "$signs" 2>/dev/null
printf '%-3s %s\n' "$code" "$(date +%s)" 1<>"$job/exit"
