# shellcheck shell=sh disable=SC2034,SC2154
# started PROCESS: when it began; nothing once it has ended
started() {
    if [ -r /proc/self/stat ]; then
        sed -n 's/^.*) \([^ZX] \)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
    else
        ps -p "$1" -o stat= -o lstart= | sed -n '/^Z/!s/^[^ ]* *\(.*[^ ]\) *$/\1/p'
    fi
}
