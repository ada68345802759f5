# needs: folder
# shellcheck shell=sh disable=SC2154
# Makes links in `data`: $1 is a name, $2 where it leads, and so on; prints `made` and how many. What
# is there already stays, and none is made below a link: it would be where that leads.
cd data || exit "$NO_FOLDER"
made=0
while [ $# -gt 0 ]; do
    link=./$1 above=./$1 is_free=yes
    while
        above=${above%/*}
        [ "$above" != . ]
    do
        if [ -L "$above" ]; then is_free=''; fi
    done
    if [ -n "$is_free" ] && [ ! -e "$link" ] && [ ! -L "$link" ] &&
        mkdir -p "${link%/*}" 2>/dev/null && ln -s "$2" "$link" 2>/dev/null; then
        made=$((made + 1))
    fi
    shift 2
done
echo "made $made"
