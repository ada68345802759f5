# needs: jobs no-room
# shellcheck shell=sh disable=SC2154
# Puts the far half $1 into the project, and removes old ones. $2 is a script: it writes the files
# into the folder that is its first argument. That folder is renamed, so what is in place is complete.
far=$1
all=${far%/*}

no_room() {
    rm -rf "$new"
    without_room
}

# is_used FAR: whether it is the current one, was used in the last day, or is named by a job that is
# not over, or whose checkout is not finished
is_used() {
    [ "$(readlink "$all/current" 2>/dev/null)" != "${1##*/}" ] || return 0
    [ -z "$(find "$1" -prune -mtime -1)" ] || return 0
    for job in .lab/jobs/*/; do
        is_sound "${job%/}" || return 0 # it may name any
        ! grep -qs "$1" "${job}finish" || return 0
        if grep -qs "$1" "${job}command" "${job}about.json"; then
            is_over "${job%/}" || return 0
        fi
    done
    return 1
}

new=$all/new-$(uname -n)-$$
gone=$all/gone-$(uname -n)-$$
{ make_state && mkdir -p "$all"; } 2>/dev/null || no_room
rm -rf "$new"
mkdir "$new" 2>/dev/null || no_room
printf '%s' "$2" | sh -s "$new" 2>/dev/null || no_room
# One whose files somebody, or a clean-up, has removed is no far half any more.
if [ -d "$far" ] && [ ! -f "$far/__main__.py" ]; then
    mv "$far" "$gone" && rm -rf "$gone"
fi
# Another command may have been faster: then the folder went into it, which is no longer needed.
mv "$new" "$far" 2>/dev/null || no_room
rm -rf "${far:?}/${new##*/}"

for old in "$all"/*/; do
    old=${old%/}
    case ${old##*/} in
    current | '*') continue ;;
    esac
    # Renamed first: what is under its own name is complete.
    [ "$old" = "$far" ] || is_used "$old" || { mv "$old" "$gone" && rm -rf "$gone"; }
done
