# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Describes the jobs of the project, or only the job $1.
now
for job in ".lab/jobs/"${1:-*}; do
    describe "$job"
done
