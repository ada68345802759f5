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

# mark WORDS: tell `lab`, where that listens (ssh/waiting.py), so that it can say what it waits for
mark() {
    [ -z "${lab_listens-}" ] || echo "== $1 ==" >&2
}

# limited SECONDS COMMAND...: run it for so long at most, then the exit code is 124; a controller that is
# down keeps people waiting
limited() {
    mark 'lab asks Slurm'
    if command -v timeout >/dev/null 2>&1; then
        timeout "$@" 2>&3
    else
        shift
        "$@" 2>&3
    fi
    limited_code=$?
    mark 'Slurm has answered'
    return "$limited_code"
}

# patiently COMMAND...: run it for up to 20 seconds; what it complains of is not kept
patiently() {
    limited 20 "$@" 3>/dev/null
}

# submit OPTION...: run sbatch for up to 45 seconds; what it complains of is printed, too. A job that a
# busy controller takes after that ends at once: its folder is gone then.
submit() {
    limited 45 sbatch --parsable "$@" 3>&1
}

# ask_slurm: read the queue into $queue, once unless $asked is emptied
ask_slurm() {
    [ -z "$asked" ] || return 0
    asked=yes
    find_slurm && queue=$(patiently squeue --noheader --user="$(id -u)" --states=all \
        --format='%i|%T|%e|%r') || asked=failed
}
asked=''

# is_slurms JOB: whether Slurm runs it; what runs as job arrays has a file of its own, since older
# versions of this would take an array for a job that Slurm has forgotten
is_slurms() {
    [ -s "$1/slurm" ] || [ -s "$1/slurm-array" ]
}

# look JOB: Slurm's number for it, its state and the reason in $number, $word and $reason; all numbers
# of one that runs as several arrays in $numbers
look() {
    numbers='' word='' ended_at='' reason=''
    if [ -s "$1/slurm-array" ]; then
        numbers=$(tr '\n' ' ' <"$1/slurm-array")
    else
        read -r numbers <"$1/slurm"
    fi
    number=${numbers%% *}
    case $numbers in *[!0-9A-Za-z_.\ -]*)
        word=UNKNOWN
        return
        ;;
    esac
    if [ -s "$1/slurm-end" ]; then
        read -r word ended_at reason <"$1/slurm-end"
        [ ! -e "$1/no-checkpoint" ] || reason=NoNewCheckpoint
        return
    fi
    ask_slurm
    if [ "$asked" = failed ]; then
        word=UNKNOWN
        return
    fi
    if [ -s "$1/slurm-array" ]; then
        said=$(in_arrays)
    else
        said=$(printf '%s\n' "$queue" | sed -n "s/^$number|//p")
    fi
    if [ -z "$said" ]; then # it has been forgotten, except where there is accounting
        said=$(patiently sacct --noheader --allocations --parsable2 --jobs="$number" \
            --format=State,End | sed -n '1s/^\([A-Z_]*\)[^|]*|\(.*\)/\1|\2|/p')
        said=${said:-GONE||}
    fi
    word=${said%%|*} said=${said#*|}
    ended_at=${said%%|*}
    ended_at=$(date -d "${ended_at:-now}" +%s 2>/dev/null || date +%s)
    reason=${said#*|}
    [ ! -e "$1/no-checkpoint" ] || reason=NoNewCheckpoint # ours: see until-done.sh
    ! is_settled || {
        printf '%s %s %s\n' "$word" "$ended_at" "$reason" >"$1/slurm-end.new.$$" &&
            mv "$1/slurm-end.new.$$" "$1/slurm-end"
    } 2>/dev/null
}

# in_arrays: what the queue says of the tasks of the arrays $numbers: the word of one that runs, else of
# one that waits, else of any. A word that is not known is no end: a task may be on its way to another state.
in_arrays() {
    for one in $numbers; do
        printf '%s\n' "$queue" | sed -n "s/^${one}\(_[^|]*\)\{0,1\}|//p"
    done | awk -F '|' '
        $1 ~ /^(PENDING|REQUEUE.*|RESV_DEL_HOLD|SPECIAL_EXIT)$/ { waits = $0; next }
        $1 !~ /^(BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|REVOKED|TIMEOUT)$/ { runs = $0 }
        { any = $0 }
        END { print runs ? runs : waits ? waits : any }'
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
