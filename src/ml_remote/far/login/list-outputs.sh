# needs: folder sweeps stat-files
# shellcheck shell=sh disable=SC2016,SC2154
# Describes what is in the folder $1 below outputs/ (all, if it is empty), in words that end with NUL,
# since a name may hold anything else: `rsync`, `now`, `folder` and `running` with what they are
# about; `unreadable` and a name; `link` or `special` and names up to an empty one; `files`, names up
# to an empty one, and a line for each of them: bytes, time, blocks of 512 bytes.
say() { printf '%s\0' "$*"; }
say "rsync $(rsync --version 2>/dev/null | sed -n 1p)"
say "now $(date +%s)"
seen=' '
look_at_all
for job in .lab/jobs/*; do
    finish_code "$job"
    if ! is_job "$job" || is_over "$job"; then continue; fi
    say "running ${job##*/}"
    sweep=.lab/sweeps/$(sed -n 's|.*"sweep": "\([0-9A-Za-z_.-]*\)".*|\1|p' "$job/about.json" 2>/dev/null)
    case $seen in *" $sweep "*) continue ;; esac
    seen="$seen$sweep "
    ! is_sweep "$sweep" || begun "$sweep" | while read -r set; do say "running ${sweep##*/}-$set"; done
done
[ -d "outputs/$1" ] || exit 0
cd outputs || exit
say "folder $(pwd)"
files=$files'
for file; do [ -r "$file" ] || printf "unreadable\0%s\0" "$file"; done'
find "./$1" -type f -exec sh -c "$files" sh "$form" "$words" {} +
folders='for folder; do [ -r "$folder" ] && [ -x "$folder" ] || printf "unreadable\0%s\0" "$folder"; done'
find "./$1" -type d -exec sh -c "$folders" sh {} +
others='printf "%s\0" "$@"; printf "\0"'
find "./$1" -type l -exec sh -c "$others" sh link {} +
find "./$1" ! -type f ! -type d ! -type l -exec sh -c "$others" sh special {} +
exit 0 # a file that went away meanwhile is no failure
