# shellcheck shell=sh disable=SC2034,SC2154
# Slurm's word on a job; see runs/launchers/slurm.py.
# find_slurm: whether its commands are there; a login shell may find them where sh does not
find_slurm() {
    ! command -v sbatch >/dev/null 2>&1 || return 0
    profile=$("$(command -v bash || command -v sh)" -l -c env 2>/dev/null </dev/null)
    PATH=$PATH:$(printf '%s\n' "$profile" | sed -n 's/^PATH=//p' | tail -n 1)
    configuration=$(printf '%s\n' "$profile" | sed -n 's/^SLURM_CONF=//p' | tail -n 1)
    [ -z "$configuration" ] || export SLURM_CONF="$configuration"
    command -v sbatch >/dev/null 2>&1
}

# patiently COMMAND...: run it for up to 20 seconds; a controller that is down keeps people waiting
patiently() {
    if command -v timeout >/dev/null 2>&1; then timeout 20 "$@"; else "$@"; fi
}

# ask_slurm: read the queue into $queue, once unless $asked is emptied
ask_slurm() {
    [ -z "$asked" ] || return 0
    asked=yes
    find_slurm && queue=$(patiently squeue --noheader --user="$(id -u)" --states=all \
        --format='%i|%T|%e|%r' 2>/dev/null) || asked=failed
}
asked=''

# look JOB: Slurm's number for it, its state and the reason in $number, $word and $reason
look() {
    number='' word='' ended_at='' reason=''
    read -r number <"$1/slurm"
    case $number in *[!0-9A-Za-z_.-]*)
        word=UNKNOWN
        return
        ;;
    esac
    if [ -s "$1/slurm-end" ]; then
        read -r word ended_at reason <"$1/slurm-end"
        return
    fi
    ask_slurm
    if [ "$asked" = failed ]; then
        word=UNKNOWN
        return
    fi
    said=$(printf '%s\n' "$queue" | sed -n "s/^$number|//p")
    if [ -z "$said" ]; then # it has been forgotten, except where there is accounting
        said=$(patiently sacct --noheader --allocations --parsable2 --jobs="$number" \
            --format=State,End 2>/dev/null | sed -n '1s/^\([A-Z_]*\)[^|]*|\(.*\)/\1|\2|/p')
        said=${said:-GONE||}
    fi
    word=${said%%|*} said=${said#*|}
    ended_at=${said%%|*}
    ended_at=$(date -d "${ended_at:-now}" +%s 2>/dev/null || date +%s)
    reason=${said#*|}
    ! is_settled || {
        printf '%s %s %s\n' "$word" "$ended_at" "$reason" >"$1/slurm-end.new.$$" &&
            mv "$1/slurm-end.new.$$" "$1/slurm-end"
    } 2>/dev/null
}

# is_settled: whether nothing follows $word any more
is_settled() {
    case $word in
    BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | \
        PREEMPTED | REVOKED | TIMEOUT | GONE) return 0 ;;
    esac
    return 1
}

# is_waiting: whether $word is one of the queue
is_waiting() {
    case $word in
    PENDING | REQUEUE* | RESV_DEL_HOLD | SPECIAL_EXIT) return 0 ;;
    esac
    return 1
}

# in_slurm JOB: whether it waits or runs; where Slurm does not answer, an end that is noted counts
in_slurm() {
    look "$1"
    if [ "$word" = UNKNOWN ]; then ! has_ended "$1"; else ! is_settled; fi
}
