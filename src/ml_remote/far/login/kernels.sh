# needs: logout
# shellcheck shell=sh
# kernels WORDS: what the far half says of the kernels that outlive their window, or does with them;
# nothing where nobody's window has left one
kernels() {
    [ -e .lab/far/current ] || return 0 # no setup, no hook
    for base in /tmp /var/tmp; do
        [ -d "$base/lab-kernels-$(id -u)" ] || continue
        for python in .venv/bin/python python3; do
            "$python" -I .lab/far/current kernels "$@" 2>/dev/null && return
        done
        printf 'kernels-fault\n'
        return
    done
}
