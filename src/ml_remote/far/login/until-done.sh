# shellcheck shell=sh disable=SC2154
# until_limit ID: run the command of the job; shortly before the time limit, which Slurm announces by
# USR1, the job is put back into the queue. One that has made no checkpoint since it was put back the
# last time is ended instead.
until_limit() {
    requeued='' id=$1
    touch "$job/attempt"
    [ "${SLURM_RESTART_COUNT:-0}" = 0 ] ||
        printf 'Restart number %s: continuing from the last checkpoint.\n' "$SLURM_RESTART_COUNT"
    trap at_limit USR1
    LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command" &
    started=$!
    while :; do # a signal ends a wait, too
        wait "$started"
        code=$?
        kill -0 "$started" 2>/dev/null || break
    done
    trap '' USR1
    # What the command ends with is of no account then: Slurm has ended it, and starts it again.
    [ -z "$requeued" ] || exit
    return "$code"
}

# shellcheck disable=SC2329 # a trap calls it, and it the others
at_limit() {
    [ -z "$requeued" ] || return 0
    if [ "${SLURM_RESTART_COUNT:-0}" != 0 ] && ! has_new_checkpoint; then
        : >"$job/no-checkpoint"
        printf 'Error: The time limit is near, and there is no new checkpoint since the last restart. The run ends.\n'
        end_started
        return
    fi
    printf 'The time limit is near: the run is requeued, and will continue from its checkpoint.\n'
    requeued=yes
    said=$(scontrol requeue "$SLURM_JOB_ID" 2>&1)
    code=$? # of a signal, where what is requeued was ended, and scontrol with it
    if [ "$code" != 0 ] && [ "$code" -lt 128 ]; then
        requeued=''
        printf 'Error: Slurm did not requeue the run: %s\n' "$said"
    fi
}

# shellcheck disable=SC2329
# has_new_checkpoint: whether a file that is called like one is newer than the start of this attempt
has_new_checkpoint() {
    for place in "outputs/"*/"$id" ".lab/code/$id"; do
        found=$(cd "$place" 2>/dev/null && find . \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -o \
            -type f -newer "$job/attempt" \
            \( -path '*[Cc]heckpoint*' -o -path '*ckpt*' -o -name 'last.*' \) -print | head -n 1)
        [ -z "$found" ] || return 0
    done
    return 1
}

# shellcheck disable=SC2329
# end_started: ask everything that the command has started on this node to end, and kill the command if it
# does not within ten seconds; Slurm ends the rest with the batch script
end_started() {
    left=$(grep -Fls "LAB_JOB_FOLDER=$job/" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n')
    for one in $left "$started"; do
        kill -s TERM "$one" 2>/dev/null
    done
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$started" 2>/dev/null || return 0
        sleep 1
    done
    kill -s KILL "$started" 2>/dev/null
}
