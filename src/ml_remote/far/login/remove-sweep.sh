# needs: sweeps
# shellcheck shell=sh disable=SC2034,SC2154
# Removes the results of all sets of the sweep $2 of the lab $1, its workers, and what is known of it.
# With $3, only shows how much the results are: files, KiB.
name=$2
# parts FOLDER: those of its entries that belong to a set
parts() {
    find "$1" -maxdepth 1 -name "$name-[0-9]*" 2>/dev/null
}
workers() {
    for job in .lab/jobs/*; do
        if is_job "$job" && grep -qsF "\"sweep\": \"$name\"" "$job/about.json"; then
            printf '%s\n' "$job"
        fi
    done
}
for job in $(workers); do
    is_over "$job" || exit "$STILL_RUNNING"
done
if [ -n "$3" ]; then
    parts "outputs/$1" | while IFS= read -r one; do
        find "./$one" ! -type d -exec printf "%s\n" x \;
    done | grep -c .
    parts "outputs/$1" | while IFS= read -r one; do
        du -sk "./$one"
    done | awk '{ size += $1 } END { print size + 0 }'
    exit 0
fi
{
    parts "outputs/$1"
    parts .lab/code
} | while IFS= read -r one; do
    rm -rf -- "./$one" || exit
done || exit
# What is known of it goes last, so that the sweep is listed until all of it is gone.
rm -rf -- "./.lab/sweeps/$name" || exit
for job in $(workers); do
    rm -rf -- "./$job"
done
