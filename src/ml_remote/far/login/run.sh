# needs: secrets
# shellcheck shell=sh disable=SC2154
# run COMMAND...: become the command of a run; $python, $FAR and $tty are set before, and $LAB_GIVEN
# sets what `--env` gives it. What it prints goes through the far half where it must be masked, or is
# to go to a terminal.
run() {
    take_secrets
    if ! command -v "$1" >/dev/null 2>&1 && [ ! -e "$1" ]; then
        printf '%s: no such program on this machine.\n' "$1" >&2
        exit 127
    fi
    # shellcheck disable=SC2086
    [ -z "$secrets$tty" ] || set -- "$python" -s -E "$FAR" program $tty -- "$@"
    eval "${LAB_GIVEN-}"
    unset LAB_GIVEN
    if [ -n "${code_path-}" ]; then
        PYTHONPATH=$code_path${PYTHONPATH:+:$PYTHONPATH}
        export PYTHONPATH
    fi
    exec "$@"
}
