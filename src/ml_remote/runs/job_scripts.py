"""What runs on the remote machine to start, list, follow and stop long commands: POSIX sh only.

Each job has a folder `.lab/jobs/<id>/` (0700) in the project's folder there:

    about     kind, start (seconds since 1970) and name; while it is missing there is no job
    command   the script that does the work, run in the project's folder
    runner    the script that runs it and notes how it ended
    log       everything it printed
    pid       the runner's process, its machine, and when that process began
    exit      exit code and end; blank until then: a full disk cannot keep it from being written
    stopped   there when somebody stopped it

A process number means nothing once its process has ended, so it counts only together with the
moment when that process began. The work carries its folder in LAB_JOB_FOLDER: on Linux that finds
each of its processes, even one whose parents are gone; elsewhere the tree of processes has to do.

Where there is a file `slurm` as well, Slurm runs the job: see slurm/scripts.py.
"""

from __future__ import annotations

from ..slurm.scripts import SLURM, SUBMIT

__all__ = [
    "COMMON",
    "DISK",
    "FOLLOW",
    "LIST",
    "NO_FOLDER",
    "NO_JOB",
    "QUEUE",
    "RUNNER",
    "START",
    "STOP",
]

NO_FOLDER = 3
"""The exit code of every script when the project's folder is not there."""
NO_JOB = 4
"""The exit code when the job is not there."""
DISK = 5
"""The exit code when nothing can be written; the script prints how many KiB are free."""

_STARTED = r"""
# started PROCESS: when it began; nothing once it has ended
started() {
    if [ -r /proc/self/stat ]; then
        sed -n 's/^.*) \([^ZX] \)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
    else
        ps -p "$1" -o stat= -o lstart= | sed -n '/^Z/!s/^[^ ]* *\(.*[^ ]\) *$/\1/p'
    fi
}
"""

# Written to the machine as it stands; its only argument is the job's id.
RUNNER = f"""{_STARTED}
job=$(pwd -P)/.lab/jobs/$1
printf '%s %s %s\\n' "$$" "$(uname -n)" "$(started "$$")" >"$job/pid" || exit
mv "$job/about.new" "$job/about" || exit
exec </dev/null >>"$job/log" 2>&1 # whoever started this waits until its output is closed
trap : HUP INT TERM # stay to note how the command ended; it gets the signals itself
LAB_JOB=$1 LAB_JOB_FOLDER=$job/ sh "$job/command"
code=$?
printf '%-3s %s\\n' "$code" "$(date +%s)" 1<>"$job/exit"
"""

COMMON = f"""{_STARTED}
{SLURM}
CDPATH=
cd && cd -- "$1" 2>/dev/null || exit {NO_FOLDER}
shift

# runs JOB: whether its runner is there; on another machine nobody can tell, so it counts
runs() {{
    if [ -s "$1/slurm" ]; then
        in_slurm "$1"
        return
    fi
    process='' host='' began=''
    {{ read -r process host began; }} 2>/dev/null <"$1/pid"
    [ -n "$began" ] && {{ [ "$host" != "$(uname -n)" ] || [ "$(started "$process")" = "$began" ]; }}
}}

# has_ended JOB: whether it has noted its end
has_ended() {{
    code='' ended=''
    {{ read -r code ended; }} 2>/dev/null <"$1/exit"
    [ -n "$ended" ]
}}

# is_over JOB: whether nothing more is to come
is_over() {{
    if [ -s "$1/slurm" ]; then ! in_slurm "$1"; else has_ended "$1" || ! runs "$1"; fi
}}

# describe JOB: one line about it, as jobs.py reads it
describe() {{
    [ -f "$1/about" ] || return 0
    read -r kind start name <"$1/about"
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
            ended=${{ended_at:--}}
        fi
        [ ! -s "$1/began" ] || is_waiting || read -r start <"$1/began"
    fi
    where=''
    {{ read -r _ where _; }} 2>/dev/null <"$1/pid"
    printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' "${{1##*/}}" "$kind" "$start" \\
        "$runner" "$code" "$ended" "$stopped" "${{where:--}}" "$slurm" "$name"
}}

now() {{
    printf 'now\\t%s\\t%s\\n' "$(date +%s)" "$(uname -n)"
}}

pause() {{
    sleep 0.2 2>/dev/null || sleep 1
}}
"""

START = f"""{COMMON}
kind=$1 name=$2 command=$3 runner=$4 launcher=$5
no_room() {{
    df -Pk . | awk 'END {{ print $4 }}'
    exit {DISK}
}}
mkdir -p .lab/jobs 2>/dev/null || no_room
time=$(date +%Y-%m-%d_%H-%M-%S) # as in outputs/<lab>/<time>
id=$time number=1
until mkdir -m 700 ".lab/jobs/$id" 2>/dev/null; do
    [ -d ".lab/jobs/$id" ] || no_room
    number=$((number + 1))
    id=${{time}}_$number
done
job=.lab/jobs/$id
{{
    printf '%s' "$command" >"$job/command" &&
        printf '%s' "$runner" >"$job/runner" &&
        printf '%-20s\\n' '' >"$job/exit" &&
        : >"$job/log" &&
        printf '%s %s %s\\n' "$kind" "$(date +%s)" "$name" >"$job/about.new"
}} 2>/dev/null || {{
    rm -rf "$job"
    no_room
}}
if [ "$launcher" = slurm ]; then
{SUBMIT}
else
    detach='nohup'
    ! command -v setsid >/dev/null 2>&1 || detach='setsid'
    said=$($detach sh "$job/runner" "$id" 2>&1 &)
    [ -f "$job/about" ] || {{
        rm -rf "$job"
        printf '%s\\n' "$said" >&2
        exit 1
    }}
fi
now
describe "$job"
"""

