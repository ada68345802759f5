# needs: clean
# shellcheck shell=sh disable=SC2034
# Sets $python to the environment's interpreter, by a path that stays the same when .venv is exchanged
# for a new environment, and puts its programs first on PATH.
[ -x .venv/bin/python ] || exit "$NO_ENVIRONMENT"
python=$(CDPATH='' cd -P -- .venv/bin && pwd -P)/python
PATH=${python%/*}:$PATH
export PATH
