# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# Removes the results of the run $2 of the lab $1, and what is known of it. With $3, only shows how
# much that is: files, KiB.
job=.lab/jobs/$2
results=outputs/$1/$2
if is_job "$job" && ! is_over "$job"; then
    exit "$STILL_RUNNING"
fi
finish_code "$job"
if [ -n "$3" ]; then
    [ -d "$results" ] || exit 0
    find "$results" ! -type d -exec printf "%s\n" x \; | grep -c .
    du -sk "$results" | cut -f 1
    exit 0
fi
rm -rf -- "./$results" "./.lab/code/$2" "./.lab/code/$2.json" || exit
# What is known of it goes last, so that the run is listed until all of it is gone.
rm -rf -- "./$job"
