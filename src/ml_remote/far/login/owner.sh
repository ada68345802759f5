# shellcheck shell=sh
# is_foreign FOLDER: whether it, or what the tool keeps in it, belongs to another user, who could
# change at any time what runs in it; root may
is_foreign() {
    [ -n "$(find -H "$1" "$1/.lab" -prune ! -user "$(id -u)" ! -user 0 2>/dev/null)" ]
}
