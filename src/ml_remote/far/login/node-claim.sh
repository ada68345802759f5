# shellcheck shell=sh disable=SC2154
# Makes the prepared job, $job, the one of its node, whose name is its title. Where one that is not over
# has been submitted meanwhile, that is described instead.
name=$(printf '%s\n' "$about" | sed -n 's/.*"title": "\([a-z0-9._-]*\)".*/\1/p')
claim=.lab/nodes/$name.claim
tries=0
until mkdir "$claim" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || [ -n "$(find "$claim" -prune -mmin +1 2>/dev/null)" ]; then
        rmdir "$claim" 2>/dev/null # of one that was killed
    fi
    pause
done
trap 'rmdir "$claim" 2>/dev/null' EXIT
trap 'exit 1' HUP INT PIPE TERM # sh ends without a word to the other trap
other=''
{ read -r other; } 2>/dev/null <".lab/nodes/$name"
if [ -n "$other" ] && is_job ".lab/jobs/$other" && ! is_over ".lab/jobs/$other"; then
    rm -rf "$job"
    now
    describe ".lab/jobs/$other"
    exit 0
fi
{ printf '%s\n' "$id" >".lab/nodes/$name.new" && mv ".lab/nodes/$name.new" ".lab/nodes/$name"; } || no_room
