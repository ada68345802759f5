# needs: load list
# shellcheck shell=sh
# How busy the machine is, then the jobs of the project, if it is there.
if [ ! -x .venv/bin/python ] || [ -e .lab/environment.incomplete ]; then
    printf 'environment\tmissing\n'
fi
