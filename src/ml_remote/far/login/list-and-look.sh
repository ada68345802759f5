# functions: list look
# shellcheck shell=sh
# What is asked before a run, in one session: the jobs, then what look.sh tells of the code. $1 is the
# folder; what look.sh is given follows.
list "$1" || exit
printf '== lab looks ==\n'
look "$@"
