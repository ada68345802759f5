# shellcheck shell=sh disable=SC2034,SC2154
# Installs extensions ($2, $3...) in the part of an editor that runs here, in the folder $1 below the
# home directory, and prints those that were not installed before. That part is there after the first
# connection; where exactly differs between editors and versions. It knows `--install-extension` as
# the editor does.
folder=$HOME/$1
shift
# shellcheck disable=SC2012 # the newest, by its time; the names are plain
server=$(
    ls -t "$folder"/cli/servers/*/server/bin/*-server* "$folder"/bin/*/bin/*-server* \
        "$folder"/bin/*/*/bin/*-server* 2>/dev/null | head -n 1
)
[ -n "$server" ] || exit 0
installed=$("$server" --list-extensions)
for extension in "$@"; do
    if printf '%s\n' "$installed" | grep -qixF -- "$extension"; then
        continue
    fi
    "$server" --install-extension "$extension" >&2 && printf '%s\n' "$extension"
done
