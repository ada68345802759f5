# shellcheck shell=sh disable=SC2154
# The command of the job that `lab node` submits: serves logins until nobody needs the node. FAR is the
# folder of the far half, IDLE the minutes without use after which the job ends.
for python in python3 /usr/bin/python3 .venv/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null; then
        exec "$python" -s -E "$FAR" node "$IDLE"
    fi
done
printf 'no-python\n%s\n' "${SLURMD_NODENAME:-$(uname -n)}" >"${LAB_JOB_FOLDER}node"
while :; do sleep 3600; done
