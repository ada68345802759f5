# needs: folder processes slurm
# shellcheck shell=sh disable=SC2034,SC2154
# What every script about jobs has; see jobs/__init__.py.
# runs JOB: whether its runner is there; on another machine nobody can tell, so it counts
runs() {
    is_sound "$1" || return
    if is_slurms "$1"; then
        in_slurm "$1"
        return
    fi
    process='' host='' began=''
    { read -r process host began; } 2>/dev/null <"$1/pid"
    [ -n "$began" ] || return
    if is_here "$1"; then
        [ "$(started "$process")" = "$began" ]
    else
        [ ! -e "$1/replaced" ] && ! is_without_node "$1"
    fi
}

# is_without_node JOB: whether it ran on a compute node whose job of Slurm is over
is_without_node() {
    { read -r within; } 2>/dev/null <"$1/within" || return
    case $within in '' | *[!0-9]*) return 1 ;; esac
    ask_slurm
    [ "$asked" != failed ] || return
    word=$(printf '%s\n' "$queue" | sed -n "s/^$within|\([A-Z_]*\).*/\1/p")
    word=${word:-GONE}
    is_settled
}

# is_here JOB: whether this machine has started it, whatever its name was then; after runs
is_here() {
    [ "$process $host $began $(this_boot)" != "$(cat "$1/boot" 2>/dev/null)" ] || return 0
    [ "$host" = "$(uname -n)" ] || return 1
    # This machine before a restart; or another container with its name, which still gives signs.
    [ ! -s "$1/boot" ] || [ ! -e "$1/sign" ] || [ -n "$(silence "$1")" ]
}

# silence JOB: how many seconds its runner on another machine has given no sign, when that is long.
# Clocks differ, so the file that it touches is compared with one that is touched now.
silence() {
    [ -e "$1/sign" ] || return 0
    touch .lab/jobs/.now
    seconds=$(($(changed .lab/jobs/.now) - $(changed "$1/sign")))
    [ "$seconds" -lt 120 ] || echo "$seconds"
} 2>/dev/null

# changed FILE: when (seconds since 1970), by the clock of its file system
changed() {
    stat -c %Y "$1" 2>/dev/null || stat -f %m "$1"
}

# has_ended JOB: whether it has noted its end
has_ended() {
    code='' ended=''
    is_sound "$1" || return
    { read -r code ended; } 2>/dev/null <"$1/exit"
    [ -n "$ended" ]
}

# is_over JOB: whether nothing more is to come
is_over() {
    is_sound "$1" || return 0
    if is_slurms "$1"; then ! in_slurm "$1"; else has_ended "$1" || ! runs "$1"; fi
}

# end_secrets JOB: remove its own secrets if it is over; a runner that was killed could not
end_secrets() {
    [ ! -d "$1/secrets" ] || ! is_job "$1" || ! is_over "$1" || rm -rf "$1/secrets"
}

# finish_code JOB: move what it has written in its checkout into its results if it is over; a runner
# that was killed could not. In a folder that a group may write to, a job may be somebody else's.
finish_code() {
    [ ! -f "$1/finish" ] || ! is_job "$1" || is_foreign "$1" || ! is_over "$1" ||
        sh "$1/finish" </dev/null >>"$1/log" 2>&1
}

# named JOB: whether this is the name of a job; only such a name is printed
named() {
    case ${1##*/} in
    [!0-9A-Za-z]* | *[!0-9A-Za-z_.-]*) return 1 ;;
    esac
}

# is_there FILE: whether there is anything of this name, a link that leads nowhere included
is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

# is_job JOB: whether it is one; format 1, of older versions, has a line of text
is_job() {
    named "$1" && { is_there "$1/about.json" || is_there "$1/about"; }
}

# is_sound JOB: whether what is read of it are files, and none is so large, or such a pipe or device,
# that reading it would not come to an end; of one that is being described that is known
described=''
is_sound() {
    [ "$1" != "$described" ] || return 0
    [ -n "${huge+known}" ] || huge=$(those_read -type f -size +2048)
    case $huge in *"$1/"*) return 1 ;; esac
    if [ -n "${odd+known}" ]; then
        case $odd in *"$1/"*) ;; *) return 0 ;; esac
    fi
    for read in about.json about started exit pid boot code line slurm slurm-array slurm-end began requeues session within command; do
        [ -f "$1/$read" ] || ! [ -e "$1/$read" ] || return
    done
}

