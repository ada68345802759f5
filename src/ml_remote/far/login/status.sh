# needs: load list environment-state
# shellcheck shell=sh
# How busy the machine is, then the jobs of the project, if it is there.
printf 'environment\t%s\n' "$(environment_state | tr ' ' '\t')"
