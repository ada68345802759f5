# needs: folder environment-state
# shellcheck shell=sh
# The state of the environment, and on the last line the absolute path of the project's folder:
# start-up files may print before them.
environment_state
pwd -P
