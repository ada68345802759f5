# needs: in-login-shell
# shellcheck shell=sh
# Begins the command of a job again behind the lines of [slurm] prepare, which `prepare` runs.
if [ "${LAB_PREPARED-}" != "${LAB_JOB_FOLDER:-.}" ]; then
    LAB_PREPARED=${LAB_JOB_FOLDER:-.}
    export LAB_PREPARED
    prepare sh "$0" "$@"
    exit
fi
unset LAB_PREPARED
