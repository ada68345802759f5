# needs: prepare
# shellcheck shell=sh disable=SC2034,SC2154
# Hands the runner to Slurm, as a batch script.
refused() {
    [ $? != 124 ] || {
        rm -rf "$job"
        exit "$NO_ANSWER"
    }
    printf '%s\n' "$said"
    printf 'partitions %s\n' "$(patiently sinfo --noheader --format=%R | tr '\n' ' ')"
    rm -rf "$job"
    exit "$REFUSED"
}
find_slurm || {
    rm -rf "$job"
    exit "$NO_SLURM"
}
said=$(submit --output="$job/log" --open-mode=append "$job/runner" "$id") || refused
number=$(printf '%s\n' "$said" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)*$/\1/p')
{
    # The batch script does the same, should the connection be lost before this.
    printf '%s\n' "$number" >"$job/slurm.new" && mv "$job/slurm.new" "$job/slurm" &&
        { [ -f "$job/about.json" ] || mv "$job/about.json.new" "$job/about.json"; }
} 2>/dev/null || {
    [ -f "$job/about.json" ] || { scancel "$number"; no_room; }
}
now
describe "$job"
