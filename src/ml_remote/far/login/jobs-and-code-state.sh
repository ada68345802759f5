# functions: list-jobs code-state
# shellcheck shell=sh
# The question before a run, in one session: the jobs, then the answer of code-state.sh. $1 is the
# folder; the arguments of code-state.sh follow.
list_jobs "$1" || exit
printf '== lab looks ==\n'
code_state "$@"
