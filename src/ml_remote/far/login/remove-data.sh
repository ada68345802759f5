# needs: folder
# shellcheck shell=sh
# Removes these files in `data`: $1 is a size, $2 a time, $3 a name, and so on. One that has another
# size or time by now stays, and is printed with a NUL behind it. Folders that are empty then go, too.
cd data || exit
form=-c words='%s %Y'
stat -c %s . >/dev/null 2>&1 || { form=-f words='%z %m'; }
while [ $# -gt 0 ]; do
    file=./$3
    if [ "$(stat "$form" "$words" "$file" 2>/dev/null)" = "$1 $2" ] &&
        [ -f "$file" ] && [ ! -L "$file" ] && rm -f "$file" 2>/dev/null; then
        while
            file=${file%/*}
            [ "$file" != . ] && rmdir "$file" 2>/dev/null
        do :; done
    else
        printf '%s\0' "$3"
    fi
    shift 3
done
