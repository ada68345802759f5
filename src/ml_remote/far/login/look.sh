# needs: folder
# shellcheck shell=sh disable=SC2034,SC2154
# What is to be known before a run: $1 is the lab, $2 the package (may be empty), $3 a run that may
# be the same. Prints the state of the environment, whether the code has changed since that run
# began, and the hash of the lists that the environment was made from (or -); on the next lines the code.
lab=$1 package=src/$2 run=$3
environment=missing
[ ! -x .venv/bin/python ] || environment=complete
[ ! -e .lab/environment.incomplete ] || environment=incomplete
set -- "$lab"
[ "$package" = src/ ] || set -- "$lab" "$package"
changed=no
if [ -n "$run" ]; then
    newer=$(find "$@" -name '*.py' -newer ".lab/jobs/$run/command" 2>/dev/null)
    [ -z "$newer" ] || changed=yes
fi
lists=$(sed -n 's/.*"lists": *"\([0-9a-f]*\)".*/\1/p' .venv/lab-environment.json 2>/dev/null | head -n 1)
printf '%s %s %s\n' "$environment" "$changed" "${lists:--}"
LC_ALL=C
export LC_ALL
[ "$package" = src/ ] || set -- "$lab" "$package"/*.py
cat -- "$@" 2>/dev/null
exit 0
