# functions: read-repository list-outputs
# shellcheck shell=sh
# What a pull asks first, in one session: $1 is the folder, $2 the branch. Both streams tell where the
# first answer ends; no line of it begins so.
read_repository "$1" "$2"
printf '\n== lab looked %s ==\n' "$?"
printf '\n== lab looked ==\n' >&2
list_outputs "$1" ''
