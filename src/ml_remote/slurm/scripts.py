"""What runs on a cluster to hand a lab over to Slurm and to ask what became of it: POSIX sh only.

A job that Slurm runs is a job like any other (see runs/job_scripts.py), with one difference: its
runner is the batch script, and Slurm starts it, on a compute node. The home directory is shared,
so the login node sees the log grow and the end noted, and no process of ours lives there: a login
node may end all processes of a person and be restarted, and the run is still listed, followed and
stopped. Three more files lie in the job's folder:

    slurm       Slurm's number for the job; where it is, Slurm decides whether the job is over
    began       when the batch script began last (seconds since 1970)
    slurm-end   Slurm's last word, the time and the reason; Slurm itself forgets after minutes

Slurm's word is asked for although the exit code is noted: srun ends with 0 when a node fails, and a
job that was stopped to make room (requeued) waits again after its command has ended.
"""

from __future__ import annotations

__all__ = ["BATCH", "NO_SLURM", "REFUSED", "SLURM", "SUBMIT", "TORCHRUN"]

NO_SLURM = 6
"""The exit code of START when the machine has no sbatch."""
REFUSED = 7
"""The exit code of START when sbatch refuses; what it says is printed, then the partitions."""

# Functions that every script about jobs has.
SLURM = r"""
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
"""

# A part of START: $job, $id and no_room are there, and its folder is prepared.
SUBMIT = rf"""
refused() {{
    printf '%s\n' "$said"
    printf 'partitions %s\n' "$(patiently sinfo --noheader --format=%R 2>/dev/null | tr '\n' ' ')"
    rm -rf "$job"
    exit {REFUSED}
}}
find_slurm || {{
    rm -rf "$job"
    exit {NO_SLURM}
}}
said=$(sbatch --parsable --output="$job/log" --open-mode=append "$job/runner" "$id" 2>&1) || refused
number=$(printf '%s\n' "$said" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)*$/\1/p')
{{
    # The batch script does the same, should the connection be lost before this.
    printf '%s\n' "$number" >"$job/slurm.new" && mv "$job/slurm.new" "$job/slurm" &&
        {{ [ -f "$job/about" ] || mv "$job/about.new" "$job/about"; }}
}} 2>/dev/null || {{
    [ -f "$job/about" ] || {{ scancel "$number"; no_room; }}
}}
"""

# The runner of a job that Slurm runs. Its only argument is the job's id; {options} are lines.
BATCH = r"""#!/bin/sh
{options}
job=$(pwd -P)/.lab/jobs/$1
printf '%s\n' "$SLURM_JOB_ID" >"$job/slurm.batch" && mv "$job/slurm.batch" "$job/slurm" || exit
[ ! -f "$job/about.new" ] || mv "$job/about.new" "$job/about" 2>/dev/null
date +%s >"$job/began"
printf '%-20s\n' '' 1<>"$job/exit" # Slurm may start it again
trap : TERM # stay to note how the command ended; it gets the signal itself
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
code=$?
printf '%-3s %s\n' "$code" "$(date +%s)" 1<>"$job/exit"
exit "$code"
"""

# Behind what sets LAB_OUTPUT_DIR. One torchrun on each node; they meet at the first one, at the
# address by which Slurm itself reaches it. torchrun listens on every network for whoever comes, so
# a process that is alone does without. {words} are the script and its arguments.
TORCHRUN = r"""
[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
exec srun --ntasks-per-node=1 --kill-on-bad-exit=1 --wait=0 sh -c '
    address() {{
        found=$(scontrol --oneliner show node "$1" | sed -n "s/.* NodeAddr=\([^ ]*\) .*/\1/p")
        printf "%s\n" "${{found:-$1}}"
    }}
    first=$1 processes=${{SLURM_GPUS_ON_NODE:-1}}
    shift
    if [ "$SLURM_JOB_NUM_NODES" = 1 ]; then
        [ "$processes" -gt 1 ] || exec .venv/bin/python "$@"
        set -- --standalone "$@"
    else
        is_host=0
        [ "$SLURM_NODEID" != 0 ] || is_host=1
        set -- --nnodes "$SLURM_JOB_NUM_NODES" --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d \
            --rdzv-endpoint "$(address "$first"):$((20000 + SLURM_JOB_ID % 10000))" \
            --rdzv-conf is_host=$is_host --local-addr "$(address "$SLURMD_NODENAME")" "$@"
    fi
    exec .venv/bin/python -m torch.distributed.run --nproc-per-node "$processes" "$@"
' torchrun "$first" {words}
"""
