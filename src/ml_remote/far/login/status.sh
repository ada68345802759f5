# needs: load list
# shellcheck shell=sh
# How busy the machine is, then the jobs of the project, if it is there.
