# needs: folder environment-state
# shellcheck shell=sh disable=SC2034,SC2154
# What is to be known before a run: $1 is a far half, which counts as used now, $2 the package (may be
# empty), $3 a run that may be the same (may be empty), the rest are the lab or the scripts. Prints the
# state of the environment, whether the code has changed since that run began, the hash of the lists
# that the environment was made from (or -), and whether the far half and these files are there; on the
# next lines the code.
far=missing package=src/$2 run=$3
if [ -f "$1/__main__.py" ]; then
    touch -c "$1" 2>/dev/null
    far=there
fi
shift 3
changed=no
if [ -n "$run" ] && { [ $# -gt 0 ] || [ "$package" != src/ ]; }; then
    newer=$(
        [ "$package" = src/ ] || set -- "$@" "$package"
        find "$@" \( -name '*.py' -o -name '*.sh' \) -newer ".lab/jobs/$run/command" 2>/dev/null
    )
    [ -z "$newer" ] || changed=yes
fi
files=there
for file; do
    [ -e "$file" ] || files=missing
done
state=$(environment_state)
printf '%s %s %s %s %s\n' "${state% *}" "$changed" "${state#* }" "$far" "$files"
LC_ALL=C
export LC_ALL
[ "$package" = src/ ] || set -- "$@" "$package"/*.py
cat -- "$@" 2>/dev/null
exit 0
