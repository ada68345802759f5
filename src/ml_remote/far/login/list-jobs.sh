# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Describes the jobs of the project, or only the job $1.
now
if [ -n "${1-}" ]; then
    finish_code ".lab/jobs/$1"
    describe ".lab/jobs/$1"
    exit
fi
look_at_all
# sh reads a line byte by byte, and those of about.json are long: awk puts them at the end.
abouts_follow=yes
for job in .lab/jobs/*; do
    finish_code "$job"
    describe "$job"
done | LC_ALL=C awk -F '\t' '
    $1 == "job" && $10 == "json" {
        name = ".lab/jobs/" $2 "/about.json"
        about = ""
        getline about <name
        close(name)
        $0 = $0 about
    }
    { print }'
