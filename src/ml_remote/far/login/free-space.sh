# shellcheck shell=sh
# free_kib FOLDER: how many KiB are free on its disk. The name of a file system may have blanks in it,
# so the figure is found by the percentage behind it.
free_kib() {
    df -Pk "$1" 2>/dev/null |
        awk 'END { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { print $(i - 1); exit } }'
}
