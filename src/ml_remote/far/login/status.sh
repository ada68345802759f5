# needs: load list environment-state kernels
# shellcheck shell=sh
# How busy the machine is, then the jobs and kernels of the project, if it is there.
printf 'environment\t%s\n' "$(environment_state | tr ' ' '\t')"
kernels list
printf 'logout\t%s\n' "$(at_logout)"
