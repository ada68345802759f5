"""What runs on the remote machine to find a session and to watch it: POSIX sh only.

A session is a job (see runs/jobs.py) that runs the far half's `serve` there. That writes the
path of a private directory into the file `session` in the job's folder; the token and the socket
lie in it.
"""

from __future__ import annotations

from ..scripts import ExitCode, script

__all__ = ["FIND", "SERVE", "TAIL", "WATCH"]

SERVE = f"""[ -x .venv/bin/python ] || exit {ExitCode.NO_ENVIRONMENT}
exec .venv/bin/python"""
"""The command of the job; the far half's folder and its arguments follow."""

_SESSION = f"""{script("jobs")}
job=.lab/jobs/$1
is_job "$job" || exit {ExitCode.NO_JOB}

is_over() {{
    has_ended "$job" || ! runs "$job"
}}

blink() {{
    sleep 0.05 2>/dev/null || sleep 1
}}
"""

FIND = f"""{_SESSION}
until [ -s "$job/session" ]; do
    if is_over; then
        echo ended
        exit 0
    fi
    blink
done
if is_over; then
    echo ended
elif [ "$host" != "$(uname -n)" ]; then
    printf 'elsewhere\\t%s\\t%s\\n' "$host" "$(uname -n)"
else
    read -r directory <"$job/session"
    printf 'here\\t%s\\t%s\\n' "$directory" "$(cat "$directory/token")"
fi
"""
"""Waits until the session has a directory; prints it and the token, or where the session is."""

WATCH = f"""{_SESSION}
# Nobody may be there any more: then the input ends, or else writing fails.
{{
    cat <&3
    kill "$$"
}} >/dev/null 2>&1 &
lifeline=$!
trap 'kill "$lifeline" 2>/dev/null' EXIT
until [ -S "$2/socket" ] || is_over; do
    echo alive || exit
    blink
done
is_over || echo open
until is_over; do
    echo alive || exit
    sleep "$3"
done
if [ -e "$job/stopped" ] || {{ has_ended "$job" && [ "$code" -eq 0 ]; }}; then
    echo ended
else
    echo failed
fi
"""
"""Prints `open` when the session takes connections, and `alive` again and again until it is over.

Then it prints `ended` or, if that was not in order, `failed`. Its own input must be its descriptor
3. The other arguments are the session's directory and how many seconds lie between signs of life.
"""

TAIL = f"""{_SESSION}
tail -n 20 "$job/log"
"""
"""Prints the end of what the session has written to its log."""
