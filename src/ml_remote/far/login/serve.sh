# needs: enter identity secrets
# shellcheck shell=sh disable=SC2034,SC2154
# The command of a session's job; FAR, KIND, IDLE_HOURS, git_name and git_email are
# set before it.
take_secrets
exec "$python" "$FAR" serve "$KIND" --idle-hours "$IDLE_HOURS"