LIST = f"""{COMMON}
now
for job in ".lab/jobs/"${{1:-*}}; do
    describe "$job"
done
"""

FOLLOW = f"""{COMMON}
job=.lab/jobs/$1
[ -f "$job/about" ] || exit {NO_JOB}
exec 3<"$job/log"
tail -c "+$(($2 + 1))" <&3
ticks=0
while :; do
    # Looked at before the log is read: what comes last is not missed.
    over=''
    if [ -s "$job/slurm" ]; then
        # Its controller serves a whole cluster, so it is not asked all the time.
        if [ $((ticks % 50)) -eq 0 ] || {{ [ $((ticks % 5)) -eq 0 ] && has_ended "$job"; }}; then
            asked=''
            ! is_over "$job" || over=yes
        fi
    elif has_ended "$job" || {{ [ $((ticks % 5)) -eq 0 ] && ! runs "$job"; }}; then
        over=yes
    fi
    cat <&3
    [ -z "$over" ] || exit 0
    pause
    ticks=$((ticks + 1))
    # Nobody may be there any more: writing is how that is noticed.
    [ $((ticks % 25)) -ne 0 ] || echo >&2 || exit
done
"""

QUEUE = f"""{COMMON}
job=.lab/jobs/$1
[ -f "$job/about" ] || exit {NO_JOB}
nap=0
while
    [ "$nap" -ge 30 ] || nap=$((nap + 1))
    sleep "$nap"
    # Nobody may be there any more: writing is how that is noticed.
    echo >&2 || exit
    asked=''
    look "$job"
    is_waiting && [ "$reason" = "$2" ]
do :; done
now
describe "$job"
"""
"""Waits while a job waits in Slurm's queue for the reason $2."""

STOP = f"""{COMMON}
job=.lab/jobs/$1
[ -f "$job/about" ] || exit {NO_JOB}
if [ -s "$job/slurm" ]; then
    patience=$(($(date +%s) + 30 + $2))
    if ! is_over "$job"; then
        : >"$job/stopped"
        patiently scancel "$number" >&2
        while asked='' && ! is_over "$job" && [ "$(date +%s)" -lt "$patience" ]; do
            sleep 1
        done
    fi
    now
    describe "$job"
    exit
fi
mark=LAB_JOB_FOLDER=$(pwd -P)/$job/

# members: the processes of the job, all but its runner
members() {{
    runner=none
    ! runs "$job" || runner=$process
    if [ -r /proc/self/stat ]; then
        grep -Fls "$mark" /proc/[0-9]*/environ | sed 's|^/proc/\\([0-9]*\\)/.*|marked \\1|'
        cat /proc/[0-9]*/stat 2>/dev/null |
            sed -n 's/^\\([0-9]*\\) (.*) [^ZX] \\([0-9]*\\) .*/process \\1 \\2/p'
    else
        ps -A -o stat= -o pid= -o ppid= | awk '$1 !~ /^Z/ {{ print "process", $2, $3 }}'
    fi | awk -v runner="$runner" '
        BEGIN {{ ours[runner] }}
        $1 == "marked" {{ ours[$2] }}
        $1 == "process" {{ parent[$2] = $3 }}
        END {{
            do {{
                found = 0
                for (one in parent)
                    if (!(one in ours) && (parent[one] in ours)) {{ ours[one]; found = 1 }}
            }} while (found)
            for (one in ours)
                if (one in parent && one != runner) print one
        }}'
}}

# end SIGNAL SECONDS: send it to every process of the job, wait so long; whether all are gone
end() {{
    told=' '
    patience=$(($(date +%s) + $2))
    while :; do
        left=$(members)
        [ -n "$left" ] || return 0
        for one in $left; do
            case $told in
            *" $one "*) ;;
            *) kill -s "$1" "$one" 2>/dev/null; told="$told$one " ;;
            esac
        done
        [ "$(date +%s)" -lt "$patience" ] || return 1
        pause
    done
}}

if runs "$job" && [ "$host" != "$(uname -n)" ]; then
    now
    describe "$job"
    exit 0
fi
has_ended "$job" || {{ : >"$job/stopped"; }} 2>/dev/null
end TERM "$2" || end KILL 10
patience=$(($(date +%s) + 5)) # the runner ends by itself once it has noted the end
while runs "$job" && [ "$(date +%s)" -lt "$patience" ]; do
    pause
done
! runs "$job" || kill -s KILL "$process" 2>/dev/null
now
describe "$job"
"""
