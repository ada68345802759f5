# needs: enter
# shellcheck shell=sh disable=SC2154
# The command of a session's job; FAR, KIND and IDLE_HOURS are set before it.
exec "$python" "$FAR" serve "$KIND" --idle-hours "$IDLE_HOURS"
