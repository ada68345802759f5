# needs: cluster in-login-shell quota free-space
# shellcheck shell=sh disable=SC2154
# What `lab doctor` asks a cluster: whether its controller answers, its nodes, whether the lines of
# prepare can be run ($2 is how many there are, they follow), and how the folder for downloads is, $1.
# The first word is that of cluster.sh. Every line of ours has a mark.
cd || exit
cache=$1
shift
disk_of() { df -Pk "$1" 2>/dev/null | awk 'END { print $1 }'; }
say() { printf 'lab-rule %s\n' "$*"; }
[ -z "$cache" ] || {
    place=$cache
    while [ ! -d "$place" ] && [ "$place" != "${place%/*}" ]; do place=${place%/*}; done
    place=${place:-/} state=works
    [ "$(disk_of "$place")" != "$(disk_of "$HOME")" ] || state=home
    [ -w "$place" ] || state=closed
    say cache "$state" "$(free_kib "$place")" "$(disk_of "$place")"
    quotas "$place"
}
[ "$1" = 0 ] || {
    said=$(in_login_shell "$@" true 2>&1)
    say prepare "$?" "$(printf '%s\n' "$said" | sed -n 's/^Error: //p' | head -n 1)"
}
if find_slurm; then
    ping=$(patiently scontrol ping | tr '\n' ' ')
    say ping "$ping"
    case $ping in *UP*) cluster ;; esac
fi
