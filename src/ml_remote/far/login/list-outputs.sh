# needs: folder
# shellcheck shell=sh disable=SC2034,SC2154
# Lists the files in the folder $1 below outputs/ (all, if it is empty), in front of them what rsync
# says of itself. A name with a line break in it would read like two files, so such files are only
# counted. GNU's and busybox's stat take -c, the one of BSD and macOS -f.
rsync --version 2>/dev/null | sed -n '1s/^/rsync /p'
[ -d "outputs/$1" ] || exit 0
cd outputs || exit
printf 'folder %s\n' "$(pwd)"
break='
'
find "./$1" -path "*$break*" -type f -exec echo unnamed \;
find "./$1" -type l -exec echo link \;
if stat -c %s . >/dev/null 2>&1; then
    find "./$1" -type f ! -path "*$break*" -exec stat -c 'file %s %Y %n' {} +
else
    find "./$1" -type f ! -path "*$break*" -exec stat -f 'file %z %m %N' {} +
fi
exit 0 # a file that went away meanwhile is no failure