# those_read TEST...: which of what is read of all jobs passes a test of find
those_read() {
    find .lab/jobs "$@" \( -name about.json -o -name about -o -name started -o -name exit -o -name pid \
        -o -name boot -o -name code -o -name line -o -name 'slurm*' -o -name began -o -name requeues \
        -o -name session -o -name within -o -name command \) 2>/dev/null
}

# look_at_all: find out at once which jobs is_sound has to look at more closely; before looking at all
# of them once
look_at_all() {
    odd=$(those_read ! -type f)
}

# describe JOB: one line about it, as jobs/job.py reads it
abouts_follow=''
describe() {
    start='' about=''
    if [ -d "$1" ] && ! [ -x "$1" ]; then
        ! named "$1" || printf 'shut\t%s\n' "${1##*/}"
        return 0
    elif ! is_job "$1"; then
        named "$1" || ! [ -d "$1" ] ||
            printf 'odd\t%s\n' "$(printf %s "${1##*/}" | LC_ALL=C tr -c '0-9A-Za-z_.-' '?')"
        return 0
    elif ! is_sound "$1"; then
        printf 'job\t%s\t\t\t\t\t\t\t\t\t\n' "${1##*/}" # damaged, as its description is empty
        return 0
    fi
    described=$1
    if is_there "$1/about.json"; then
        form=json
        [ -n "$abouts_follow" ] || { read -r about; } 2>/dev/null <"$1/about.json"
        { read -r start; } 2>/dev/null <"$1/started"
    else
        form=text
        kind=''
        { read -r kind start about; } 2>/dev/null <"$1/about"
        about="$kind $about"
    fi
    stopped=-
    [ ! -e "$1/stopped" ] || stopped=stopped
    # The runner first: should it end in between, its end has been noted by then.
    runner=gone
    is_over "$1" || runner=there
    if [ "$runner" = there ] && [ ! -s "$1/slurm" ] && ! is_here "$1"; then
        silent=$(silence "$1")
        [ -z "$silent" ] || runner=silent:$silent
    fi
    has_ended "$1" || code=- ended=-
    slurm=-
    if is_slurms "$1"; then
        slurm="$number $word $reason"
        if [ "$runner" = there ]; then
            code=- ended=-
            ! is_waiting || runner=waits
        elif [ "$ended" = - ]; then
            ended=${ended_at:--}
        fi
        requeues=0
        [ ! -s "$1/requeues" ] || read -r requeues <"$1/requeues"
        if [ -s "$1/began" ] && is_waiting; then
            printf 'requeues\t%s\t%s\n' "${1##*/}" "$((requeues + 1))"
        elif [ "$requeues" != 0 ]; then
            printf 'requeues\t%s\t%s\n' "${1##*/}" "$requeues"
        fi
        [ ! -s "$1/began" ] || read -r start <"$1/began"
    fi
    if [ "$runner" = there ] && [ -s "$1/line" ]; then
        runner=waits
        { read -r place of && printf 'line\t%s\t%s\t%s\n' "${1##*/}" "$place" "$of"; } <"$1/line"
    fi
    [ ! -s "$1/code" ] || {
        { read -r _ && read -r _ && read -r _ && read -r _ && read -r _ && read -r remark; } <"$1/code"
        [ -z "$remark" ] || printf 'code\t%s\t%s\n' "${1##*/}" "$remark"
    }
    [ -s "$1/slurm" ] || [ ! -s "$1/began" ] || read -r start <"$1/began"
    where=''
    { read -r _ where _; } 2>/dev/null <"$1/pid"
    printf 'job\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${1##*/}" "$start" "$runner" \
        "$code" "$ended" "$stopped" "${where:--}" "$slurm" "$form" "$about"
    described=''
}

now() {
    printf 'now\t%s\t%s\n' "$(date +%s)" "$(uname -n)"
}

pause() {
    sleep 0.2 2>/dev/null || sleep 1
}
