# needs: folder no-room
# shellcheck shell=sh
# Puts the lists of packages into the folder $1, once. $2 is a script: it writes the files into the
# folder that is its first argument. That folder is renamed, so what is in place is complete.
lists=$1
all=${lists%/*}
new=$all/new-$(uname -n)-$$

no_room() {
    rm -rf "$new"
    without_room
}

if [ -f "$lists/commit" ]; then
    touch -c "$lists"
    exit 0
fi
{ make_state && mkdir -p "$new"; } 2>/dev/null || no_room
printf '%s' "$2" | sh -s "$new" 2>/dev/null || no_room
# Another command may have been faster: then the folder went into it, and is not needed.
mv "$new" "$lists" 2>/dev/null || no_room
rm -rf "${lists:?}/${new##*/}"

# Old ones are removed after a week, but not those that were used last.
used=$(cat "$all/used" 2>/dev/null)
find "$all" -mindepth 1 -maxdepth 1 -type d -mtime +7 ! -name "${used:-none}" -exec rm -rf {} +
