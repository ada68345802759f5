# shellcheck shell=sh disable=SC2154
# The command of a session's job; FAR, KIND and IDLE_HOURS are set before it.
[ -x .venv/bin/python ] || exit "$NO_ENVIRONMENT"
exec .venv/bin/python "$FAR" serve "$KIND" --idle-hours "$IDLE_HOURS"
