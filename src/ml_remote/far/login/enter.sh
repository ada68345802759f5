# needs: clean caches
# shellcheck shell=sh disable=SC2034
# Sets $python to the environment's interpreter, by a path that stays the same when .venv is exchanged
# for a new environment, and puts its programs first on PATH. A first environment is for editors only.
[ -x .venv/bin/python ] || exit "$NO_ENVIRONMENT"
python=$(CDPATH='' cd -P -- .venv/bin && pwd -P)/python
case $python in */first-[0-9]*/bin/python) exit "$NO_ENVIRONMENT" ;; esac
PATH=${python%/*}:$PATH
export PATH
