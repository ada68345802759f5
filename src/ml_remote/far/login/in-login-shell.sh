# shellcheck shell=sh disable=SC2016
# in_login_shell NUMBER LINE... COMMAND...: run the command in a login shell in which these lines, as
# many as the number says, have been run before; where there is no Slurm, without them. What start-up
# files print is left out. The exit code is 91 when a line fails, or when start-up files end the shell.
in_login_shell() {
    unread=$(mktemp "${TMPDIR:-/tmp}/lab-XXXXXXXX") || return
    login=$(command -v bash || command -v sh)
    "$login" -l -c '
        exec >&3 2>&4 3>&- 4>&-
        rm -f "$0"
        lab_folder=$1 lab_left=$2
        shift 2
        [ -n "${SLURM_JOB_ID-}" ] || command -v sbatch >/dev/null 2>&1 || lab_without=yes
        trap "printf \"Error: This line of prepare in [slurm] failed: %s\n\" \"\$1\" >&2; exit 91" EXIT
        while [ "$lab_left" -gt 0 ]; do
            [ -n "${lab_without-}" ] || eval "$1" || exit
            lab_left=$((lab_left - 1))
            shift
        done
        trap - EXIT
        cd "$lab_folder" || exit
        unset lab_folder lab_left lab_without
        exec "$@"' "$unread" "$PWD" "$@" 3>&1 4>&2 >/dev/null 2>&1 </dev/null
    code=$?
    [ -e "$unread" ] || return "$code"
    rm -f "$unread"
    printf 'Error: Your start-up files exit the login shell (%s -l), so prepare in [slurm] cannot run.\n' "$login" >&2
    printf '  If one has `exec zsh` or the like, put this before it: case $- in *i*) ;; *) return ;; esac\n' >&2
    return 91
}
