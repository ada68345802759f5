# shellcheck shell=sh
# Ends the script when nobody is there any more: then its input, which must be its descriptor 3, ends,
# or else writing fails.
{
    cat <&3
    kill "$$"
} >/dev/null 2>&1 &
lifeline=$!
trap 'kill "$lifeline" 2>/dev/null' EXIT
