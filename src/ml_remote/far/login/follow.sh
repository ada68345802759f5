# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Prints a job's log from byte $2 on, as it grows, until the job $1 is over. Then standard error has
# a mark, and how the job has ended.
job=.lab/jobs/$1
is_job "$job" || exit "$NO_JOB"
exec 3<"$job/log"
tail -c "+$(($2 + 1))" <&3
ticks=0
while :; do
    # Looked at before the log is read: what comes last is not missed.
    over=''
    if is_slurms "$job"; then
        # Its controller serves a whole cluster, so it is not asked all the time.
        if [ $((ticks % 50)) -eq 0 ] || { [ $((ticks % 5)) -eq 0 ] && has_ended "$job"; }; then
            asked=''
            ! is_over "$job" || over=yes
        fi
    elif has_ended "$job" || { [ $((ticks % 5)) -eq 0 ] && ! runs "$job"; }; then
        over=yes
    fi
    cat <&3
    if [ -n "$over" ]; then
        printf '== lab over ==\n' >&2
        finish_code "$job"
        now >&2
        describe "$job" >&2
        exit 0
    fi
    pause
    ticks=$((ticks + 1))
    # Nobody may be there any more: writing is how that is noticed.
    [ $((ticks % 25)) -ne 0 ] || echo >&2 || exit
done
