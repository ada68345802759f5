# needs: environment-state
# shellcheck shell=sh
# Where an editor opens: the project's folder $1, or the home directory until it is there; then
# the state of the project: `absent`, or that of its environment.
cd || exit
[ ! -d "$1" ] || cd "$1" || cd || exit
pwd
if [ -f lab.toml ]; then environment_state; else echo absent; fi
