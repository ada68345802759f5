# needs: folder secrets no-room
# shellcheck shell=sh disable=SC2034,SC2154
# Keeps the project's secrets: `set NAME VALUE`, `remove NAME`, or `list`. One that is written again is
# exchanged whole, so that whoever reads it meanwhile has the old one or the new one.
folder=.lab/secrets
case $1 in
set)
    umask 077
    new=$folder/.new-$$
    {
        make_state &&
            mkdir -p "$folder" && chmod 700 "$folder" && printf '%s' "$3" >"$new" &&
            mv "$new" "$folder/$2"
    } 2>/dev/null || {
        rm -f "$new"
        without_room
    }
    ;;
remove)
    [ -e "$folder/$2" ] || exit "$NO_SECRET"
    rm -f "$folder/$2"
    ;;
list)
    for secret in "$folder"/*; do
        if is_name "${secret##*/}" && [ -f "$secret" ]; then printf '%s\n' "${secret##*/}"; fi
    done
    ;;
esac
