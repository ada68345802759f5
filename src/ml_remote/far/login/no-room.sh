# needs: free-space quota
# shellcheck shell=sh disable=SC2154
# without_room: end, as nothing can be written in this folder; print how many KiB are free on its disk. Where a
# quota is used up that says nothing: then whose it is, and what takes how much.
without_room() {
    probe=.lab-room-$$
    said=$({ printf '%8192s' '' | LC_ALL=C cat >"$probe"; } 2>&1)
    rm -f "$probe"
    case $said in
    *[Qq]uota*)
        echo 'quota exceeded'
        quotas "$PWD" "$HOME"
        large
        ;;
    *) free_kib . ;;
    esac
    exit "$DISK"
}
