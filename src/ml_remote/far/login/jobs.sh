# needs: folder processes slurm
# shellcheck shell=sh disable=SC2034,SC2154
# What every script about jobs has; see jobs/__init__.py.
# runs JOB: whether its runner is there; on another machine nobody can tell, so it counts
runs() {
    if [ -s "$1/slurm" ]; then
        in_slurm "$1"
        return
    fi
    process='' host='' began=''
    { read -r process host began; } 2>/dev/null <"$1/pid"
    [ -n "$began" ] && { [ "$host" != "$(uname -n)" ] || [ "$(started "$process")" = "$began" ]; }
}

# has_ended JOB: whether it has noted its end
has_ended() {
    code='' ended=''
    { read -r code ended; } 2>/dev/null <"$1/exit"
    [ -n "$ended" ]
}

# is_over JOB: whether nothing more is to come
is_over() {
    if [ -s "$1/slurm" ]; then ! in_slurm "$1"; else has_ended "$1" || ! runs "$1"; fi
}

# is_job JOB: whether it is one; format 1, of older versions, has a line of text
is_job() {
    [ -f "$1/about.json" ] || [ -f "$1/about" ]
}

# describe JOB: one line about it, as jobs/job.py reads it
describe() {
    start='' about=''
    if [ -f "$1/about.json" ]; then
        form=json
        { read -r about; } 2>/dev/null <"$1/about.json"
        { read -r start; } 2>/dev/null <"$1/started"
    elif [ -f "$1/about" ]; then
        form=text
        read -r kind start about <"$1/about"
        about="$kind $about"
    else
        return 0
    fi
    stopped=-
    [ ! -e "$1/stopped" ] || stopped=stopped
    # The runner first: should it end in between, its end has been noted by then.
    runner=gone
    is_over "$1" || runner=there
    has_ended "$1" || code=- ended=-
    slurm=-
    if [ -s "$1/slurm" ]; then
        slurm="$number $word $reason"
        if [ "$runner" = there ]; then
            code=- ended=-
            ! is_waiting || runner=waits
        elif [ "$ended" = - ]; then
            ended=${ended_at:--}
        fi
        [ ! -s "$1/began" ] || is_waiting || read -r start <"$1/began"
    fi
    where=''
    { read -r _ where _; } 2>/dev/null <"$1/pid"
    printf 'job\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${1##*/}" "$start" "$runner" \
        "$code" "$ended" "$stopped" "${where:--}" "$slurm" "$form" "$about"
}

now() {
    printf 'now\t%s\t%s\n' "$(date +%s)" "$(uname -n)"
}

pause() {
    sleep 0.2 2>/dev/null || sleep 1
}
