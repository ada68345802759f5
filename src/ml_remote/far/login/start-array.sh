# needs: prepare
# shellcheck shell=sh disable=SC2034,SC2154
# Hands the runner to Slurm as job arrays, of as many tasks, and as many at once, as a line of it says.
# Slurm limits the size of an array; each after the first waits for the one before where only some of
# the tasks may run at once.
give_up() {
    # shellcheck disable=SC2086 # several arrays
    [ -z "$numbers" ] || patiently scancel $numbers >&2
    rm -rf "$job"
}
refused() {
    [ $? != 124 ] || {
        give_up
        exit "$NO_ANSWER"
    }
    printf '%s\n' "$said"
    printf 'partitions %s\n' "$(patiently sinfo --noheader --format=%R | tr '\n' ' ')"
    give_up
    exit "$REFUSED"
}
numbers=''
find_slurm || {
    give_up
    exit "$NO_SLURM"
}
read -r left limit <<EOF
$(sed -n 's/^# tasks: //p' "$job/runner")
EOF
most=$(patiently scontrol show config) || [ $? != 124 ] || {
    give_up
    exit "$NO_ANSWER"
}
most=$(printf '%s\n' "$most" | sed -n 's/^MaxArraySize *= *\([0-9]*\).*/\1/p')
[ "${most:-0}" -gt 0 ] || most=1001
while [ "$left" -gt 0 ]; do
    size=$left
    [ "$size" -le "$most" ] || size=$most
    array=--array=0-$((size - 1)) after=''
    if [ "$limit" -gt 0 ]; then
        array=$array%$limit
        [ -z "$numbers" ] || after=--dependency=afterany:${numbers##* }
    fi
    said=$(submit "$array" ${after:+"$after"} --output="$job/log" --open-mode=append \
        "$job/runner" "$id") || refused
    number=$(printf '%s\n' "$said" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)*$/\1/p')
    numbers="$numbers${numbers:+ }$number"
    left=$((left - size))
done
{
    printf '%s\n' "$numbers" | tr ' ' '\n' >"$job/slurm-array.new" &&
        mv "$job/slurm-array.new" "$job/slurm-array" &&
        { [ -f "$job/about.json" ] || mv "$job/about.json.new" "$job/about.json"; }
} 2>/dev/null || {
    [ -f "$job/about.json" ] || { give_up; no_room; }
}
now
describe "$job"
