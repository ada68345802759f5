# shellcheck shell=sh disable=SC2016
# Prints what these variables are in the environment of a login of this person: a line for each,
# `lab-value NAME VALUE`. Their start-up files may print lines of their own.
say=$(mktemp /tmp/lab-XXXXXXXX) || exit
trap 'rm -f "$say"' EXIT
for name; do
    printf 'printf "lab-value %%s %%s\\n" %s "$(printenv %s)"\n' "$name" "$name" >>"$say"
done
patiently=''
! command -v timeout >/dev/null 2>&1 || patiently='timeout 20' # a start-up file may wait for somebody
shell=${SHELL:-/bin/sh}
sh "$say"
# A word that every shell reads alike; that of csh takes -l only alone.
case ${shell##*/} in
*csh) echo "sh $say" | $patiently "$shell" -l ;;
*) $patiently "$shell" -l -c "sh $say" ;;
esac 2>/dev/null
exit 0
