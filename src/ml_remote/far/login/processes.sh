# shellcheck shell=sh disable=SC2034,SC2154
# this_boot: what this machine keeps until it is restarted, whatever its name is; process numbers mean
# something only within it
this_boot() {
    if [ -r /proc/sys/kernel/random/boot_id ]; then
        read -r boot_id </proc/sys/kernel/random/boot_id
        printf '%s %s\n' "$boot_id" "$(readlink /proc/self/ns/pid 2>/dev/null)"
    else
        sysctl -n kern.bootsessionuuid 2>/dev/null
    fi
}

# started PROCESS: when it began; nothing once it has ended
started() {
    if [ -r /proc/self/stat ]; then
        sed -n 's/^.*) \([^ZX] \)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
    else
        ps -p "$1" -o stat= -o lstart= | sed -n '/^Z/!s/^[^ ]* *\(.*[^ ]\) *$/\1/p'
    fi
}
