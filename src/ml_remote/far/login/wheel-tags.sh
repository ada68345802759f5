# needs: folder set-up no-room
# shellcheck shell=sh disable=SC2154
# Prints, as JSON, which wheels the Python takes that would make the environment. $1 is the far half,
# $2 are the settings.
{ make_state && printf '%s' "$2" >".lab/settings.$$" && mv ".lab/settings.$$" .lab/settings.toml; } 2>/dev/null || {
    without_room
}
LAB_FAR=$1
export LAB_FAR
set_up --tags
