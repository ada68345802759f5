# shellcheck shell=sh disable=SC2034,SC2154
# Lets a key in, unless it is let in already: $1 is the line for authorized_keys.
umask 077
cd || exit "$NO_HOME"
mkdir -p .ssh || exit "$NO_SSH_FOLDER"
chmod 700 .ssh || exit "$NO_SSH_FOLDER"
file=.ssh/authorized_keys
# shellcheck disable=SC2086 # its parts are words: the type, the key, the comment
set -- "$1" $1
lines=
[ ! -f "$file" ] || lines=$(grep -v '^[[:space:]]*#' "$file" | grep -F -e "$2 $3")
if [ -n "$lines" ]; then
    chmod 600 "$file" || exit
    # Options of a line come before the type, such as from=, and may refuse the key.
    if printf '%s\n' "$lines" | grep -q "^[[:space:]]*$2 "; then
        echo present
    else
        echo restricted
    fi
    exit
fi
[ ! -e "$file" ] || [ -w "$file" ] || exit "$READ_ONLY"
if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
    { echo >>"$file"; } 2>/dev/null || exit "$NOT_WRITABLE"
fi
# What the shell itself says of a full disk is left out: lab says it in its own words.
{ printf '%s\n' "$1" >>"$file"; } 2>/dev/null || exit "$NOT_WRITABLE"
chmod 600 "$file" || exit "$NOT_WRITABLE"
if command -v restorecon >/dev/null 2>&1; then
    restorecon -F .ssh "$file" 2>/dev/null
fi
echo added
