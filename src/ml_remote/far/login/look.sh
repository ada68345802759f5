# needs: folder environment-state
# shellcheck shell=sh disable=SC2034,SC2154
# What is to be known before a run: $1 is the lab, $2 the package (may be empty), $3 a run that may
# be the same. Prints the state of the environment, whether the code has changed since that run
# began, and the hash of the lists that the environment was made from (or -); on the next lines the code.
lab=$1 package=src/$2 run=$3
set -- "$lab"
[ "$package" = src/ ] || set -- "$lab" "$package"
changed=no
if [ -n "$run" ]; then
    newer=$(find "$@" -name '*.py' -newer ".lab/jobs/$run/command" 2>/dev/null)
    [ -z "$newer" ] || changed=yes
fi
state=$(environment_state)
printf '%s %s %s\n' "${state% *}" "$changed" "${state#* }"
LC_ALL=C
export LC_ALL
[ "$package" = src/ ] || set -- "$lab" "$package"/*.py
cat -- "$@" 2>/dev/null
exit 0
